"""From a scene to its picture and to the visible mask of every thing."""

import numpy as np
from PIL import Image

from data_setup.miniref import backdrop, creatures, furniture, objects, vehicles
from data_setup.miniref.brush import Brush, cloth
from data_setup.miniref.catalogue import CATEGORIES, THINGS
from data_setup.miniref.scenes import Scene, Thing

PAINTERS = {
    category: getattr(module, category)
    for module in (creatures, vehicles, furniture, objects)
    for category in CATEGORIES
    if hasattr(module, category)
}
FURRY = ("dog", "cat", "horse", "cow", "sheep", "tree", "plant")
FLYING = ("kite", "clock")


def render(scene: Scene) -> tuple[Image.Image, list[np.ndarray]]:
    """The RGB picture and, for each thing, its visible mask (H, W) bool; masks are disjoint."""
    rng = np.random.default_rng([scene.seed, 11])
    canvas = np.zeros((scene.height, scene.width, 3))
    owner = np.full((scene.height, scene.width), -1, dtype=np.int16)
    indoors = scene.things[0].category == "wall"
    for index, thing in enumerate(scene.things):
        if thing.supercategory == "stuff":
            top, bottom = backdrop.paint(canvas, thing.category, thing.box, rng)
            owner[top:bottom] = index
        else:
            _stamp(canvas, owner, index, thing, haze=0.0 if indoors else 0.28)
    lights = THINGS["lights"]
    light = np.array(lights[int(rng.integers(len(lights)))])
    across = np.linspace(*rng.permutation([0.9, 1.08]), scene.width)[None, :, None]
    picture = canvas * light * across * rng.uniform(0.88, 1.08)
    picture += rng.normal(0, 3.2, picture.shape[:2])[..., None]  # the grain of a sensor
    image = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
    return image, [owner == index for index in range(len(scene.things))]


def sprite(thing: Thing) -> Image.Image:
    """The thing alone, RGBA, at the size of its box, shaded and textured."""
    rng = np.random.default_rng([thing.seed, 13])
    width, height = max(3, round(thing.box[2])), max(3, round(thing.box[3]))
    brush = Brush(width, height, rng)
    looks = {"colour": thing.colour, **dict(thing.attributes)}
    if thing.category == "person":  # before its clothes: the order of choices makes the world
        looks["skin"] = creatures.SKINS[int(rng.integers(4))]
    colour = brush.jitter(thing.colour) if thing.colour else None
    PAINTERS[thing.category](brush, colour, looks)
    image = brush.image
    if rng.random() < 0.5 and thing.category != "clock":
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    pixels = np.asarray(image.resize((width, height), Image.Resampling.BOX)).astype(float)
    # Light falls from the upper left; fur is rougher than paint.
    fall = 1.12 - 0.26 * (np.linspace(0, 1, height)[:, None] * 0.7 + np.linspace(0, 1, width) * 0.3)
    rough = 15 if thing.category in FURRY else 5
    pixels[..., :3] = (
        pixels[..., :3] * fall[..., None] + (cloth(rng, height, width, 3) * rough)[..., None]
    )
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8), "RGBA")


def _stamp(canvas: np.ndarray, owner: np.ndarray, index: int, thing: Thing, haze: float) -> None:
    """Paint one thing over what is there: first its shadow, then itself."""
    image = sprite(thing)
    x, y = round(thing.box[0]), round(thing.box[1])
    if thing.held_by is None and thing.category not in FLYING:
        _shadow(canvas, x, y + image.height, image.width)
    h, w = owner.shape
    x0, y0, x1, y1 = max(0, x), max(0, y), min(w, x + image.width), min(h, y + image.height)
    if x0 >= x1 or y0 >= y1:
        return
    pixels = np.asarray(image)[y0 - y : y1 - y, x0 - x : x1 - x].astype(float)
    alpha = pixels[..., 3:] / 255
    mist = haze * (1 - thing.depth) ** 2  # the far is paler: low contrast on purpose
    colour = pixels[..., :3] * (1 - mist) + 190 * mist
    canvas[y0:y1, x0:x1] = canvas[y0:y1, x0:x1] * (1 - alpha) + colour * alpha
    owner[y0:y1, x0:x1][alpha[..., 0] >= 0.5] = index


def _shadow(canvas: np.ndarray, x: int, foot: int, width: int) -> None:
    h, w = canvas.shape[:2]
    deep = max(2, width // 9)
    x0, x1 = max(0, x - deep), min(w, x + width + 2 * deep)
    y0, y1 = max(0, foot - deep), min(h, foot + deep)
    if x0 >= x1 or y0 >= y1:
        return
    across = (np.arange(x0, x1) - (x + width / 2 + deep * 0.5)) / (width / 2 + deep)
    down = (np.arange(y0, y1)[:, None] - foot) / deep
    dark = np.clip(1 - across**2 - down**2, 0, 1)[..., None]
    canvas[y0:y1, x0:x1] *= 1 - 0.5 * dark
