"""The way to the padded square and back, on fixed sizes, and pictures of every mode."""

import numpy as np
import pytest
import torch
from PIL import Image

from tvnet.data import refer
from tvnet.data.images import (
    BLANK,
    Placement,
    crop_and_resize,
    mask_target,
    open_picture,
    open_square,
    placement,
    resize_and_crop,
    resize_and_pad,
)
from tvnet.data.photo import read_photo

SIZES = [(480, 640), (640, 480), (333, 500), (500, 333), (320, 320), (427, 640), (1, 2000), (7, 5)]


@pytest.mark.parametrize(
    ("height", "width", "inner", "corner"),
    [
        (480, 640, (240, 320), (40, 0)),
        (640, 480, (320, 240), (0, 40)),
        (333, 500, (213, 320), (53, 0)),  # 107 rows of padding: 53 above, 54 below
        (320, 320, (320, 320), (0, 0)),
        (427, 640, (214, 320), (53, 0)),  # 213.5 rounds to even, as CMPC's does
        (425, 640, (212, 320), (54, 0)),
        (160, 100, (320, 200), (0, 60)),
        (1, 2000, (1, 320), (159, 0)),
    ],
)
def test_placement(height, width, inner, corner):
    place = placement(height, width, 320)
    assert (place.inner_height, place.inner_width) == inner
    assert (place.top, place.left) == corner


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("size", [320, 161])
def test_the_picture_is_centred_and_fits(height, width, size):
    place = placement(height, width, size)
    below = size - place.top - place.inner_height
    right = size - place.left - place.inner_width
    assert 0 <= below - place.top <= 1 and 0 <= right - place.left <= 1
    assert max(place.inner_height, place.inner_width) == size


@pytest.mark.parametrize(
    ("top", "bottom", "first", "last"),
    [
        (20, 140, 3, 17),  # 4:3 at 160 px: cell 2, at pixel 16, would be padding alone
        (18, 140, 2, 17),
        (20, 142, 3, 18),
        (18, 142, 2, 18),
        (0, 160, 0, 19),  # the last four pixels are nearest to the last cell
        (79, 80, 10, 10),  # a line of one pixel keeps a cell
        (75, 76, 9, 9),
    ],
)
def test_a_cell_that_no_pixel_of_the_picture_is_nearest_to_is_padding(top, bottom, first, last):
    """Both ends rounded down and up, by hand; cell i looks at pixel 8i (D38)."""
    place = Placement(160, bottom - top, 160, bottom - top, 160, top, 0)
    assert place.inner_cells == (slice(first, last + 1), slice(0, 20))
    turned = Placement(160, 160, bottom - top, 160, bottom - top, 0, top)
    assert turned.inner_cells == (slice(0, 20), slice(first, last + 1))


