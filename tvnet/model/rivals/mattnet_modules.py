"""The parts of MAttNet: a sentence's three phrases, and what scores an object against each."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tvnet.model.blocks import linear, masked_softmax, to_float32
from tvnet.model.rivals.objects import NEIGHBOURS

MODULES = ("subject", "location", "relation")


class Phrases(nn.Module):
    """Words -> three phrases q (B, d_words), the modules' weights w (B, 3): the states decide what
    counts, the embeddings are what is summed."""

    def __init__(self, d_words: int, d: int):
        super().__init__()
        self.backwards = nn.LSTM(d_words, d, batch_first=True)
        self.attend = nn.ModuleList(linear(2 * d, 1) for _ in MODULES)
        self.weigh = linear(2 * d, len(MODULES))

    def forward(self, e: Tensor, states: Tensor, pad: Tensor, lengths: Tensor) -> tuple:
        at = torch.arange(e.shape[1], device=e.device)
        turned = (lengths[:, None] - 1 - at).clamp(min=0)[
            ..., None
        ]  # each sentence's last word first
        with torch.autocast(e.device.type, enabled=False):
            back, _ = self.backwards(e.gather(1, turned.expand_as(e)))
        back = back.gather(1, turned.expand_as(back)).masked_fill(pad[..., None], 0.0)
        h = torch.cat([states, back], dim=-1)
        last = states[torch.arange(len(h), device=h.device), lengths - 1]
        w = to_float32(self.weigh(torch.cat([last, back[:, 0]], dim=-1))).softmax(-1)
        a = {k: masked_softmax(attend(h)[..., 0], pad) for k, attend in enumerate(self.attend)}
        return h, w, a, {k: torch.einsum("bt,btd->bd", share, e) for k, share in a.items()}


class Scaled(nn.Module):
    """x (..., d) of length 1, each channel times a learned scale that starts at 20."""

    def __init__(self, d: int):
        super().__init__()
        self.scale = nn.Parameter(torch.full((d,), 20.0))

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(to_float32(x), dim=-1) * self.scale


class Match(nn.Module):
    """The cosine of an object's vector x (B, ..., d_x) and a phrase q (B, d_q), both through two
    layers: (B, ...). Layer norm stands where the original has batch norm (D85)."""

    def __init__(self, d_x: int, d_q: int, d: int):
        super().__init__()
        self.object, self.phrase = (
            nn.Sequential(linear(n, d), nn.LayerNorm(d), nn.ReLU(), linear(d, d), nn.LayerNorm(d))
            for n in (d_x, d_q)
        )

    def forward(self, x: Tensor, q: Tensor) -> Tensor:
        q = self.phrase(q).view(len(q), *[1] * (x.ndim - 2), -1)
        return F.cosine_similarity(to_float32(self.object(x)), to_float32(q), dim=-1)


class Subject(nn.Module):
    """R4, R5 (B, J, points, d_l), phrase q -> x (B, J, 2 parts), look (B, J, points): the object
    where the phrase finds its words."""

    def __init__(self, d_4: int, d_5: int, d_q: int, d: int):
        super().__init__()
        self.four, self.five, self.all, self.phrase = map(Scaled, (d_4, d_5, d, d_q))
        self.attributes = linear(d_4 + d_5, d)
        self.cell, self.look = linear(d_5 + d + d_q, d), linear(d, 1)

    def forward(self, R4: Tensor, R5: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
        R4, R5 = self.four(R4), self.five(R5)
        v = torch.cat([R5, self.all(F.relu(self.attributes(torch.cat([R4, R5], -1))))], dim=-1)
        phrase = self.phrase(q)[:, None, None].expand(*v.shape[:3], -1)
        hidden = self.cell(torch.cat([v, phrase], -1)).tanh()
        look = to_float32(self.look(hidden)[..., 0]).softmax(-1)
        return torch.einsum("bjp,bjpd->bjd", look, v), look


class Location(nn.Module):
    """box (B, J, 4) and the offsets of neighbours (B, J, 5, 5) -> x (B, J, d)."""

    def __init__(self, d: int):
        super().__init__()
        self.own, self.others = Scaled(5), Scaled(5 * NEIGHBOURS)
        self.mix = linear(5 + 5 * NEIGHBOURS, d)

    def forward(self, box: Tensor, around: Tensor) -> Tensor:
        area = (box[..., 2:] - box[..., :2]).prod(-1, keepdim=True)
        own = self.own(torch.cat([box, area], dim=-1))
        return self.mix(torch.cat([own, self.others(around.flatten(2))], dim=-1))


class Relation(nn.Module):
    """Neighbours' V5 (B, J, 5, d_5) and offsets (B, J, 5, 5) -> x (B, J, 5, d)."""

    def __init__(self, d_5: int, d: int):
        super().__init__()
        self.what, self.where = Scaled(d_5), Scaled(5)
        self.mix = linear(d_5 + 5, d)

    def forward(self, R5: Tensor, around: Tensor) -> Tensor:
        return self.mix(torch.cat([self.what(R5), self.where(around)], dim=-1))
