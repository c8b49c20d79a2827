"""Masks of every kind decode, malformed ones never reach pycocotools, and the store keeps them."""

import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest

from tvnet.data import refer
from tvnet.data.mask_store import store
from tvnet.data.masks import decode, from_counts, to_counts

HEIGHT, WIDTH = 20, 30
SQUARE = [5, 4, 15, 4, 15, 12, 5, 12]
TRUE = np.zeros((HEIGHT, WIDTH), dtype=bool)
TRUE[4:12, 5:15] = True


def packed(mask):
    """COCO's compressed run lengths, by pycocotools itself."""
    from pycocotools import mask as coco

    found = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(found["size"]), "counts": found["counts"].decode()}


def noise(seed, share=0.5):
    return np.random.default_rng(seed).random((HEIGHT, WIDTH)) < share


def test_a_polygon_of_whole_numbers_covers_its_pixels():
    assert np.array_equal(decode([SQUARE], HEIGHT, WIDTH), TRUE)


def test_overlapping_polygons_make_no_holes():
    other = [10, 8, 20, 8, 20, 16, 10, 16]
    union = TRUE.copy()
    union[8:16, 10:20] = True
    found = decode([SQUARE, other], HEIGHT, WIDTH)
    assert found.dtype == bool and np.array_equal(found, union)


def test_polygons_a_little_outside_are_cut_at_the_border():
    found = decode([[-3, -2, 40, -2, 40, 22, -3, 22]], HEIGHT, WIDTH)
    assert found.all()


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_run_lengths_of_every_form_agree(share):
    mask = noise(1, share)
    counts = to_counts(mask).tolist()
    text = packed(mask)
    whole = {"size": [HEIGHT, WIDTH], "counts": counts}
    as_bytes = {"size": (HEIGHT, WIDTH), "counts": text["counts"].encode()}
    for segmentation in (whole, text, as_bytes, [whole], [text, whole]):
        assert np.array_equal(decode(segmentation, HEIGHT, WIDTH), mask)


def test_lists_of_parts_are_joined_by_union():
    both = decode([packed(noise(1)), packed(noise(2))], HEIGHT, WIDTH)
    assert np.array_equal(both, noise(1) | noise(2))
    mixed = decode([SQUARE, packed(noise(1))], HEIGHT, WIDTH)
    assert np.array_equal(mixed, TRUE | noise(1))


def test_counts_are_the_inverse_of_masks():
    for seed in range(20):
        mask = noise(seed, seed / 19)
        counts = to_counts(mask)
        assert counts.sum() == mask.size and np.array_equal(from_counts(counts, *mask.shape), mask)
        # Prior code's order: columns first, beginning with zeros.
        assert counts[0] == (0 if mask[0, 0] else (mask.T.ravel().argmax() or 0)) or not mask.any()