@pytest.mark.parametrize("size", [320, 160, 161, 96])
@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_picture_and_padding_part_the_cells_at_every_size(size, stride):
    cells = stride * np.arange(-(-size // stride))
    nearest = [int(np.abs(cells - y - 0.1).argmin()) for y in range(size)]  # tie: the later
    for height, width in [*SIZES, *((height, 640) for height in range(401, 481))]:
        place = placement(height, width, size)
        for side, found in zip(place.inner, place.inner_cells_at(stride), strict=True):
            assert {*range(found.start, found.stop)} == {*nearest[side]}


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("back", [crop_and_resize, resize_and_crop])
def test_there_and_back_gives_the_same_shape_and_place(height, width, back):
    """A map that holds its own coordinates comes back as them, up to a pixel of the square."""
    place = placement(height, width, 320)
    y, x = np.mgrid[0:height, 0:width]
    inner = torch.zeros(1, 2, 320, 320)
    there = torch.nn.functional.interpolate(
        torch.from_numpy(np.stack([y, x])[None]).float(),
        (place.inner_height, place.inner_width),
        mode="bilinear",
    )
    inner[(..., *place.inner)] = there
    again = back(inner, place)
    assert again.shape == (1, 2, height, width)
    middle = (slice(height // 4, height - height // 4), slice(width // 4, width - width // 4))
    step = max(height, width) / 320
    # A side of one pixel is all border, where CMPC's way blends the padding in.
    if min(height, width) > 1:
        for found, true in zip(again[0].numpy(), (y, x), strict=True):
            assert np.abs(found[middle] - true[middle]).max() <= 1.5 * max(step, 1)


def test_the_two_ways_back_agree_but_for_the_border():
    place = placement(480, 640, 320)
    square = torch.zeros(1, 1, 320, 320)
    square[..., 100:180, 90:200] = 1
    assert torch.allclose(crop_and_resize(square, place), resize_and_crop(square, place))
    full = torch.zeros(1, 1, 320, 320)
    full[(..., *place.inner)] = 1
    assert (crop_and_resize(full, place) == 1).all()
    blended = resize_and_crop(full, place)
    assert blended[0, 0, 0, 5] == 0.75 and blended[0, 0, 1, 5] == 1


def test_crop_and_resize_on_a_fixed_array():
    """2 x 4 picture in a 2 x 2 square: one row of map, stretched by two with half-pixel centres."""
    place = placement(2, 4, 2)
    assert (place.inner_height, place.inner_width, place.top) == (1, 2, 0)
    square = torch.tensor([[[[0.0, 4.0], [9.0, 9.0]]]])
    row = [0.0, 1.0, 3.0, 4.0]
    assert crop_and_resize(square, place)[0, 0].tolist() == [row, row]


def test_a_map_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"map of \(40, 40\) does not fit a placement of size 320"):
        crop_and_resize(torch.zeros(1, 1, 40, 40), placement(480, 640, 320))
    with pytest.raises(ValueError, match="does not fit"):
        resize_and_crop(torch.zeros(1, 1, 40, 40), placement(480, 640, 320))


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_resize_and_pad_is_black_outside_and_true_inside(height, width):
    white = np.full((height, width, 3), 255, dtype=np.uint8)
    square = resize_and_pad(white, 320)
    place = placement(height, width, 320)
    assert square.shape == (320, 320, 3) and square.dtype == np.uint8
    assert (square[place.inner] == 255).all()
    assert square.sum() == 255 * 3 * place.inner_height * place.inner_width


def test_a_picture_of_the_square_s_size_is_untouched():
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert np.array_equal(resize_and_pad(picture, 32), picture)
    assert np.array_equal(resize_and_pad(Image.fromarray(picture), 32), picture)


def test_targets_on_a_fixed_mask():
    """4 x 4 into 2 x 2: every cell that the mask touches counts."""
    mask = np.zeros((4, 4), dtype=bool)
    mask[0, 0] = True  # a quarter of the first cell
    mask[2:, 2:] = True
    assert mask_target(mask, 2).tolist() == [[True, False], [False, True]]
    assert np.array_equal(mask_target(mask, 4), mask)
    thin = np.zeros((300, 400), dtype=bool)
    thin[50:250, 203] = True  # between the pixels that interpolation reads
    assert mask_target(thin, 40)[10:30, 20].all() and mask_target(thin, 40).sum() == 20


def test_targets_lie_where_the_picture_lies():
    mask = np.zeros((48, 64), dtype=bool)
    mask[10:30, 20:40] = True
    place = placement(48, 64, 96)
    target = mask_target(mask, 96)
    picture = np.repeat(mask[..., None] * np.uint8(255), 3, axis=2)
    assert np.array_equal(target, resize_and_pad(picture, 96)[..., 0] > 0)
    assert not target[: place.top].any() and target.shape == (96, 96) and target.dtype == bool


def test_the_target_dilates_as_in_prior_code():
    """A disc of 1 % of 480 x 640 grows by some 4 % without antialiasing, not by 20."""
    y, x = np.mgrid[0:480, 0:640]
    disc = (y - 240.3) ** 2 + (x - 300.7) ** 2 <= 0.01 * 480 * 640 / np.pi
    assert 1.02 < mask_target(disc, 320).sum() / (disc.sum() / 4) < 1.12


RGB = np.random.default_rng(1).integers(0, 256, (6, 8, 3), dtype=np.uint8)
PICTURE = Image.fromarray(RGB)
GREY = np.asarray(PICTURE.convert("L"))
GREY3 = np.repeat(GREY[..., None], 3, axis=2)


def opened(path):
    found = open_picture(path, 8, 6)
    assert found.mode == "RGB"
    return np.asarray(found)


ALPHA = Image.fromarray((GREY // 2).astype(np.uint8))


def modes():
    """A picture of every mode that a lossless file may have."""
    with_alpha = PICTURE.copy()
    with_alpha.putalpha(ALPHA)
    few = PICTURE.quantize(16)
    return {
        "RGB": PICTURE,
        "L": Image.fromarray(GREY),
        "LA": Image.merge("LA", (Image.fromarray(GREY), ALPHA)),
        "RGBA": with_alpha,
        "P": few,
        "1": Image.fromarray(GREY > 99),
    }


def test_lossless_modes_give_the_same_pixels(tmp_path):
    def on_white(pixels):
        share = np.asarray(ALPHA)[..., None] / 255
        return share * pixels + (1 - share) * 255

    few = modes()["P"]
    wanted = {
        "RGB": RGB,
        "L": GREY3,
        "LA": on_white(GREY3),
        "RGBA": on_white(RGB),
        "P": np.asarray(few.convert("RGB")),
        "1": np.repeat(255 * (GREY > 99)[..., None], 3, axis=2),
    }
    for mode, picture in modes().items():
        assert picture.mode == mode
        picture.save(tmp_path / f"{mode}.png")
        away = np.abs(opened(tmp_path / f"{mode}.png") - wanted[mode]).max()
        assert away <= (1 if mode.endswith("A") else 0), mode


@pytest.mark.parametrize("ending", ["png", "tif", "webp", "gif"])
def test_training_and_prediction_see_the_same_pixels(tmp_path, ending):
    """Also where a picture, or one colour of its palette, is transparent."""
    files = modes()
    for mode, picture in files.items():
        if ending in ("png", "tif") or mode in ("RGB", "RGBA"):
            path = tmp_path / f"{mode}.{ending}"
            picture.save(path)
            assert np.array_equal(opened(path), read_photo(path)), mode
    files["P"].save(tmp_path / f"clear.{ending}", transparency=3)
    found = opened(tmp_path / f"clear.{ending}")
    assert np.array_equal(found, read_photo(tmp_path / f"clear.{ending}"))
    if ending in ("png", "gif"):  # the others keep no transparent colour
        assert (found == 255).all(axis=2).any()


def test_cmyk_and_grey_jpegs(tmp_path):
    for mode, colour, wanted in (("CMYK", (255, 0, 0, 0), (0, 255, 255)), ("L", 77, (77, 77, 77))):
        Image.new(mode, (8, 6), colour).save(tmp_path / "a.jpg", quality=100)
        assert np.abs(opened(tmp_path / "a.jpg").astype(int) - wanted).max() <= 2, mode


@pytest.mark.parametrize(
    "ending, kind", [("png", np.uint16), ("tif", np.uint16), ("tif", np.int32), ("tif", np.float32)]
)
def test_more_than_eight_bits_are_refused(tmp_path, ending, kind):
    Image.fromarray(np.full((6, 8), 7000, dtype=kind)).save(tmp_path / f"a.{ending}")
    with pytest.raises(ValueError, match=f"a.{ending} cannot be decoded .*more than 8 bits a chan"):
        opened(tmp_path / f"a.{ending}")


def test_an_exif_turn_is_not_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    PICTURE.save(tmp_path / "a.png", exif=exif)
    picture = open_picture(tmp_path / "a.png", 8, 6)
    assert np.array_equal(picture, RGB)
    assert np.array_equal(read_photo(picture), RGB)  # nor when it is predicted on


def test_a_wrong_size_is_refused_before_decoding(tmp_path, monkeypatch):
    PICTURE.save(tmp_path / "a.png")
    monkeypatch.setattr(Image.Image, "convert", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ValueError, match=r"a.png is 8x6, but the index says 6x8: fetch or draw"):
        open_picture(tmp_path / "a.png", 6, 8)


def test_damaged_and_missing_files_are_named(tmp_path):
    path = tmp_path / "données 数据.jpg"
    with pytest.raises(FileNotFoundError, match="données 数据.jpg is missing: fetch or draw"):
        open_picture(path, 8, 6)
    PICTURE.resize((80, 60)).save(path)
    whole = path.read_bytes()
    for content in (b"", b"<html>503</html>", whole[: len(whole) // 2], whole[:30]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="données 数据.jpg cannot be decoded .*fetch or draw"):
            open_picture(path, 80, 60)
    path.write_bytes(whole)
    assert open_picture(path, 80, 60).size == (80, 60)


def test_squares_by_id(tiny_root):
    data = refer.read(tiny_root, "unc")
    square = open_square(data, 1, 32)
    assert square.shape == (32, 32, 3) and square.any()
    black = open_square(data, BLANK, 32)
    assert black.shape == (32, 32, 3) and not black.any()
    with pytest.raises(ValueError, match="unc has no picture 77"):
        open_square(data, 77, 32)
