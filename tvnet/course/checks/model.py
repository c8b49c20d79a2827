"""Checks for the exercises of notebooks 04 to 06: enrichment, fusion, AMF."""

from __future__ import annotations

from collections.abc import Callable

import torch

from tvnet.course import reference
from tvnet.course.checks.verdict import verdict


def attention(yours: Callable) -> str:
    """Exercise of notebook 04: the rows of A of Eq. 1, scaled (D2) and without padding (D6)."""
    random = torch.Generator().manual_seed(0)
    cases = []
    for n, m, d in ((1, 2, 1), (2, 3, 4), (3, 2, 4), (4, 5, 9)):
        q, k = torch.randn(n, d, generator=random), torch.randn(m, d, generator=random)
        cases.append((3 * q, 3 * k, torch.arange(m) != 1))

    def scores(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        return q @ k.T / q.shape[1] ** 0.5

    mistakes = {
        "your columns sum to one; each ROW is a cell's shares of the other image": (
            lambda q, k, v: scores(q, k).masked_fill(~v, -torch.inf).softmax(0),
            lambda q, k, v: scores(q, k).masked_fill(~v, -torch.inf).softmax(0).nan_to_num(),
            lambda q, k, v: scores(q, k).masked_fill(~v, -1e9).softmax(0),
            lambda q, k, v: scores(q, k).softmax(0),
        ),
        "the scale is missing: divide the scores by the root of the width (D2)": (
            lambda q, k, v: (q @ k.T).masked_fill(~v, -torch.inf).softmax(1)
        ),
        "you divide by the width itself; the scale is its square root (D2)": (
            lambda q, k, v: (q @ k.T / q.shape[1]).masked_fill(~v, -torch.inf).softmax(1)
        ),
        "queries and keys are exchanged: a row belongs to a cell of the input image": (
            lambda q, k, v: scores(k, q).softmax(1),
            lambda q, k, v: scores(k, q).masked_fill(~v[:, None], -torch.inf).softmax(1),
        ),
        "padding gets a share; its scores must be minus infinity before the softmax": (
            lambda q, k, v: scores(q, k).softmax(1)
        ),
        "you set padding to zero AFTER the softmax, so the rows no longer sum to one": (
            lambda q, k, v: scores(q, k).softmax(1) * v
        ),
        "a score of zero still gets a share: exp(0) is one; use minus infinity": (
            lambda q, k, v: (scores(q, k) * v).softmax(1)
        ),
        "you attend to padding only: the mask is inverted": (
            lambda q, k, v: scores(q, k).masked_fill(v, -torch.inf).softmax(1)
        ),
    }
    return verdict(yours, reference.attention, cases, mistakes)


def enriched(yours: Callable) -> str:
    """Exercise of notebook 04: Eq. 2."""
    random = torch.Generator().manual_seed(1)
    shapes = ((1, 1, 1, 1), (1, 2, 1, 2), (2, 3, 2, 2))
    cases = [tuple(torch.randn(3, *shape, generator=random)) for shape in shapes]
    mistakes = {
        "V_in itself is lost; what is borrowed is ADDED to it": lambda v, g, b: g.sigmoid() * b,
        "the gate has no bound; Eq. 2 puts it through a sigmoid": lambda v, g, b: v + g * b,
        "you gate what the cell has; Eq. 2 gates what it borrows": (
            lambda v, g, b: g.sigmoid() * v + b
        ),
        "gate and borrowed are exchanged: the sigmoid belongs to the gate": (
            lambda v, g, b: v + b.sigmoid() * g
        ),
        "you blend the two; Eq. 2 keeps V_in whole": (
            lambda v, g, b: (1 - g.sigmoid()) * v + g.sigmoid() * b
        ),
    }
    return verdict(yours, reference.enriched, cases, mistakes)


def coordinates_of(yours: Callable) -> str:
    """Exercise of notebook 05: the eight numbers of O at one cell."""
    cases = [(0, 0, 1, 1), (0, 1, 1, 2), (1, 0, 2, 4), (2, 3, 5, 4)]

    def zero_to_one(row: int, col: int, h: int, w: int) -> tuple:
        return (*[(x + 1) / 2 for x in reference.coordinates_of(row, col, h, w)[:6]], 1 / w, 1 / h)

    def turned(row: int, col: int, h: int, w: int) -> tuple:
        left, top, right, bottom, x, y, width, height = reference.coordinates_of(row, col, h, w)
        return top, left, bottom, right, y, x, height, width

    def doubled(row: int, col: int, h: int, w: int) -> tuple:
        return (*reference.coordinates_of(row, col, h, w)[:6], 2 / w, 2 / h)

    def edges(row: int, col: int, h: int, w: int) -> tuple:
        left, top, right, bottom, _, _, width, height = reference.coordinates_of(row, col, h, w)
        return left, top, right, bottom, left, top, width, height

    mistakes = {
        "you count from 0 to 1; O runs from -1 to 1 across the map": zero_to_one,
        "x and y are exchanged: first comes the left edge": turned,
        "the last two are shares of the map, 1 / w and 1 / h": doubled,
        "you take the edge for the centre, which lies half a cell further": edges,
    }
    return verdict(yours, reference.coordinates_of, cases, mistakes)


def lstm_step(yours: Callable) -> str:
    """Exercise of notebook 05: one step of an LSTM from its gates, forget bias one."""
    random = torch.Generator().manual_seed(2)
    cases = [tuple(torch.randn(5, *s, generator=random)) for s in ((1, 1), (1, 2), (2, 3))]

    def step(i: torch.Tensor, f: torch.Tensor, o: torch.Tensor, g: torch.Tensor,
             c: torch.Tensor, bias: float = 1.0) -> tuple:  # fmt: skip
        c = (f + bias).sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c

    mistakes = {
        "the forget gate starts half closed: add its bias of one": (
            lambda i, f, o, g, c: step(i, f, o, g, c, 0.0)
        ),
        "i lets the new in and f keeps the old; yours do the opposite": (
            lambda i, f, o, g, c: step(f + 1, i - 1, o, g, c)
        ),
        "the memory leaves through a tanh: h = o * tanh(c)": (
            lambda i, f, o, g, c: (o.sigmoid() * step(i, f, o, g, c)[1], step(i, f, o, g, c)[1])
        ),
        "you return (c, h); asked for is (h, c)": lambda i, f, o, g, c: step(i, f, o, g, c)[::-1],
        "h comes from the NEW memory": (
            lambda i, f, o, g, c: (o.sigmoid() * c.tanh(), step(i, f, o, g, c)[1])
        ),
    }
    return verdict(yours, reference.lstm_step, cases, mistakes)


def unshuffle(yours: Callable) -> str:
    """Exercise of notebook 06: pixel shuffle backwards."""
    shapes = ((1, 1, 2, 2), (1, 1, 2, 4), (2, 3, 4, 6))
    cases = [(torch.arange(torch.Size(s).numel(), dtype=torch.float32).view(s),) for s in shapes]

    def quarters(x: torch.Tensor, order: tuple) -> torch.Tensor:
        B, C, H, W = x.shape
        parts = x.view(B, C, H // 2, 2, W // 2, 2).permute(order)
        return parts.reshape(B, 4 * C, H // 2, W // 2)

    mistakes = {
        "you only rename the axes: without a permutation the numbers keep their order": (
            lambda x: x.reshape(len(x), -1, x.shape[2] // 2, x.shape[3] // 2)
        ),
        "row and column inside a cell are exchanged": lambda x: quarters(x, (0, 1, 5, 3, 2, 4)),
        "the quarters come before the channels; pixel shuffle keeps a channel's four together": (
            lambda x: quarters(x, (0, 3, 5, 1, 2, 4))
        ),
    }
    return verdict(yours, reference.unshuffle, cases, mistakes)


def gated_detail(yours: Callable) -> str:
    """Exercise of notebook 06: what the last convolution of Eq. 5 reads."""
    random = torch.Generator().manual_seed(3)
    cases = []
    for b, d, d_hr, side in ((1, 1, 1, 1), (1, 2, 1, 2), (2, 3, 2, 2)):
        sizes = (b, d, side, side), (b, d_hr, side, side), (b, 1, side, side)
        cases.append(tuple(torch.randn(s, generator=random) for s in sizes))
    mistakes = {
        "the gate holds back U; it must hold back the DETAIL": (
            lambda u, v, a: torch.cat([a.sigmoid() * u, v], 1)
        ),
        "the gate holds back both": lambda u, v, a: a.sigmoid() * torch.cat([u, v], 1),
        "U comes first in [U; A2 * V2']": lambda u, v, a: torch.cat([a.sigmoid() * v, u], 1),
        "nothing is held back: that is Cct": lambda u, v, a: torch.cat([u, v], 1),
        "you join along another axis; the channels are axis 1": (
            lambda u, v, a: torch.cat([u, a.sigmoid() * v]),
            lambda u, v, a: torch.cat([u, a.sigmoid() * v], 2),
            lambda u, v, a: torch.cat([u, a.sigmoid() * v], 3),
        ),
        "the gate is a share between 0 and 1: put it through a sigmoid": (
            lambda u, v, a: torch.cat([u, a * v], 1)
        ),
    }
    return verdict(yours, reference.gated_detail, cases, mistakes)
