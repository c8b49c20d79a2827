"""Scenes as plain data: which things stand where, how they look, and what they stand on."""

from dataclasses import dataclass, replace

import numpy as np

from data_setup.miniref.catalogue import CATEGORIES, KINDS, Kind

PICTURE_SIZES = ((320, 240), (320, 213), (300, 225), (288, 216), (240, 320), (213, 320), (320, 180))
SUPPORTS = ("table", "shelf", "sofa", "bench")
FLIES = {"kite": 1.0, "bird": 0.4}  # how often, where there is sky
HELD = {"umbrella": 0.22, "ball": 0.2, "bag": 0.3, "cup": 0.1, "book": 0.1, "kite": 0.08}


@dataclass(frozen=True)
class Thing:
    """One object or one piece of stuff. Boxes are x, y, width, height in pixels."""

    category: str
    supercategory: str
    box: tuple[float, float, float, float]  # nominal extent, before anything hides it
    depth: float  # 0 far ... 1 near
    colour: str | None  # its main colour; of people, the colour of the top they wear
    attributes: tuple[tuple[str, str], ...] = ()
    on: int | None = None  # index of what it stands or lies on
    held_by: int | None = None  # index of the person who holds it
    seed: int = 0  # variation of its drawing


@dataclass(frozen=True)
class Scene:
    """A picture before it is drawn. `things` stand in painting order, stuff first."""

    kind: str
    seed: int
    width: int
    height: int
    things: tuple[Thing, ...]


def scene_seed(seed: int, number: int) -> int:
    """The seed of a world's picture: no two worlds share one while they have a million pictures."""
    return seed * 1_000_003 + number


def compose(seed: int) -> Scene:
    """The scene of a seed, always the same one."""
    rng = np.random.default_rng([seed, 7])
    name = list(KINDS)[rng.integers(len(KINDS))]
    kind = KINDS[name]
    sizes = [s for s in PICTURE_SIZES if s[0] > s[1] or not kind.furniture]  # tables need width
    width, height = sizes[rng.integers(len(sizes))]
    stage = _Stage(kind, rng, width, height)
    if kind.furniture:
        stage.furnish()
    stage.populate()
    return Scene(name, seed, width, height, stage.in_painting_order())


