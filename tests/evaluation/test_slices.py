"""Parts of a split, on pictures drawn for them."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tvnet.data.records import Picture, ReferData, Referent, Sentence
from tvnet.evaluation.slices import same_category, slices

GREY, RED, BLUE = (120, 120, 120), (220, 20, 20), (20, 20, 220)
BALL, KITE = 1, 2


def world(folder, things):
    """One picture of 64x64 a thing: (category, colour, box x y w h, split, polygon or None)."""
    pictures, referents, segmentations = {}, [], {}
    for i, (category, colour, (x, y, w, h), split, polygon) in enumerate(things, start=1):
        pixels = np.full((64, 64, 3), GREY, dtype=np.uint8)
        pixels[y : y + h, x : x + w] = colour
        path = folder / f"{i}.png"
        Image.fromarray(pixels).save(path)
        pictures[i] = Picture(i, path, 64, 64)
        segmentations[i] = [polygon or [x, y, x + w, y, x + w, y + h, x, y + h]]
        sentences = (Sentence(10 * i, "that one"), Sentence(10 * i + 1, "the thing"))
        referents.append(Referent(i, i, i, category, split, sentences))
    return ReferData("drawn", pictures, tuple(referents), segmentations, {BALL: "ball"})


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Eight pictures of val: what is special about each stands beside it."""
    box = (16, 16, 32, 32)
    common = (BALL, RED, box, "train", None)
    half = [16, 16, 48, 16, 16, 48]  # a triangle: half of the box
    val = [
        ("plain", (BALL, RED, box, "val", None)),
        ("small", (BALL, RED, (20, 20, 12, 12), "val", None)),
        ("pale", (BALL, (126, 120, 120), box, "val", None)),
        ("cut", (BALL, RED, box, "val", half)),
        ("kite", (KITE, RED, box, "val", None)),
        ("blue", (BALL, BLUE, box, "val", None)),
        ("cut 2", (BALL, RED, box, "val", half)),
        ("plain 2", (BALL, RED, box, "val", None)),
    ]
    things = [common] * 5 + [(KITE, BLUE, box, "train", None)] + [thing for _, thing in val]
    data = world(tmp_path_factory.mktemp("drawn"), things)
    samples = data.samples("val")
    sent_id = np.array([s.sent_id for s in samples])
    similar = np.array([1 if s.category_id == BALL and s.ann_id % 2 else 6 for s in samples])
    neighbours = SimpleNamespace(of=lambda ids: similar)
    names = np.repeat([name for name, _ in val], 2)
    masks = slices(sent_id, data, neighbours)
    return {name: set(names[mask].tolist()) for name, mask in masks.items()}, masks, data


def test_each_slice_holds_the_picture_that_was_drawn_for_it(found):
    names, masks, _ = found
    assert all(mask.dtype == bool and mask.shape == (16,) for mask in masks.values())
    assert names["small"] == {"small"}  # a bound, not a quarter
    assert names["low contrast"] >= {"pale"} and "blue" not in names["low contrast"]
    assert names["unusual outline"] == {"cut", "cut 2"}
    assert names["rare category"] >= {"kite"}
    assert names["rare pair"] == {"kite", "blue", "pale"}  # no training referent is like them
    assert names["good neighbour"] == {"plain", "pale", "kite", "cut 2"}  # see similar


def test_a_neighbour_is_good_by_any_referent_that_it_holds(found):
    data = found[2]
    ball, kite = data.samples("train")[0], data.samples("train")[-1]
    assert same_category([ball, kite], np.array([6, 6]), data).tolist() == [False, True]
    assert same_category([], np.array([], dtype=int), data).tolist() == []