GOOD = to_counts(TRUE).tolist()
MALFORMED = {
    "odd": ([SQUARE[:-1]], "polygon of 7 numbers is no list of three or more x, y pairs"),
    "two points": ([[1, 1, 5, 5]], "polygon of 4 numbers"),
    "box": ([[1, 1, 5, 5], SQUARE], "polygon of 4 numbers"),
    "empty polygon": ([[]], "polygon of 0 numbers"),
    "not a number": ([[*SQUARE[:-1], float("nan")]], "polygon of 8 numbers"),
    "infinite": ([[*SQUARE[:-1], float("inf")]], "polygon of 8 numbers"),
    "beyond floats": ([[*SQUARE[:-1], 10**400]], "polygon of 8 numbers"),
    "text": ([["a"] * 8], "polygon of 8 numbers"),
    "none": ([None], "polygon of NoneType numbers"),
    "nested": ([[SQUARE]], "polygon of 1 numbers"),
    "far right": ([[*SQUARE[:-2], 61, 12]], "from x = 5 to 61, far outside its 30x20 image"),
    "far left": ([[*SQUARE[:-2], -31, 12]], "from x = -31 to 15, far outside"),
    "far below": ([[*SQUARE[:-1], 41]], "from y = 4 to 41, far outside"),
    "crashes pycocotools": ([[*SQUARE[:-1], 1e9]], "far outside"),
    "no part": ([], "segmentation is empty"),
    "nothing": (None, "polygon of NoneType"),
    "short": ({"size": [20, 30], "counts": GOOD[:-1]}, r"sum to \d+ do not fill a 30x20 image"),
    "long": ({"size": [20, 30], "counts": [*GOOD, 1]}, "sum to 601 do not fill"),
    "negative": ({"size": [20, 30], "counts": [-1, 601]}, "not whole numbers from 0 to 600"),
    "overflow": ({"size": [20, 30], "counts": [2**64, 600]}, "not whole numbers"),
    "fraction": ({"size": [20, 30], "counts": [0.5, 599.5]}, "not whole numbers"),
    "no counts": ({"size": [20, 30]}, "not whole numbers"),
    "turned": ({"size": [30, 20], "counts": GOOD}, r"size \[30, 20\] is not \[20, 30\]"),
    "no size": ({"counts": GOOD}, r"size None is not \[20, 30\]"),
    "text short": ({"size": [20, 30], "counts": packed(TRUE)["counts"][:-2]}, "do not fill"),
    "text odd": ({"size": [20, 30], "counts": "\x00\x01"}, "compressed counts .* damaged"),
    "text not ASCII": ({"size": [20, 30], "counts": "é€"}, "compressed counts .* damaged"),
    "text endless": ({"size": [20, 30], "counts": "o" * 99}, "compressed counts .* damaged"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_segmentations_are_refused(name):
    segmentation, words = MALFORMED[name]
    with pytest.raises(ValueError, match=words):
        decode(segmentation, HEIGHT, WIDTH)


def test_the_store_gives_the_masks_of_the_data(tiny_root, tmp_path):
    data = refer.read(tiny_root, "unc")
    path = tmp_path / "cache" / "masks.npz"
    made, read = store(data, path), store(data, path)
    for referent in data.referents:
        for found in (made, read):
            assert np.array_equal(found.mask(referent.ann_id), data.mask(referent.ann_id))
    assert [p.name for p in path.parent.iterdir()] == ["masks.npz"]
    with pytest.raises(ValueError, match="mask store holds no annotation 99"):
        read.mask(99)


def test_masks_need_pycocotools_only_to_be_made(tiny_root, tmp_path, monkeypatch):
    data = refer.read(tiny_root, "unc")
    store(data, tmp_path / "masks.npz")
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    assert store(data, tmp_path / "masks.npz").mask(10).any()
    with pytest.raises(ModuleNotFoundError) as error:
        store(data, tmp_path / "none.npz")
    assert str(error.value) == (
        "Decoding masks needs pycocotools, which is not installed: install it, or bring "
        f"{tmp_path / 'none.npz'} from a machine that has it."
    )
    assert not (tmp_path / "none.npz").exists()


def test_a_damaged_store_is_refused(tiny_root, tmp_path):
    """Cut, replaced or with a flipped bit: a sentence, never another mask."""
    data = refer.read(tiny_root, "unc")
    path = tmp_path / "masks.npz"
    masks = store(data, path)
    whole = path.read_bytes()
    for content in (b"", b"<html>", whole[:-30], whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="masks.npz cannot be read .*delete the file"):
            store(data, path)
    warnings.simplefilter("ignore")  # the zip reader warns before it refuses
    for at in range(0, len(whole), 7):
        flipped = bytearray(whole)
        flipped[at] ^= 4
        path.write_bytes(flipped)
        try:
            found = store(data, path)
        except ValueError:
            continue
        for referent in data.referents:  # a flip in a date of the zip, say, changes no mask
            assert np.array_equal(found.mask(referent.ann_id), masks.mask(referent.ann_id))


def test_a_store_of_other_data_is_refused(tiny_root, tmp_path):
    data = refer.read(tiny_root, "unc")
    store(data, tmp_path / "masks.npz")
    fewer = replace(data, referents=data.referents[1:])
    with pytest.raises(ValueError, match="made from other data: delete the file"):
        store(fewer, tmp_path / "masks.npz")
