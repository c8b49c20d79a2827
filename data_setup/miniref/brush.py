"""The brush: shapes in a thing's own unit box, colours with light and shade, patterns, textures."""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from data_setup.miniref.catalogue import COLOURS

DARK = (36, 36, 40)
SUPER = 2  # sprites are painted this much larger and scaled down, which smooths their edges

Colour = tuple[int, int, int]
Points = list[tuple[float, float]]
Looks = dict  # a thing's attributes by name, its colour's word among them, and a person's skin


def shade(colour: Colour, factor: float) -> Colour:
    """Darker below 1, lighter above."""
    if factor <= 1:
        return tuple(int(c * factor) for c in colour)
    return tuple(int(c + (255 - c) * (factor - 1)) for c in colour)


class Brush:
    """Draws into the unit box of one thing, from (0, 0) top left to (1, 1) bottom right."""

    def __init__(self, width: int, height: int, rng: np.random.Generator):
        self.w, self.h = width * SUPER, height * SUPER
        self.image = Image.new("RGBA", (self.w, self.h), (0, 0, 0, 0))
        self.pen = ImageDraw.Draw(self.image)
        self.rng = rng

    def _at(self, points: Points) -> Points:
        return [(x * self.w, y * self.h) for x, y in points]

    def jitter(self, colour: str) -> Colour:
        """The colour of a word, never twice quite the same."""
        shift = self.rng.normal(0, 7, 3) + self.rng.normal(0, 6)
        return tuple(int(c) for c in np.clip(np.array(COLOURS[colour]) + shift, 0, 255))

    def polygon(self, points: Points, fill: Colour, pattern: str | None = None) -> None:
        self._fill(lambda pen, ink: pen.polygon(self._at(points), fill=ink), fill, pattern)

    def ellipse(self, x0, y0, x1, y1, fill: Colour, pattern: str | None = None) -> None:
        box = self._at([(x0, y0), (x1, y1)])
        self._fill(lambda pen, ink: pen.ellipse(box, fill=ink), fill, pattern)

    def rect(self, x0, y0, x1, y1, fill: Colour, radius=0.0, pattern: str | None = None) -> None:
        """radius counts in widths of the box."""
        box, r = self._at([(x0, y0), (x1, y1)]), radius * self.w
        self._fill(lambda pen, ink: pen.rounded_rectangle(box, r, fill=ink), fill, pattern)

    def line(self, points: Points, fill: Colour, width: float) -> None:
        """width counts in widths of the box; ends are round."""
        at, thick = self._at(points), max(1, round(width * self.w))
        self.pen.line(at, fill=fill, width=thick, joint="curve")
        r = thick / 2
        for x, y in (at[0], at[-1]):
            self.pen.ellipse((x - r, y - r, x + r, y + r), fill=fill)

    def arc(self, x0, y0, x1, y1, start, end, fill: Colour, width: float) -> None:
        box = self._at([(x0, y0), (x1, y1)])
        self.pen.arc(box, start, end, fill=fill, width=max(1, round(width * self.w)))

    def pie(self, x0, y0, x1, y1, start, end, fill: Colour, pattern: str | None = None) -> None:
        box = self._at([(x0, y0), (x1, y1)])
        self._fill(lambda pen, ink: pen.pieslice(box, start, end, fill=ink), fill, pattern)

    def _fill(self, draw, colour: Colour, pattern: str | None) -> None:
        if pattern is None:
            draw(self.pen, colour)
            return
        mask = Image.new("L", (self.w, self.h))
        draw(ImageDraw.Draw(mask), 255)
        self.image.paste(self._pattern(colour, pattern), mask=mask)

    def _pattern(self, colour: Colour, pattern: str) -> Image.Image:
        light = sum(colour) > 480
        ink = shade(colour, 0.35) if light else (246, 244, 236)
        tile = Image.new("RGB", (self.w, self.h), colour)
        pen = ImageDraw.Draw(tile)
        step = max(8, min(self.w, self.h) // 5)
        if pattern == "striped":
            for y in range(0, self.h, step):
                pen.rectangle((0, y, self.w, y + step * 0.42), fill=ink)
        else:  # dotted, spotted
            r = step * (0.26 if pattern == "dotted" else 0.55)
            gap = step if pattern == "dotted" else step * 1.9
            for row, y in enumerate(np.arange(gap / 2, self.h, gap)):
                for x in np.arange(gap / 2 + (row % 2) * gap / 2, self.w, gap):
                    dx, dy = self.rng.normal(0, gap / 6, 2) if pattern == "spotted" else (0, 0)
                    pen.ellipse((x + dx - r, y + dy - r, x + dx + r, y + dy + r * 0.9), fill=ink)
        return tile


@lru_cache(maxsize=16)
def noise(seed: int, coarse: int, size: int = 384) -> np.ndarray:
    """(size, size) float in about [-1, 1]: smooth patches about `coarse` pixels wide."""
    rng = np.random.default_rng([seed, coarse])
    small = rng.normal(0, 1, (size // coarse + 2,) * 2).astype(np.float32)
    big = Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(big)


def cloth(rng: np.random.Generator, height: int, width: int, coarse: int) -> np.ndarray:
    """A random cut (height, width) of one of a few noise sheets."""
    sheet = noise(int(rng.integers(4)), coarse)
    y = int(rng.integers(0, max(1, sheet.shape[0] - height)))
    x = int(rng.integers(0, max(1, sheet.shape[1] - width)))
    cut = sheet[y : y + height, x : x + width]
    return cut if cut.shape == (height, width) else np.resize(cut, (height, width))
