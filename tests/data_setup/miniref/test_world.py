"""The drawn world: same seed same picture, true visible masks, and the hardness that was meant."""

from collections import Counter

import numpy as np
import pytest

from data_setup.miniref.catalogue import CATEGORIES, KINDS
from data_setup.miniref.draw import PAINTERS, render
from data_setup.miniref.scenes import Scene, Thing, compose


@pytest.fixture(scope="module")
def world():
    scenes = [compose(seed) for seed in range(60)]
    return [(scene, *render(scene)) for scene in scenes]


def test_a_seed_is_a_picture():
    first, again = (render(compose(5)) for _ in range(2))
    assert compose(5) == compose(5) != compose(6)
    assert first[0].tobytes() == again[0].tobytes()
    assert all(np.array_equal(a, b) for a, b in zip(first[1], again[1], strict=True))


def test_there_is_enough_to_speak_of():
    assert len(KINDS) >= 8
    assert len(CATEGORIES) >= 24
    assert len({about.supercategory for about in CATEGORIES.values()}) >= 6
    assert set(CATEGORIES) == set(PAINTERS)
    assert {scene.kind for scene in map(compose, range(120))} == set(KINDS)


@pytest.mark.slow
def test_masks_are_what_is_seen(world):
    for scene, image, masks in world:
        assert image.size == (scene.width, scene.height) and len(masks) == len(scene.things)
        assert np.sum(masks, axis=0).max() <= 1  # one pixel, one thing
        assert np.mean(np.any(masks, axis=0)) > 0.999  # and no pixel is nobody's


def test_what_is_painted_later_hides_what_was_there():
    def ball(x, colour):
        return Thing("ball", "sports", (x, 60.0, 60.0, 60.0), 1.0, colour)

    sky = Thing("sky", "stuff", (0.0, 0.0, 200.0, 160.0), 0.0, None)
    alone = render(Scene("beach", 0, 200, 160, (sky, ball(20.0, "red"))))[1][1]
    masks = render(Scene("beach", 0, 200, 160, (sky, ball(20.0, "red"), ball(50.0, "blue"))))[1]
    assert masks[1].sum() < alone.sum() and not (masks[1] & masks[2]).any()
    assert np.array_equal(masks[1], alone & ~masks[2])
    hidden = render(Scene("beach", 0, 200, 160, (sky, ball(20.0, "red"), ball(20.0, "blue"))))[1]
    assert not hidden[1].any()


def test_supports_and_holders_are_what_they_should_be(world):
    for scene, _, _ in world:
        for thing in scene.things:
            if thing.held_by is not None:
                assert scene.things[thing.held_by].category == "person"
            if thing.on is not None:
                tops = ("table", "shelf", "sofa", "bench", "chair")
                assert scene.things[thing.on].category in tops


def test_the_world_is_hard_in_the_way_that_was_meant(world):
    shares, twins, crowds = [], 0, 0
    for scene, _, masks in world:
        seen = [
            (thing, mask.mean())
            for thing, mask in zip(scene.things, masks, strict=True)
            if thing.supercategory != "stuff" and mask.mean() >= 0.006
        ]
        count = Counter(thing.category for thing, _ in seen)
        twins += any(n > 1 for n in count.values())
        crowds += count["person"] > 1
        shares += [share for _, share in seen]
    assert twins / len(world) > 0.8  # look-alikes nearly everywhere
    assert crowds / len(world) > 0.15
    assert 0.4 < np.mean(np.array(shares) < 0.05) < 0.85
    assert len(shares) / len(world) > 5


def test_lower_is_nearer_and_nearer_is_larger(world):
    cars = [
        (thing.box[1] + thing.box[3], thing.depth, thing.box[3] / scene.height)
        for scene in map(compose, range(300))
        for thing in scene.things
        if thing.category in ("car", "dog", "chair") and thing.on is None and scene.height == 240
    ]
    feet, depth, height = np.array(cars).T
    assert np.corrcoef(feet, depth)[0, 1] > 0.6 and np.corrcoef(depth, height)[0, 1] > 0.5
