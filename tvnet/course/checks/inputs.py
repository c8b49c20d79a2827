"""Checks for the exercises of notebooks 01 to 03: data, words and pixels, retrieval."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from tvnet.course import reference
from tvnet.course.checks.verdict import verdict


def union_of(yours: Callable) -> str:
    """Exercise of notebook 01: polygons of one referent -> its mask."""
    a = np.array([[1, 1, 0], [0, 0, 0]], bool)
    b = np.array([[0, 1, 1], [0, 0, 0]], bool)
    cases = [(a[None],), (np.stack([a, ~a & ~b]),), (np.stack([a, b]),), (np.stack([a, b, a]),)]
    mistakes = {
        "you add the parts, so a pixel under two of them counts twice": lambda p: p.sum(0),
        "where two parts overlap you punch a hole": lambda p: p.sum(0) == 1,
        "you keep only what ALL parts cover, the intersection": lambda p: p.all(0),
        "you keep one part only": lambda p: p[0],
        "you join along a side of the picture; the parts lie along the first axis, axis 0": (
            lambda p: p.any(1),
            lambda p: p.any(2),
        ),
    }
    return verdict(yours, reference.union_of, cases, mistakes)


def shared_images(yours: Callable) -> str:
    """Exercise of notebook 01: how much of val has been seen in training."""
    cases = [([1], [2]), ([1, 2], [2]), ([1, 2, 3], [3, 4]), ([1, 2], [2, 2, 2, 3])]
    cases += [([5, 6, 7, 7], [7, 8, 9, 9])]
    mistakes = {
        "you divide by train's images; the question is how much of val is known": (
            lambda t, v: len(set(t) & set(v)) / len(set(t))
        ),
        "you count an image once per referent; count each image once": (
            lambda t, v: sum(i in t for i in v) / len(v)
        ),
        "you return a count; a share is asked for": lambda t, v: len(set(t) & set(v)),
        "you divide by all images of both splits": (
            lambda t, v: len(set(t) & set(v)) / len(set(t) | set(v))
        ),
    }
    return verdict(yours, reference.shared_images, cases, mistakes)


def last_state(yours: Callable) -> str:
    """Exercise of notebook 02: the LSTM's state after the last word, pads not read."""
    random = torch.Generator().manual_seed(0)
    cases = []
    for lengths, d in (([1], 1), ([1, 2], 1), ([3, 1], 2), ([2, 4, 1], 2)):
        n = len(lengths) * (max(lengths) + 1) * d
        states = torch.randperm(n, generator=random).float()
        cases.append((states.view(len(lengths), -1, d) + 1, torch.tensor(lengths)))
    mistakes = {
        "you take the state after the pads; each sentence ends at its own length": (
            lambda h, n: h[:, -1]
        ),
        "one step too late: word number n stands at position n - 1": (
            lambda h, n: h[torch.arange(len(n)), n]
        ),
        "you average over the words; s is the LAST state": lambda h, n: torch.stack(
            [row[:k].mean(0) for row, k in zip(h, n, strict=True)]
        ),
        "you take the first state; the LSTM has read one word only": lambda h, n: h[:, 0],
        "states[:, lengths - 1] takes every length in every row; index rows and steps together": (
            lambda h, n: h[:, n - 1]
        ),
        "rows and steps are exchanged: the rows are the first axis": (
            lambda h, n: h[n - 1, torch.arange(len(n))]
        ),
    }
    return verdict(yours, reference.last_state, cases, mistakes)


