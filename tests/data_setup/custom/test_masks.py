"""One rectangle in the mask files of many tools: the same pixels, or what the file holds."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from data_setup.__main__ import main
from tvnet.data import refer

HEIGHT, WIDTH = 30, 40
INSIDE = np.zeros((HEIGHT, WIDTH), dtype=bool)
INSIDE[5:12, 8:20] = True  # 84 pixels, 7 %
SECOND = np.zeros_like(INSIDE)
SECOND[20:26, 25:35] = True
RANDOM = np.random.default_rng(0)
PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]


def saved(picture, kind="PNG", **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def paint(inside, outside, second=None):
    """Pixels of two values, or of three."""
    values = np.where(INSIDE.reshape(HEIGHT, WIDTH, *[1] * np.ndim(inside)), inside, outside)
    if second is not None:
        values[SECOND] = second
    return values


def grey(*values, dtype=np.uint8, kind="PNG", **options):
    return saved(Image.fromarray(paint(*values).astype(dtype)), kind, **options)


def colour(*values, mode="RGB", kind="PNG", **options):
    return saved(Image.fromarray(paint(*values).astype(np.uint8), mode), kind, **options)


def ids(*values, palette=PALETTE, **options):
    picture = Image.fromarray(paint(*values).astype(np.uint8), "P")
    picture.putpalette(palette)
    return saved(picture, **options)


def hidden_colours():
    """White paint on a transparent layer whose colours are noise."""
    pixels = RANDOM.integers(0, 256, (HEIGHT, WIDTH, 4), dtype=np.uint8)
    pixels[..., 3], pixels[INSIDE] = 0, 255
    return saved(Image.fromarray(pixels))


def cut_out(alpha):
    """A photograph with an alpha channel."""
    pixels = RANDOM.integers(0, 256, (HEIGHT, WIDTH, 4), dtype=np.uint8)
    pixels[..., 3] = alpha
    return saved(Image.fromarray(pixels))


SOFT = np.clip(INSIDE * 255 - RANDOM.integers(0, 60, INSIDE.shape), 0, 255)
BLACK, WHITE, RED, BLUE = (0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 0, 200)
CLEAR = (0, 0, 0, 0)

UNDERSTOOD = {  # kind -> (file, the cell `id`)
    "grey 0 and 255": (grey(255, 0), ""),
    "grey 0 and 1": (grey(1, 0), ""),
    "grey 0 and 7": (grey(7, 0), ""),
    "one bit": (saved(Image.fromarray(INSIDE)), ""),
    "one bit TIFF": (saved(Image.fromarray(INSIDE), "TIFF"), ""),
    "16 bits, 0 and 65535": (grey(65535, 0, dtype=np.uint16), ""),
    "16 bits, 0 and 1": (grey(1, 0, dtype=np.uint16), ""),
    "12 bits in 16": (grey(4095, 0, dtype=np.uint16, kind="TIFF"), ""),
    "32 bits": (grey(70000, 0, dtype=np.int32, kind="TIFF"), ""),
    "float 0 and 1": (grey(1, 0, dtype=np.float32, kind="TIFF"), ""),
    "PGM": (grey(255, 0, kind="PPM"), ""),
    "BMP": (grey(255, 0, kind="BMP"), ""),
    "GIF": (grey(255, 0, kind="GIF"), ""),
    "lossless WebP": (colour(WHITE, BLACK, kind="WEBP", lossless=True), ""),
    "palette, id 1": (ids(1, 0), ""),
    "palette, id 3": (ids(3, 0), ""),
    "palette without colours": (ids(5, 0, palette=[0] * 18), ""),
    "palette, white first": (ids(0, 1, palette=[255, 255, 255, 0, 0, 0]), ""),
    "palette, transparent": (ids(1, 2, transparency=2), ""),
    "white on black": (colour(WHITE, BLACK), ""),
    "red on black": (colour(RED, BLACK), ""),
    "dark red on black": (colour((9, 0, 0), BLACK), ""),
    "CMYK": (saved(Image.fromarray(paint(WHITE, BLACK).astype("u1")).convert("CMYK"), "TIFF"), ""),
    "opaque alpha": (colour((*WHITE, 255), (*BLACK, 255), mode="RGBA"), ""),
    "white on clear": (colour((*WHITE, 255), CLEAR, mode="RGBA"), ""),
    "white on clear white": (colour((*WHITE, 255), (*WHITE, 0), mode="RGBA"), ""),
    "black on clear": (colour((*BLACK, 255), CLEAR, mode="RGBA"), ""),
    "half clear red": (colour((*RED, 128), CLEAR, mode="RGBA"), ""),
    "noise under clear": (hidden_colours(), ""),
    "grey and alpha": (colour((200, 255), (0, 0), mode="LA"), ""),
    "grey with a clear white": (grey(0, 255, transparency=255), ""),
    "swapped, by its value": (grey(0, 255), "0"),
    "one of two greys": (grey(100, 200), "100"),
    "label map": (grey(3, 0, 200), "3"),
    "label map of 16 bits": (grey(3000, 0, 200, dtype=np.uint16), "3000"),
    "label map in three channels": (colour((3,) * 3, BLACK, (9,) * 3), "3"),
    "palette of several ids": (ids(2, 0, 3), "2"),
    "colours": (colour(RED, BLACK, BLUE), "#FF0000"),
    "colours on clear": (colour((*RED, 255), CLEAR, (*BLUE, 255), mode="RGBA"), "#ff0000"),
    "red on white": (colour(RED, WHITE), "#ff0000"),
}
REFUSED = {  # kind -> (file, the cell `id`, words)
    "black": (grey(0, 0), "", "is empty: mode L, 0 on 100.0%; name the referent's value"),
    "clear": (colour((9, 9, 9, 0), CLEAR, mode="RGBA"), "", "is empty: mode RGBA, transparent on"),
    "white": (grey(255, 255), "", "is the same everywhere: mode L, 255 on 100.0%"),
    "two greys": (
        grey(100, 200),
        "",
        "has two values, but which is the referent? mode L, 200 on 93.0%, 100 on 7.0%; name the "
        "referent's value in a column 'id', or save two values with hard edges as PNG",
    ),
    "red on white": (colour(RED, WHITE), "", "referent? mode RGB, #ffffff on 93.0%, #ff0000 on"),
    "palette of two colours": (ids(2, 1), "", "referent? mode P, 1 on 93.0%, 2 on 7.0%"),
    "label map": (grey(3, 0, 200), "", "more than two values: mode L, 0 on 88.0%, 3 on 7.0%, 200"),
    "trimap": (grey(255, 0, 128), "", "more than two values: mode L, 0 on 88.0%"),
    "palette of ids": (ids(2, 0, 3), "", "more than two values: mode P, 0 on 88.0%, 2 on 7.0%"),
    "colours": (colour(RED, BLACK, BLUE), "", "mode RGB, #000000 on 88.0%, #ff0000 on 7.0%"),
    "soft edges": (saved(Image.fromarray(SOFT.astype("u1"))), "", "two values: mode L, 0 on 93."),
    "JPEG": (grey(255, 0, kind="JPEG", quality=60), "", "more than two values: mode L, 0 on "),
    "alpha matte": (cut_out(SOFT), "", "more than two values: mode RGBA, transparent on 93."),
    "cut-out": (cut_out(INSIDE * 255), "", "mode RGBA, transparent on 93.0%, #"),
    "no number": (
        grey(np.nan, 0, dtype=np.float32, kind="TIFF"), "", "mode F and holds values that are no",
    ),
    "no such id": (ids(2, 0, 3), "7", "has no value 7: mode P, 0 on 88.0%, 2 on 7.0%, 3 on 5.0%"),
    "another size": (saved(Image.new("L", (4, 4), 255)), "", "is not 40x30 like its image"),
}  # fmt: skip


def made(tmp_path, mask, value=""):
    """The exit code of `own` for one mask file."""
    folder = tmp_path / "own"
    folder.mkdir()
    Image.new("RGB", (WIDTH, HEIGHT), (90, 90, 90)).save(folder / "a.jpg")
    (folder / "m.bin").write_bytes(mask)
    head, cell = (",id", f",{value}") if value else ("", "")
    table = f"image,mask,sentence,split{head}\na.jpg,m.bin,the box,train{cell}\n"
    (folder / "sentences.csv").write_text(table)
    return main(["own", str(folder), "--name", "mine", "--root", str(tmp_path / "data")])


@pytest.mark.parametrize("kind", UNDERSTOOD)
def test_two_values_or_a_named_one_are_understood(tmp_path, kind):
    assert made(tmp_path, *UNDERSTOOD[kind]) == 0
    data = refer.read(tmp_path / "data", "mine")
    assert np.array_equal(data.mask(1), INSIDE)
    remarks = json.loads((tmp_path / "data" / "reports" / "mine.json").read_text())["remarks"]
    assert not any("mask" in remark["reason"] for remark in remarks)


@pytest.mark.parametrize("kind", REFUSED)
def test_other_masks_are_refused_by_what_they_hold(tmp_path, capsys, kind):
    mask, value, words = REFUSED[kind]
    assert made(tmp_path, mask, value) == 6
    output = capsys.readouterr().err
    assert "line 2 the mask 'm.bin'" in output and words in output
    assert not (tmp_path / "data" / "index").exists()


FRAME = np.ones_like(INSIDE)
FRAME[1:-1, 1:-1] = False


@pytest.mark.parametrize(
    ("mask", "value", "words"),
    [
        (grey(0, 255), "", "covers 93% of its picture, as one with swapped values does"),
        (grey(255, 255), "255", "covers 100% of its picture"),
        (saved(Image.fromarray(FRAME)), "", "touches all four borders of its picture"),
    ],
    ids=("swapped", "white", "frame"),
)
def test_a_mask_that_may_be_swapped_is_remarked_on(tmp_path, capsys, mask, value, words):
    assert made(tmp_path, mask, value) == 0
    assert f"  sentences.csv: line 2 ('m.bin') {words}" in capsys.readouterr().out
    report = json.loads((tmp_path / "data" / "reports" / "mine.json").read_text())
    assert any(words in remark["reason"] for remark in report["remarks"])


def test_the_contact_sheet_shows_which_side_is_the_referent(tmp_path):
    assert made(tmp_path, grey(0, 255)) == 0
    with Image.open(tmp_path / "data" / "reports" / "mine.png") as sheet:
        shown = np.asarray(sheet.convert("RGB")).astype(int)
    # the one picture of 40x30, grey, is enlarged to 264x198 at the upper left
    scale, top, left = 6.6, 26 + 4, 8
    at = [(round(top + y * scale), round(left + x * scale)) for y, x in ((8, 14), (20, 14))]
    inside, outside = (shown[y, x] for y, x in at)
    assert np.ptp(inside) < 12 and outside[2] - outside[0] > 60
    picture = shown[top : top + 198, left : left + 264]  # its outline has white beside black
    assert min((picture > 240).all(axis=2).sum(), (picture < 15).all(axis=2).sum()) > 200
