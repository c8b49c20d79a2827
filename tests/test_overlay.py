"""Overlays: seen by every eye on every picture, and nothing changes away from the mask."""

import numpy as np
import pytest
from PIL import Image

from tvnet.overlay import FILL, overlay

# Linear RGB as people without one kind of cone see it (Machado, Oliveira, Fernandes 2009).
EYES = {
    "all cones": np.eye(3),
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}
COLOURS = ["white", "black", "grey", "red", "lime", "blue", "orange", "skyblue", "hotpink", FILL]


def luminance(pixels, eye):
    """Relative luminance of sRGB, as WCAG has it."""
    values = np.asarray(pixels) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return (linear @ np.transpose(EYES[eye])).clip(0, 1) @ [0.2126, 0.7152, 0.0722]


def disc(height, width, radius=30):
    y, x = np.ogrid[:height, :width]
    return (y - height // 2) ** 2 + (x - width // 2) ** 2 < radius**2


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("colour", COLOURS, ids=str)
def test_the_outline_contrasts_with_every_picture_for_every_eye(colour, eye):
    mask = disc(100, 140)
    row = np.asarray(overlay(Image.new("RGB", (140, 100), colour), mask))[50]
    line = luminance(row, eye)
    contrast = (np.maximum(line[1:], line[:-1]) + 0.05) / (np.minimum(line[1:], line[:-1]) + 0.05)
    left, right = contrast[:70], contrast[70:]
    assert left.max() >= 4.5 and right.max() >= 4.5  # what text needs on its ground


@pytest.mark.parametrize("eye", EYES)
def test_the_fill_is_another_shade_than_a_grey_picture(eye):
    drawn = np.asarray(overlay(Image.new("RGB", (140, 100), "grey"), disc(100, 140)))
    assert abs(luminance(drawn[50, 70], eye) - luminance(drawn[0, 0], eye)) > 0.03


@pytest.mark.parametrize("size", [(60, 40), (640, 480), (1, 1), (3, 900)])
def test_nothing_changes_far_from_the_mask_and_the_picture_stays(size):
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8)
    picture, mask = Image.fromarray(pixels), np.zeros(size[::-1], dtype=bool)
    assert (np.asarray(overlay(picture, mask)) == pixels).all()
    mask[: size[1] // 2 + 1, : size[0] // 3 + 1] = True  # at two borders of the picture
    drawn = np.asarray(overlay(picture, mask))
    line = 1 + max(size) // 400
    assert (np.asarray(picture) == pixels).all()
    far = ~mask
    far[: size[1] // 2 + 1 + line, : size[0] // 3 + 1 + line] = False
    assert (drawn[far] == pixels[far]).all()
    assert (drawn[:line, : size[0] // 3] == 0).all()  # closed at the picture's border
    if size == (640, 480):
        blend = 0.6 * pixels[100:200, 100:200] + 0.4 * np.array(FILL)
        assert abs(drawn[100:200, 100:200] - blend).max() <= 1
        assert (drawn[100, 214:216] == 255).all() and (drawn[100, 212:214] == 0).all()


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(ValueError, match="A mask of 4 x 3 pixels does not fit a picture of 3 x 4"):
        overlay(Image.new("RGB", (3, 4)), np.ones((3, 4), dtype=bool))
