"""MAttNet (Yu et al. 2018): the sentence is split into three phrases, for the subject, its location
and its relations; each scores every object, and the best object's mask is the answer."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tvnet.model.blocks import to_float32, upsample
from tvnet.model.expression import Words
from tvnet.model.fusion import coordinates
from tvnet.model.method import Maps, Method
from tvnet.model.rivals.mattnet_modules import MODULES, Location, Match, Phrases, Relation, Subject
from tvnet.model.rivals.objects import (
    GRID,
    NEIGHBOURS,
    SIDE,
    Proposals,
    boxes,
    nearest,
    offsets,
    pick,
    read_regions,
)
from tvnet.model.trace import Symbols
from tvnet.settings import Settings

TEMPERATURE = 0.1  # of the choice among objects, whose scores lie in [-1, 1]


@dataclass
class MAttNetTrace(Symbols):
    """The tensors of one pass; J objects; with a module {0: subject, 1: location, 2: relation}."""

    h: Tensor | None = None  # (B, T, 2 d), the words, read in both directions
    w: Tensor | None = None  # (B, 3), the weights of the modules
    a: dict[int, Tensor] = field(default_factory=dict)  # each word's share in a phrase
    q: dict[int, Tensor] = field(default_factory=dict)  # the phrases
    masks: Tensor | None = None  # the candidates
    box: Tensor | None = None
    look: Tensor | None = None  # (B, J, points), where in an object the subject module looks
    near: Tensor | None = None  # (B, J, 5), each object's neighbours
    S: dict[int, Tensor] = field(default_factory=dict)  # (B, J), the modules' scores
    choice: Tensor | None = None  # (B, J), they sum to 1
    logits: Tensor | None = None


def expected_shapes(
    settings: Settings, batch: int, size: int, words: int
) -> dict[str, tuple[int, ...]]:
    """The table of shapes with proposed objects, for squares of `size` pixels."""
    model, n, J = settings.model, -(-size // 8), SIDE**2
    table: dict[str, tuple[int, ...]] = {
        "h": (batch, words, 2 * model.d_s),
        "w": (batch, 3),
        "masks": (batch, J, n, n),
        "box": (batch, J, 4),
        "look": (batch, J, GRID**2),
        "near": (batch, J, NEIGHBOURS),
        "choice": (batch, J),
        "logits": (batch, 1, size, size),
    }
    for k in range(len(MODULES)):
        table |= {f"a[{k}]": (batch, words), f"S[{k}]": (batch, J)}
        table[f"q[{k}]"] = (batch, model.d_words)
    return table


class MAttNet(Method):
    """Three modules score the objects; in training their masks are mixed by the choice.

    The objects are proposed by a head of the course's own, which reads no words and learns from the
    referents' masks alone (D86). V_sim and valid are ignored; the losses on attributes and on wrong
    pairs of object and sentence are left out (D43, D85).
    """

    def __init__(self, settings: Settings, vocabulary_size: int):
        super().__init__(settings)
        model, channels = settings.model, settings.backbone.channels
        d, d_q, d_5 = model.d_s, model.d_words, channels["V5"]
        self.expression = Words(vocabulary_size, model)
        self.phrases = Phrases(d_q, d)
        self.proposals = Proposals(settings)
        self.subject = Subject(channels["V4"], d_5, d_q, d)
        self.location = Location(d)
        self.relation = Relation(d_5, d)
        self.match = nn.ModuleList(Match(n, d_q, d) for n in (d_5 + d, d, d))

    def candidates(self, V_in: Maps) -> tuple[Tensor, Tensor, Tensor]:
        """Masks (B, J, m, m); which of them are objects (B, J); and which pairs are of one kind
        (B, J, J), as all are where kinds are not known."""
        O = coordinates(*V_in["V3"].shape[-2:], like=to_float32(V_in["V3"]))  # noqa: E741
        masks = self.proposals(V_in, O)
        real = torch.ones_like(masks[:, :, 0, 0], dtype=torch.bool)
        return masks, real, real[:, :, None] & real[:, None]

    def forward(
        self,
        V_in: Maps,
        V_sim: Maps | None,
        words: Tensor,
        lengths: Tensor,
        valid: Tensor | None = None,
        size: int | None = None,
        trace: MAttNetTrace | None = None,
    ) -> Tensor:
        """Mask logits (B, 1, size, size); positive means referent."""
        size = size or self.settings.data.size
        e, states, pad = self.expression(words, lengths)
        masks, real, alike = self.candidates(V_in)
        # Small, then divided by 0.1 and turned into log odds: kept in float32 (D37).
        with torch.autocast(words.device.type, enabled=False):
            h, w, a, q = self.phrases(e, states, pad, lengths)
            box = boxes(masks.detach())
            R4, R5 = (read_regions(V_in[name], box) for name in ("V4", "V5"))

            itself = torch.eye(real.shape[1], device=real.device).bool()
            other = real[:, :, None] & real[:, None] & ~itself
            same, is_same = nearest(box, other & alike, torch.zeros_like(alike))
            near, is_near = nearest(box, other, alike)
            x_subject, look = self.subject(R4, R5, q[0])
            x_location = self.location(box, offsets(box, same, is_same))
            x_relation = self.relation(pick(R5.mean(2), near), offsets(box, near, is_near))
            x = x_subject, x_location, x_relation
            S = {k: match(x[k], q[k]) for k, match in enumerate(self.match)}
            S[2] = (S[2] * is_near).amax(2)  # a missing neighbour counts as 0 (D85)
            total = sum(w[:, k, None] * S[k] for k in S).masked_fill(~real, -10.0)
            choice = (total / TEMPERATURE).softmax(1)
            if not self.training:
                choice = F.one_hot(total.argmax(1), total.shape[1]).to(total.dtype)

            chance = torch.einsum("bj,bjhw->bhw", choice, masks)[:, None].clamp(1e-4, 1 - 1e-4)
        logits = upsample(chance.logit(), size, self.settings.model.upsampling)
        if trace is not None:
            trace.h, trace.w, trace.a, trace.q, trace.masks = h, w, a, q, masks
            trace.box, trace.look, trace.near = box, look, near
            trace.S, trace.choice, trace.logits = S, choice, logits
        return logits


class MAttNetOracle(MAttNet):
    """MAttNet that chooses among the true masks of a picture's annotated objects: an oracle, to be
    compared with no method that has to find them (D87).

    V_in also holds "objects" (B, J, S, S), all 0 where there are fewer than J, and "categories"
    (B, J) (training/candidates.py).
    """

    def __init__(self, settings: Settings, vocabulary_size: int):
        super().__init__(settings, vocabulary_size)
        del self.proposals

    def candidates(self, V_in: Maps) -> tuple[Tensor, Tensor, Tensor]:
        if "objects" not in V_in:
            raise ValueError(
                "The oracle of MAttNet chooses among a picture's annotated objects, and none are "
                "given here: use the method 'mattnet'."
            )
        masks, kinds = V_in["objects"].to(to_float32(V_in["V5"]).dtype), V_in["categories"]
        return masks, masks.flatten(2).any(2), kinds[:, :, None] == kinds[:, None]
