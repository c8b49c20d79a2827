"""MiniVOC as tensors: its pictures, and what stands at each pixel in the words of the expressions.

`python -m data_setup minivoc` draws it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from tvnet.data.images import placement, resize_and_pad
from tvnet.data.refer import MARKER
from tvnet.files import read_json

# What the backbone's recipe is made for; a test holds it equal to what data_setup draws.
NEEDED = {"world": "MiniVOC", "version": 1, "pictures": 10_000, "seed": 1}
STUFF = 255  # where no object stands, for every question but its category


@dataclass(frozen=True)
class MiniVOC:
    """Squares uint8 (N, 3, S, S), objects uint8 (N, S, S) with 0 for stuff, and what they are.

    `classes` names the answers to each question, say "colour": ("none", "black", ...), and
    `answers` (N, K, Q) holds the class of object k of picture n for question q.
    """

    squares: Tensor
    objects: Tensor
    classes: dict[str, tuple[str, ...]]
    answers: Tensor

    def labels(self, which: Tensor, objects: Tensor) -> dict[str, Tensor]:
        """{question: classes int64 (B, S, S)} of object maps (B, S, S) of the pictures `which`.

        The category of stuff is class 0; every other question there is answered by STUFF.
        """
        table = self.answers[which].long()
        flat = objects.flatten(1).long()
        found = {}
        for q, question in enumerate(self.classes):
            answer = table[..., q].gather(1, flat).view(objects.shape)
            found[question] = answer if q == 0 else answer.masked_fill(objects == 0, STUFF)
        return found


def read(root: Path, size: int, needed: dict = NEEDED) -> MiniVOC:
    """All pictures of `root` at `size` pixels.

    Raises FileNotFoundError where no MiniVOC is there, ValueError where it is another one.
    """
    draw = f"python -m data_setup minivoc --root {root} --pictures {needed['pictures']}"
    if not (root / MARKER).is_file():
        raise FileNotFoundError(f"{root} holds no MiniVOC: draw it with `{draw}`.")
    if (found := read_json(root / MARKER, dict, f"remove {root} and run `{draw}`")) != needed:
        raise ValueError(
            f"{root} holds {found} and {needed} is needed: remove this folder or choose another, "
            f"then run `{draw}`."
        )
    things = json.loads((root / "things.json").read_text("utf-8"))
    squares = torch.zeros(len(things), 3, size, size, dtype=torch.uint8)
    objects = torch.zeros(len(things), size, size, dtype=torch.uint8)
    for n in tqdm(range(len(things)), desc="MiniVOC", unit="picture"):
        name = f"{n + 1:06d}"
        with Image.open(root / "JPEGImages" / f"{name}.jpg") as picture:
            squares[n] = torch.from_numpy(resize_and_pad(picture, size)).permute(2, 0, 1)
        with Image.open(root / "SegmentationObject" / f"{name}.png") as file:
            place = placement(file.height, file.width, size)
            inner = file.resize((place.inner_width, place.inner_height), Image.Resampling.NEAREST)
        objects[n][place.inner] = torch.from_numpy(np.array(inner))
    return MiniVOC(squares, objects, *_answers(things))


def _answers(things: list[list[dict]]) -> tuple[dict[str, tuple[str, ...]], Tensor]:
    """The questions that things answer, category and colour first, and all answers."""
    every = {(question, word) for some in things for t in some for question, word in t.items()}
    names = sorted({question for question, _ in every} - {"category", "colour"})
    classes = {
        question: ("none", *sorted(w for q, w in every if q == question and w != "none"))
        for question in ("category", "colour", *names)
    }
    most = max(len(some) for some in things)
    answers = torch.zeros(len(things), most + 1, len(classes), dtype=torch.uint8)
    for n, some in enumerate(things):
        for k, thing in enumerate(some, 1):
            for q, (question, words) in enumerate(classes.items()):
                answers[n, k, q] = words.index(thing.get(question, "none"))
    return classes, answers
