"""Stuff: sky, ground, walls, water, with texture and far-off clutter."""

import numpy as np
from PIL import Image, ImageDraw

from data_setup.miniref.brush import cloth
from data_setup.miniref.catalogue import STUFF


def paint(canvas: np.ndarray, name: str, box: tuple, rng: np.random.Generator) -> tuple[int, int]:
    """Fill rows of `canvas` (H, W, 3) float with one kind of stuff; the rows it covers."""
    top, bottom = round(box[1]), round(box[1] + box[3])
    height, width = bottom - top, canvas.shape[1]
    tones = STUFF[name]["tones"]
    far, near = (np.array(c, float) for c in tones[int(rng.integers(len(tones)))])
    t = np.linspace(0, 1, height)[:, None, None]
    area = np.broadcast_to(far * (1 - t) + near * t, (height, width, 3)).copy()
    coarse, strength = STUFF[name]["grain"]
    grain = cloth(rng, height, width, coarse)
    if name == "water":  # waves lie flat and grow towards us
        grain = np.repeat(grain[:, ::6], 6, axis=1)[:, :width]
        grain = np.pad(grain, ((0, 0), (0, width - grain.shape[1])), mode="edge")
    area += (grain * strength)[..., None] * (0.4 + 0.6 * t)
    area += (cloth(rng, height, width, 48) * 6)[..., None]
    picture = Image.fromarray(area.clip(0, 255).astype(np.uint8))
    _clutter(ImageDraw.Draw(picture), name, width, height, rng)
    canvas[top:bottom] = np.asarray(picture)
    return top, bottom


def _clutter(pen: ImageDraw.ImageDraw, name: str, w: int, h: int, rng: np.random.Generator) -> None:
    uniform = rng.uniform
    if name == "sky":
        for _ in range(int(rng.integers(0, 4))):
            x, y, s = uniform(0, w), uniform(0, h * 0.6), uniform(14, 34)
            for dx in (-0.8, 0, 0.8, 0.3):
                r = s * uniform(0.35, 0.6)
                box = (x + dx * s - r, y - r * 0.6, x + dx * s + r, y + r * 0.6)
                pen.ellipse(box, fill=(244, 244, 242))
        x = -20.0
        houses = rng.random() < 0.5
        while x < w:  # a skyline of houses, or hills
            s, top = uniform(18, 52), uniform(0.10, 0.5) * h
            tone = int(uniform(110, 170))
            ink = (tone, int(tone * uniform(0.9, 1.05)), int(tone * uniform(0.85, 1.1)))
            if houses:
                pen.rectangle((x, h - top, x + s, h), fill=ink)
                for wx in np.arange(x + 4, x + s - 5, 9):
                    for wy in np.arange(h - top + 5, h - 6, 11):
                        lit = (232, 216, 150) if uniform() < 0.4 else (84, 92, 104)
                        pen.rectangle((wx, wy, wx + 4, wy + 5), fill=lit)
            else:
                hill = (ink[0] - 20, ink[1] + 12, ink[2] - 24)
                pen.ellipse((x - s, h - top * 0.7, x + 2 * s, h + top), fill=hill)
            x += s * uniform(0.8, 1.2)
    elif name == "wall":
        style = int(rng.integers(3))
        ink = (120, 104, 92)
        if style == 0:
            for x in np.arange(uniform(4, 14), w, uniform(14, 26)):
                pen.line((x, 0, x, h), fill=(236, 228, 214))
        elif style == 1:
            for y in np.arange(8, h, 17):
                pen.line((0, y, w, y), fill=(170, 156, 144))
                for x in np.arange((y % 34) * 0.6, w, 26):
                    pen.line((x, y - 17, x, y), fill=(170, 156, 144))
        if uniform() < 0.7:  # a window or a painting
            x, s = uniform(0.05, 0.7) * w, uniform(0.16, 0.26) * w
            y, v = uniform(0.05, 0.2) * h, uniform(0.4, 0.6) * h
            sky = (168, 206, 232)
            if uniform() < 0.5:
                sky = tuple(int(c) for c in rng.integers(90, 230, 3))
            pen.rectangle((x, y, x + s, y + v), fill=sky, outline=ink, width=3)
            pen.line((x + s / 2, y, x + s / 2, y + v), fill=ink, width=2)
            pen.line((x, y + v / 2, x + s, y + v / 2), fill=ink, width=2)
        pen.rectangle((0, h - 5, w, h), fill=(226, 218, 204))
    elif name == "floor":
        for k in range(-6, 20):
            pen.line((w * k / 13, h, w / 2 + (w * k / 13 - w / 2) * 0.45, 0), fill=(110, 82, 60))
    elif name == "road":
        pen.rectangle((0, 0, w, h * 0.10), fill=(172, 166, 158))
        y = h * 0.46
        for x in np.arange(uniform(-40, 0), w, 56):
            dash = [(x, y), (x + 30, y), (x + 26, y + 5), (x - 6, y + 5)]
            pen.polygon(dash, fill=(226, 222, 200))
    elif name in ("grass", "sand"):
        for _ in range(60):
            x, y = uniform(0, w), h * uniform(0, 1) ** 0.7
            r = 1 + 3 * y / h
            box = (x - r, y - r * 0.5, x + r, y + r * 0.5)
            pen.ellipse(box, fill=tuple(STUFF[name]["specks"][int(rng.integers(3))]))
    elif name == "trees":
        for _ in range(26):
            x, y, s = uniform(0, w), uniform(0.25, 1) * h, uniform(12, 34)
            g = int(uniform(60, 130))
            pen.ellipse((x - s, y - s, x + s, y + s), fill=(int(g * 0.7), g, int(g * 0.5)))
