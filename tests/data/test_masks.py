"""Masks of every kind decode, and the store keeps them."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from data_setup.convert.segmentations import decode
from tvnet.data import refer
from tvnet.data.masks import from_counts, store, to_counts

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


def test_the_store_gives_the_masks_of_the_data(tiny_root, tmp_path):
    data = refer.read(tiny_root, "unc")
    path = tmp_path / "cache" / "masks.safetensors"
    made, read = store(data, path), store(data, path)
    for referent in data.referents:
        for found in (made, read):
            assert np.array_equal(found.mask(referent.ann_id), data.mask(referent.ann_id))
    assert [p.name for p in path.parent.iterdir()] == ["masks.safetensors"]
    with pytest.raises(ValueError, match="mask store holds no annotation 99"):
        read.mask(99)


def test_masks_need_pycocotools_only_to_be_made(tiny_root, tmp_path, monkeypatch):
    data = refer.read(tiny_root, "unc")
    store(data, tmp_path / "masks.safetensors")
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    assert store(data, tmp_path / "masks.safetensors").mask(10).any()


def test_a_damaged_store_is_refused(tiny_root, tmp_path):
    """Cut, replaced or with a flipped bit: a sentence, never another mask."""
    data = refer.read(tiny_root, "unc")
    path = tmp_path / "masks.safetensors"
    store(data, path)
    whole = path.read_bytes()
    for content in (b"", b"<html>", whole[:-30], whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="masks.safetensors cannot be read .*delete the file"):
            store(data, path)
    for at in range(0, len(whole), 7):
        flipped = bytearray(whole)
        flipped[at] ^= 4
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match="cannot be read"):
            store(data, path)


def test_a_store_of_other_data_is_refused(tiny_root, tmp_path):
    data = refer.read(tiny_root, "unc")
    store(data, tmp_path / "masks.safetensors")
    fewer = replace(data, referents=data.referents[1:])
    with pytest.raises(ValueError, match="made from other data: delete the file"):
        store(fewer, tmp_path / "masks.safetensors")