def to_square(yours: Callable) -> str:
    """Exercise of notebook 02: where a pixel of the picture lies in the padded square."""
    cases = [
        (0, 0, 4, 4, 4),
        (0, 0, 4, 2, 4),
        (2, 1, 4, 2, 8),
        (1, 3, 3, 6, 12),
        (9, 5, 20, 10, 40),
        (1, 2, 3, 5, 8),
        (30, 20, 64, 48, 32),
    ]

    def unpadded(x: float, y: float, w: int, h: int, size: int) -> tuple:
        return x * size / max(w, h), y * size / max(w, h)

    mistakes = {
        "the picture lies between two black bars: add the one before it": unpadded,
        "you stretch the picture to the square; one scale serves both sides": (
            lambda x, y, w, h, size: (x * size / w, y * size / h)
        ),
        "both bars lie before your picture; half of the padding goes to each side": (
            lambda x, y, w, h, size: (
                x * size / max(w, h) + size - w * size / max(w, h),
                y * size / max(w, h) + size - h * size / max(w, h),
            )
        ),
        "you return (y, x); asked for is (x, y)": (
            lambda x, y, w, h, size: reference.to_square(x, y, w, h, size)[::-1]
        ),
        "the scale is missing: the picture is first resized until its longer side fits": (
            lambda x, y, w, h, size: (x + (size - w) / 2, y + (size - h) / 2)
        ),
        "width and height are exchanged where you compute the bars": (
            lambda x, y, w, h, size: reference.to_square(x, y, h, w, size)
        ),
    }
    return verdict(yours, reference.to_square, cases, mistakes)


def candidates(yours: Callable) -> str:
    """Exercise of notebook 03: stage one with the rules that the paper does not print."""
    tables = [
        ([0.1, 0.9], [7, 8], 1, 1),
        ([0.9, 0.5], [7, 8], 7, 1),
        ([0.9, 0.8, 0.5], [7, 7, 8], 1, 2),
        ([0.3, 0.9, 0.8, 0.7, 0.6], [5, 6, 6, 7, 8], 7, 2),
        ([0.1, 0.6, 0.9, 0.55, -0.1, 0.1, 0.95, 0.93], [6, 8, 6, 8, 9, 6, 7, 7], 7, 3),
        ([0.1, 0.6, 0.9, 0.55, -0.1, 0.1, 0.95, 0.93], [6, 8, 6, 8, 9, 6, 7, 7], 7, 4),
    ]
    cases = [(np.array(s), np.array(i), own, k) for s, i, own, k in tables]

    def ranked(similarity: np.ndarray, images: np.ndarray, own: int, k: int) -> list:
        return list(dict.fromkeys(images[np.argsort(-similarity, kind="stable")].tolist()))[:k]

    def twice(similarity: np.ndarray, images: np.ndarray, own: int, k: int) -> list:
        order = images[np.argsort(-similarity, kind="stable")].tolist()
        return [image for image in order if image != own][:k]

    mistakes = {
        "the query's own image is among them, and nothing is more similar": ranked,
        "an image stands in the list twice; count it once, by its best sentence": twice,
        "you count an image once only AFTER cutting to k, so places are lost": (
            lambda s, i, own, k: list(dict.fromkeys(twice(s, i, own, k)))
        ),
        "you list the least similar first": (
            lambda s, i, own, k: reference.candidates(-s, i, own, k)
        ),
    }
    return verdict(yours, reference.candidates, cases, mistakes)


def second_stage(yours: Callable) -> str:
    """Exercise of notebook 03: of the candidates, the image most like the query's."""
    pool = np.array([[1.0, 0.0], [9.0, 9.0], [0.6, 0.8], [-1.0, 0.0]])
    tables = [([0], [1, 0]), ([1, 0], [1, 0]), ([0, 2], [0.6, 0.8]), ([1, 3, 2], [0.6, 0.8])]
    tables += [([2, 1], [0.8, 0.3]), ([2, 3], [0.8, 0.3])]
    cases = [(np.array(c), pool, np.array(own, float)) for c, own in tables]
    mistakes = {
        "a dot product favours long vectors; a cosine divides by both lengths": (
            lambda c, p, own: c[(p[c] @ own).argmax()]
        ),
        "you keep the best by text; the second stage looks at the image vectors": (
            lambda c, p, own: c[0]
        ),
        "you return a place in the list; asked for is the image that stands there": (
            lambda c, p, own: int(np.argmax(p[c] @ own / np.linalg.norm(p[c], axis=1)))
        ),
        "you choose the LEAST similar image": (
            lambda c, p, own: c[(p[c] @ own / np.linalg.norm(p[c], axis=1)).argmin()]
        ),
    }
    return verdict(yours, reference.second_stage, cases, mistakes)
