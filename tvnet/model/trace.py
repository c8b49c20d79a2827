"""`Trace`: every tensor of one forward pass under the paper's symbol, and the one table of shapes.

The same object feeds the notebooks' shape cells, the figures and the tests.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from torch import Tensor

from tvnet.settings import Settings

LEVELS = (3, 4, 5)  # res3, res4, res5: the low-resolution set LR


class Symbols:
    """A dataclass of tensors, or of tensors by level; None or {} for what was not computed."""

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of every tensor that this pass computed; levelled names read "A[3]"."""
        found = {}
        for symbol in fields(self):
            value = getattr(self, symbol.name)
            if isinstance(value, dict):
                found |= {f"{symbol.name}[{k}]": tuple(v.shape) for k, v in sorted(value.items())}
            elif value is not None:
                found[symbol.name] = tuple(value.shape)
        return found


@dataclass
class Trace(Symbols):
    """The symbols of section 3. Fields with a level hold {3: tensor, 4: tensor, 5: tensor}.

    A prime is written `_prime`: V_prime is V_l' of Eq. 2, M_fine_prime is M^fine' of Eq. 5.
    """

    V_in: dict[int, Tensor] = field(default_factory=dict)  # Fig. 2, also holds V2
    V_sim: dict[int, Tensor] = field(default_factory=dict)
    s: Tensor | None = None
    A: dict[int, Tensor] = field(default_factory=dict)  # Eq. 1, rows sum to 1
    V_sim_prime: dict[int, Tensor] = field(default_factory=dict)  # Eq. 1
    gate: dict[int, Tensor] = field(default_factory=dict)  # sigma(Conv(V_in)) of Eq. 2
    V_prime: dict[int, Tensor] = field(default_factory=dict)  # Eq. 2
    O: Tensor | None = None  # noqa: E741  the paper's symbol for the coordinates
    M_raw: dict[int, Tensor] = field(default_factory=dict)  # Eq. 3, first line
    M_raw_prime: dict[int, Tensor] = field(default_factory=dict)  # Eq. 3, second line
    M_fine: Tensor | None = None
    C_LR: Tensor | None = None  # Eq. 4
    C_HR: Tensor | None = None
    V2_prime: Tensor | None = None
    U: Tensor | None = None  # Upsample(M_fine)
    A2: Tensor | None = None  # Eq. 5
    M_fine_prime: Tensor | None = None
    score: Tensor | None = None  # the head's map before the last upsampling
    logits: Tensor | None = None


def expected_shapes(settings: Settings, batch: int, size: int) -> dict[str, tuple[int, ...]]:
    """The table of shapes for a batch of squares of `size` pixels.

    Odd sizes round up at each stride: res2 is size/4, res3 to res5 are size/8.
    """
    model, channels = settings.model, settings.backbone.channels
    half = -(-size // 2)
    n2 = -(-half // 2)  # side of V2
    n = -(-n2 // 2)  # side of V3, V4, V5
    B, d_m = batch, model.d_m
    table: dict[str, tuple[int, ...]] = {"V_in[2]": (B, channels["V2"], n2, n2)}
    for level in LEVELS:
        d_l = channels[f"V{level}"]
        d = d_m if model.enrichment and model.shared_enrichment else d_l
        table[f"V_in[{level}]"] = (B, d_l, n, n)
        table[f"V_prime[{level}]"] = (B, d, n, n)
        table[f"M_raw[{level}]"] = table[f"M_raw_prime[{level}]"] = (B, d_m, n, n)
        if model.enrichment:
            table[f"V_sim[{level}]"] = (B, d_l, n, n)
            table[f"A[{level}]"] = (B, n * n, n * n)
            table[f"V_sim_prime[{level}]"] = (B, d, n, n)
            table[f"gate[{level}]"] = (B, d if model.gate == "channel" else 1, n, n)
    table |= {"s": (B, model.d_s), "O": (1, 8, n, n), "M_fine": (B, d_m, n, n)}
    table |= {"score": (B, 1, n, n), "logits": (B, 1, size, size)}
    if model.high_resolution != "none":
        side = n2 * 2 ** model.head.count("x2")
        table |= {"U": (B, d_m, n2, n2), "M_fine_prime": (B, model.d_fine or d_m, n2, n2)}
        table["score"] = (B, 1, side, side)
    if model.high_resolution == "amf":
        table |= {"C_LR": (B, 4 * model.d_hr, n, n), "C_HR": (B, model.d_hr, n2, n2)}
        table |= {"V2_prime": (B, model.d_hr, n2, n2), "A2": (B, 1, n2, n2)}
    return table
