"""A dependency tree for LSCM, by rule: only who is linked to whom counts there (D81).

A sentence is cut at its relation words ("cup | left of | dog"). In each piece the last noun is the
head, the other words hang on it. A relation word hangs on the head before it, and the next piece's
head hangs on the relation word.
"""

import torch
from torch import Tensor

NOUN, SIDE_WORD, RELATION = range(3)  # as in data/word_kinds.py; a test holds them equal


def parents(kinds: Tensor, pad: Tensor) -> Tensor:
    """(B, T): the position of the word that each word hangs on; the root's and a pad's is its own.

    kinds (B, T): NOUN, SIDE_WORD or RELATION; pad (B, T).
    """
    at = torch.arange(kinds.shape[1], device=kinds.device).expand_as(kinds)
    joins = (kinds == RELATION) & ~pad
    ordinary = ~joins & ~pad
    piece = joins.cumsum(1)
    together = (piece[:, :, None] == piece[:, None]) & ordinary[:, :, None] & ordinary[:, None]
    rank = at + kinds.shape[1] * (kinds == NOUN)  # a noun before any other word, then the last
    head = torch.where(together, rank[:, None], -1).argmax(2)
    head = torch.where(ordinary, head, at)

    opening = torch.where(joins, at, -1).cummax(1).values  # the relation word before each word
    before = (at - 1).clamp(min=0)
    parent = torch.where(ordinary & (head == at) & (opening >= 0), opening, head)
    return torch.where(joins, head.gather(1, before), parent)


def neighbours(kinds: Tensor, pad: Tensor, tree: str = "rules") -> Tensor:
    """(B, T, T) bool: which words are linked, in both directions; T - 1 links, none to itself.

    tree: "rules", as above; "chain" links each word to the next; "all" links all, also to itself.
    """
    real = ~pad[:, :, None] & ~pad[:, None]
    if tree == "all":
        return real
    at = torch.arange(kinds.shape[1], device=kinds.device).expand_as(kinds)
    parent = parents(kinds, pad) if tree == "rules" else (at - 1).clamp(min=0)
    link = torch.zeros_like(real).scatter(2, parent[:, :, None], True)
    link = (link | link.transpose(1, 2)) & real
    return link & ~torch.eye(kinds.shape[1], dtype=torch.bool, device=kinds.device)
