"""TV-Net, top to bottom as in Figure 2. Baseline, +RES, +RES+Cct and +RES+AMF are its settings."""

from __future__ import annotations

from torch import Tensor, nn

from tvnet.model.amf import AMF, Cct
from tvnet.model.blocks import to_float32, upsample
from tvnet.model.conv_lstm import conv_lstm
from tvnet.model.enrichment import RES
from tvnet.model.expression import Expression
from tvnet.model.fusion import Bilinear, GatedExchange, coordinates
from tvnet.model.head import Head
from tvnet.model.method import Maps, Method
from tvnet.model.trace import LEVELS, Trace
from tvnet.settings import Settings


class TVNet(Method):
    """Backbone maps of two images and an expression -> mask logits.

    The backbone is frozen (D26) and separate, so that its maps can be computed once and cached:
    `model(backbone(image), backbone(similar), words, lengths)`.
    """

    def __init__(self, settings: Settings, vocabulary_size: int):
        super().__init__(settings)
        model = settings.model
        widths = {n: settings.backbone.channels[f"V{n}"] for n in LEVELS}
        d_2 = settings.backbone.channels["V2"]
        self.expression = Expression(vocabulary_size, model)
        self.enrichment = RES(widths, model) if model.enrichment else None
        if model.enrichment and model.shared_enrichment:
            widths = dict.fromkeys(LEVELS, model.d_m)
        self.bilinear = nn.ModuleDict({str(n): Bilinear(d, model) for n, d in widths.items()})
        self.exchange = nn.ModuleList(GatedExchange(model) for _ in range(model.exchange_rounds))
        self.conv_lstm = conv_lstm(model, side=-(-settings.data.size // 8))
        second = {"amf": AMF, "cct": Cct}.get(model.high_resolution)
        self.high_resolution = second(d_2, model) if second else None
        self.head = Head(model)

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

        Without V_sim there is no enrichment. words: (B, T) ids; lengths: (B).
        valid: (B, S/8, S/8) bool, False where the retrieved square is padding (D6).
        size: side of the logits, the settings' by default. A given `trace` is filled.
        """
        size = size or self.settings.data.size
        s, t = self.expression(words, lengths)
        O = coordinates(*V_in["V3"].shape[-2:], like=V_in["V3"])  # noqa: E741

        V_prime = {n: V_in[f"V{n}"] for n in LEVELS}
        if self.enrichment is not None:  # first stage: RES
            valid = valid if self.settings.model.mask_padding else None
            V_prime = self.enrichment(V_in, V_sim, valid, trace)

        M_raw = {n: self.bilinear[str(n)](V_prime[n], s, O) for n in LEVELS}
        M = M_raw
        for exchange in self.exchange:
            M = exchange(M, t)
        M_fine = self.conv_lstm([M[n] for n in self.settings.model.level_order])

        M_fine_prime = None
        if self.high_resolution is not None:  # second stage: AMF or Cct
            M_fine_prime = self.high_resolution(M_fine, V_in["V2"], trace)
        score = self.head(M_fine if M_fine_prime is None else M_fine_prime)
        logits = upsample(to_float32(score), size, self.settings.model.upsampling)

        if trace is not None:
            trace.V_in = {int(name[1]): V for name, V in V_in.items()}
            if self.enrichment is not None and V_sim is not None:
                trace.V_sim = {n: V_sim[f"V{n}"] for n in LEVELS}
            trace.s, trace.O, trace.V_prime = s, O, V_prime
            trace.M_raw, trace.M_raw_prime, trace.M_fine = M_raw, M, M_fine
            trace.M_fine_prime, trace.score, trace.logits = M_fine_prime, score, logits
        return logits