class _Stage:
    """A scene in the making. Indices in `on` and `held_by` count `things` until they are sorted."""

    def __init__(self, kind: Kind, rng: np.random.Generator, width: int, height: int):
        self.kind, self.rng, self.width, self.height = kind, rng, width, height
        self.horizon = height * rng.uniform(*kind.horizon)
        self.things: list[Thing] = []
        self.layers: list[float] = []  # painting order: small first
        for name, top, bottom in ((kind.far, 0.0, self.horizon), (kind.near, self.horizon, height)):
            box = (0.0, top, float(width), bottom - top)
            self._add(Thing(name, "stuff", box, 0.0, None, seed=self._seed()), -2.0)

    def _seed(self) -> int:
        return int(self.rng.integers(2**31))

    def _thing(self, category: str, *looks) -> Thing:
        return Thing(category, CATEGORIES[category].supercategory, *looks, seed=self._seed())

    def _add(self, thing: Thing, layer: float) -> int:
        self.things.append(thing)
        self.layers.append(layer)
        return len(self.things) - 1

    def _pick(self, options: list) -> str:
        return options[int(self.rng.integers(len(options)))]

    def _looks(self, category: str, avoid: set[str]) -> tuple[str | None, tuple]:
        about = CATEGORIES[category]
        fresh = [c for c in about.colours if c not in avoid]
        colour = self._pick(fresh or about.colours) if about.colours else None
        traits = [
            (key, self._pick(values))
            for key, values, odds in about.traits
            if self.rng.random() < odds
        ]
        return colour, tuple(traits)

    def _size(self, category: str, scale: float, attributes: tuple) -> tuple[float, float]:
        share, aspect = CATEGORIES[category].height, CATEGORIES[category].aspect
        looks = dict(attributes)
        if looks.get("looks") in ("boy", "girl"):
            share *= 0.66
        if looks.get("pose") in ("sitting", "lying"):
            share, aspect = share * 0.72, aspect * (1.35 if category == "person" else 1.2)
        h = share * scale * min(self.height, 1.1 * self.width) * self.rng.uniform(1.0, 1.34)
        h = min(h, 0.94 * self.width / aspect)  # it must fit a portrait
        return h * aspect, h

    def furnish(self) -> None:
        """The big piece that others stand on."""
        category, x, base, scale = self.kind.furniture
        colour, traits = self._looks(category, set())
        w, h = self._size(category, scale, traits)
        cx = self.width * (x + self.rng.uniform(-0.06, 0.06))
        foot = self.horizon + (self.height - self.horizon) * base
        box = (cx - w / 2, foot - h, w, h)
        thing = self._thing(category, box, min(1.0, base), colour, traits)
        self._add(thing, foot - 0.5 if category not in ("table", "shelf") else self.horizon)

    def populate(self) -> None:
        """Two to four of one or two categories, then a mixed company."""
        main = [self.kind.cast[int(k)] for k in self.rng.permutation(len(self.kind.cast))[:2]]
        people = self.rng.random() < self.kind.people
        wishes = ["person"] * int(self.rng.integers(2, 5)) if people else []
        for k, category in enumerate(c for c in main if c != "person"):
            wishes += [category] * int(self.rng.integers(2, 5 - k))
        extras = [c for c in self.kind.cast if c != "person"]
        wishes += [self._pick(extras) for _ in range(int(self.rng.integers(2, 6)))]
        for category in wishes:
            self._place(category)

    def _place(self, category: str) -> None:
        worn = {t.colour for t in self.things if t.category == category and t.colour}
        for _ in range(14):
            colour, traits = self._looks(category, worn if self.rng.random() < 0.8 else set())
            box, depth, on, layer = self._spot(category, traits)
            if box is None or self._crowded(box):
                continue
            thing = self._thing(category, box, depth, colour, traits, on)
            index = self._add(thing, layer)
            if category == "person":
                self._give(index)
            return

    def _spot(self, category: str, traits: tuple):
        """A free place for a thing: box, depth, what it stands on, painting order."""
        rng = self.rng
        flies = FLIES.get(category)
        if flies and self.kind.far == "sky" and rng.random() < flies:
            scale = rng.uniform(0.5, 1.0)
            w, h = self._size(category, scale, traits)
            x = rng.uniform(0, self.width - w)
            y = rng.uniform(0.02 * self.height, max(0.04 * self.height, self.horizon - h))
            return (x, y, w, h), 0.2, None, y + h - self.height
        if category == "clock":
            w, h = self._size(category, rng.uniform(0.6, 1.0), traits)
            y = rng.uniform(0.03 * self.height, max(0.05 * self.height, self.horizon * 0.8 - h))
            return (rng.uniform(0, self.width - w), y, w, h), 0.1, None, -1.0
        tops = self.kind.tops
        tops = [k for k, t in enumerate(self.things) if category in tops.get(t.category, ())]
        if tops and rng.random() < 0.85:
            return self._on_top(category, traits, int(tops[rng.integers(len(tops))]))
        if category in self.kind.only_on_tops:
            return None, 0.0, None, 0.0
        # Far off, small things would be specks, or giants beside the people there.
        handy = CATEGORIES[category].handy
        t = rng.uniform(0.5 if handy else 0.02, 1.0)
        foot = self.horizon + (self.height - self.horizon) * (0.06 + 0.92 * t)
        scale = self.kind.far_scale + (1 - self.kind.far_scale) * t
        w, h = self._size(category, scale * (0.75 if handy else 1.0), traits)
        x = rng.uniform(-0.1 * w, self.width - 0.9 * w)
        return (x, foot - h, w, h), t, None, foot

    def _on_top(self, category: str, traits: tuple, k: int):
        rng, support = self.rng, self.things[k]
        x0, y0, w0, h0 = support.box
        if support.category == "table":  # its plate is seen from above
            t = rng.uniform(0.05, 1.0)
            foot = y0 + 0.10 * h0 + 0.50 * h0 * t
            scale = self.kind.far_scale + (1 - self.kind.far_scale) * t
            w, h = self._size(category, scale, traits)
            left, right = x0 + 0.06 * w0, x0 + 0.94 * w0 - w
            layer = foot
        elif support.category == "shelf":
            board = int(rng.integers(3))
            foot = y0 + h0 * (0.30, 0.62, 0.94)[board]
            w, h = self._size(category, rng.uniform(0.55, 0.8), traits)
            h_max = 0.27 * h0
            w, h = (w * h_max / h, h_max) if h > h_max else (w, h)
            left, right, layer = x0 + 0.05 * w0, x0 + 0.95 * w0 - w, self.height + foot
        else:  # a seat
            foot = y0 + 0.72 * h0
            w, h = self._size(category, 0.35 + 0.65 * support.depth, traits)
            left, right, layer = x0 + 0.12 * w0, x0 + 0.88 * w0 - w, self.layers[k] + 0.5
        if right <= left:
            return None, 0.0, None, 0.0
        x = rng.uniform(left, right)
        return (x, foot - h, w, h), support.depth, k, layer

    def _crowded(self, box: tuple) -> bool:
        """Would it hide another thing, or be hidden, by more than half? A third is welcome."""
        x, y, w, h = box
        if x > self.width * 0.93 or x + w < self.width * 0.07 or y + h < 4:
            return True
        allowed = 0.18 if self.rng.random() < 0.6 else 0.5
        for other in self.things:
            if other.supercategory == "stuff" or other.category in SUPPORTS:
                continue
            ox, oy, ow, oh = other.box
            overlap_w = min(x + w, ox + ow) - max(x, ox)
            overlap_h = min(y + h, oy + oh) - max(y, oy)
            if overlap_w > 0 and overlap_h > 0:
                if overlap_w * overlap_h > allowed * min(w * h, ow * oh):
                    return True
        return False

    def _give(self, index: int) -> None:
        """Perhaps put something into a person's hand."""
        person = self.things[index]
        if dict(person.attributes).get("pose") in ("sitting", "lying"):
            return
        for category, odds in HELD.items():
            if category not in self.kind.hands or self.rng.random() > odds:
                continue
            x, y, w, h = person.box
            colour, traits = self._looks(category, set())
            size = h * {"umbrella": 0.5, "kite": 0.3, "bag": 0.27, "ball": 0.2}.get(category, 0.14)
            hand = x + w * (0.93 if self.rng.random() < 0.5 else 0.07)
            width = size * CATEGORIES[category].aspect
            top = y + 0.5 * h - size * 0.2
            if category == "umbrella":
                hand, top = x + w / 2, y - 0.28 * h
            elif category == "kite":
                top = y - 0.3 * h
            elif category in ("book", "cup"):
                top = y + 0.38 * h
            box = (hand - width / 2, top, width, size)
            held = self._thing(category, box, person.depth, colour, traits, None, index)
            self._add(held, self.layers[index] + (0.01 if category != "umbrella" else -0.01))
            return

    def in_painting_order(self) -> tuple[Thing, ...]:
        order = sorted(range(len(self.things)), key=lambda k: (self.layers[k], k))
        place = {old: new for new, old in enumerate(order)}
        moved = (self.things[old] for old in order)
        return tuple(replace(t, on=place.get(t.on), held_by=place.get(t.held_by)) for t in moved)
