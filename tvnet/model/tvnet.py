"""TV-Net, top to bottom as in Figure 2. Baseline, +RES, +RES+Cct and +RES+AMF are its settings."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tvnet.model.amf import AMF, Cct
from tvnet.model.blocks import conv, upsample
from tvnet.model.enrichment import Enrichment
from tvnet.model.expression import Expression
from tvnet.model.fusion import Bilinear, ConvLSTM, Exchange, coordinates
from tvnet.model.trace import LEVELS, Trace
from tvnet.settings import Settings

Maps = dict[str, Tensor]  # {"V2": (B, d_2, S/4, S/4), "V3", "V4", "V5": (B, d_l, S/8, S/8)}


class TVNet(nn.Module):
    """Backbone maps of two images and an expression -> mask logits.

    The backbone is frozen (D26) and stands apart, so that its maps can be computed once and kept:
    `model(backbone(image), backbone(similar), words, lengths)`.
    """

    def __init__(self, settings: Settings, vocabulary_size: int):
        super().__init__()
        self.settings = settings
        model, d = settings.model, settings.backbone.channels
        d_s, d_m = model.d_s, model.d_m
        self.expression = Expression(vocabulary_size, model)
        self.enrichment = nn.ModuleDict()
        if model.enrichment:
            self.enrichment.update({str(n): Enrichment(n, d[f"V{n}"]) for n in LEVELS})
        self.bilinear = nn.ModuleDict({str(n): Bilinear(d[f"V{n}"], d_s, d_m) for n in LEVELS})
        self.exchange = nn.ModuleList(Exchange(d_s, d_m) for _ in range(model.exchange_rounds))
        self.conv_lstm = ConvLSTM(d_m, side=-(-settings.data.size // 8))
        if model.high_resolution == "amf":
            self.high_resolution = AMF(d_m, d["V2"], model.d_hr, model.norm_groups)
        elif model.high_resolution == "cct":
            self.high_resolution = Cct(d_m, d["V2"])
        elif model.high_resolution == "none":
            self.high_resolution = None
        else:
            raise ValueError(
                f"high_resolution is '{model.high_resolution}': use 'none', 'cct' or 'amf'."
            )
        self.score = conv(d_m, 1, 3)  # D22

    def forward(
        self,
        V_in: Maps,
        V_sim: Maps | None,
        words: Tensor,
        lengths: Tensor,
        valid: Tensor | None = None,
        size: int | None = None,
        trace: Trace | None = None,
    ) -> Tensor:
        """Mask logits (B, 1, size, size); positive means referent.

        V_sim may be None without enrichment. words: (B, T) ids; lengths: (B).
        valid: (B, S/8, S/8) bool, False where the retrieved square is padding (D6).
        size: side of the logits, the settings' by default. A given `trace` is filled.
        """
        size = size or self.settings.data.size
        s = self.expression(words, lengths)
        O = coordinates(*V_in["V3"].shape[-2:], like=V_in["V3"])  # noqa: E741

        V_prime, M_raw = {}, {}
        for n in LEVELS:
            V_prime[n] = V_in[f"V{n}"]
            if self.enrichment:  # first stage: RES
                V_prime[n] = self.enrichment[str(n)](V_prime[n], V_sim[f"V{n}"], valid, trace)
            M_raw[n] = self.bilinear[str(n)](V_prime[n], s, O)
        M = M_raw
        for exchange in self.exchange:
            M = exchange(M, s)
        M_fine = self.conv_lstm([M[n] for n in LEVELS])

        if self.high_resolution is None:
            M_fine_prime = None
            score = self.score(M_fine)
        else:  # second stage: AMF or its rival
            M_fine_prime = self.high_resolution(M_fine, V_in["V2"], trace)
            # Fig. 2 writes "x2 up, Conv" between M_fine' and the mask (D23).
            score = self.score(upsample(M_fine_prime, 2 * M_fine_prime.shape[-1]))
        logits = upsample(score, size)

        if trace is not None:
            trace.V_in = {int(name[1]): V for name, V in V_in.items()}
            if self.enrichment:
                trace.V_sim = {n: V_sim[f"V{n}"] for n in LEVELS}
            trace.s, trace.O, trace.V_prime = s, O, V_prime
            trace.M_raw, trace.M_raw_prime, trace.M_fine = M_raw, M, M_fine
            trace.M_fine_prime, trace.score, trace.logits = M_fine_prime, score, logits
        return logits

    @torch.no_grad()
    def count_parameters(self) -> int:
        """Trainable numbers, the backbone not among them."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)
