"""What the annotations say of how a referent looks."""

import numpy as np
import pytest

from tvnet.data import refer
from tvnet.data.appearance import appearance_of, appearances


def drawn(colour, ground, side=8):
    """A square of one colour on a plain ground, 32x32."""
    pixels = np.full((32, 32, 3), ground, dtype=np.uint8)
    mask = np.zeros((32, 32), dtype=bool)
    mask[10 : 10 + side, 10 : 10 + side] = True
    pixels[mask] = colour
    return pixels, mask


def test_colour_surroundings_share_and_fill_of_a_drawn_square():
    pixels, mask = drawn((200, 10, 30), (0, 100, 0))
    pixels[0] = 255  # too far away to be around it
    found = appearance_of(pixels, mask)
    assert found.colour.tolist() == [200, 10, 30] and found.around.tolist() == [0, 100, 0]
    assert found.share == 64 / 1024 and found.fill == 1


def test_the_ring_is_one_pixel_at_this_size():
    pixels, mask = drawn((9, 9, 9), (0, 0, 0))
    pixels[9, 9] = 36  # the ring's corner: one of its 36 pixels
    assert np.allclose(appearance_of(pixels, mask).around, 1)
    pixels[8, 9] = 255  # one further out
    assert np.allclose(appearance_of(pixels, mask).around, 1)


def test_a_triangle_fills_half_of_its_box():
    pixels = np.zeros((40, 40, 3), dtype=np.uint8)
    assert appearance_of(pixels, np.tri(40, dtype=bool)).fill == pytest.approx(0.5, abs=0.02)


def test_what_fills_its_image_has_no_surroundings_and_an_empty_mask_no_colour():
    pixels = np.full((8, 8, 3), 7, dtype=np.uint8)
    full = appearance_of(pixels, np.ones((8, 8), dtype=bool))
    assert full.share == 1 and full.colour.tolist() == [7, 7, 7] and np.isnan(full.around).all()
    empty = appearance_of(pixels, np.zeros((8, 8), dtype=bool))
    assert empty.share == 0 and np.isnan(empty.colour).all() and np.isnan(empty.fill)


def test_each_referent_of_the_sentences_is_looked_at(tiny_root):
    data = refer.read(tiny_root, "unc+")
    samples = data.samples("val")
    found = appearances(samples, data)
    assert found.keys() == {s.ann_id for s in samples} and len(found) == 4
    red = [found[s.ann_id].colour for s in samples if s.category_id == 1]
    assert all(colour[0] > 150 > colour[2] for colour in red)
