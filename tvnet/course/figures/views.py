"""What is worth seeing in each system of Table 2: from its trace to maps and shares of words."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from tvnet.course.figures.systems import Seen, View, vocabulary_of
from tvnet.model.rivals.cmpc import TYPES
from tvnet.model.rivals.kwa import REGIONS
from tvnet.model.rivals.lscm import SUPPRESSED
from tvnet.model.rivals.mattnet_modules import MODULES
from tvnet.model.rivals.rmi import inverse_tanh
from tvnet.rows import BEST

DEEP_TO_SHALLOW = (5, 4, 3)


def array(x: Tensor) -> np.ndarray:
    return x.detach().float().numpy()


def referent_cell(seen: Seen, n: int) -> tuple[int, int]:
    """The cell of an n x n map that holds most of the referent, near its middle."""
    rows, columns = np.nonzero(seen.truth)
    nearest = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
    scale = n / len(seen.truth)
    return int(rows[nearest] * scale), int(columns[nearest] * scale)


def marked(cell: tuple[int, int], n: int) -> tuple[float, float]:
    """A cell's middle, as shares of the side."""
    return (cell[0] + 0.5) / n, (cell[1] + 0.5) / n


def so_far(words: list[str], t: int) -> str:
    return f"after “{words[t]}”"


def lstm_cnn(seen: Seen) -> View:
    """The score for the sentence cut after each word."""
    maps = {}
    for t in range(len(seen.words)):
        trace, _ = vocabulary_of(seen.model)
        seen.model(
            seen.V_in, None, seen.batch.words[:, : t + 1], torch.tensor([t + 1]), trace=trace
        )
        maps[f"{t + 1}: {so_far(seen.words, t)}"] = "score", array(trace.score[0, 0])
    return View(maps)


def rmi(seen: Seen) -> View:
    """The state of every cell after each word, scored as the last one is."""
    maps = {}
    for t, m in seen.trace.m.items():
        score = seen.model.score(inverse_tanh(m).relu())
        maps[f"{t}: {so_far(seen.words, t - 1)}"] = "score", array(score[0, 0])
    return View(maps)


def dmn(seen: Seen) -> View:
    """Each word's most uneven filter against its mean over the words, and the last decoded map."""
    R = seen.trace.R[0] - seen.trace.R[0].mean(0)  # (T, K, h, w)
    maps = {}
    for t, word in enumerate(seen.words):
        best = R[t].flatten(1).std(1).argmax()
        maps[f"{t + 1}: a filter of “{word}”, less its mean"] = "difference", array(R[t, best])
    maps["decoded after the last word"] = "score", array(seen.trace.score[0, 0])
    return View(maps)


def kwa(seen: Seen) -> View:
    """How much each region weighs each word, in multiples of an even share; above 1 is a key."""
    a = seen.trace.a[0].T.unflatten(1, (REGIONS, REGIONS)) * len(seen.words)
    titles = [f"{t + 1}: regions of “{word}”" for t, word in enumerate(seen.words)]
    return View({title: ("share", array(one)) for title, one in zip(titles, a, strict=True)})


def rrn(seen: Seen) -> View:
    """The state after each level, scored as the last one is."""
    maps = {
        f"after V{n}": ("score", array(seen.model.head(seen.trace.m[n])[0, 0]))
        for n in DEEP_TO_SHALLOW
    }
    return View(
        {"before the levels": ("score", array(seen.model.head(seen.trace.m_0)[0, 0]))} | maps
    )


def mattnet(seen: Seen) -> View:
    """The words of each phrase with the phrase's weight, and the four objects that score best."""
    trace, w = seen.trace, seen.trace.w[0]
    total = sum(w[k] * trace.S[k][0] for k in trace.S)
    total = total.masked_fill(~trace.masks[0].flatten(1).any(1), -10.0)
    maps = {}
    for place, j in enumerate(total.argsort(descending=True)[:4].tolist()):
        parts = ", ".join(f"{name} {trace.S[k][0, j]:+.2f}" for k, name in enumerate(MODULES))
        maps[f"object {place + 1}: {total[j]:+.2f} ({parts})"] = "chance", array(trace.masks[0, j])
    shares = {f"{name} (weight {w[k]:.2f})": array(trace.a[k][0]) for k, name in enumerate(MODULES)}
    return View(maps, shares)


def cmsa(seen: Seen) -> View:
    """Where the pair of each word and one cell of the referent looks, at level 5."""
    n, T = seen.trace.score.shape[-1], len(seen.words)
    row, column = cell = referent_cell(seen, n)
    half = -(-n // 2)
    A = seen.trace.A[5][0].unflatten(0, (T, n, n)).unflatten(3, (-1, half, half))
    looks = A[:, row, column].sum(1) * half * half  # (T, half, half), over all words of the keys
    maps = {f"{t + 1}: (“{w}”, +) looks at": ("share", array(looks[t]))
            for t, w in enumerate(seen.words)}  # fmt: skip
    return View(maps, cell=marked(cell, n))


def step(seen: Seen) -> View:
    """Round by round: the agreement, the map that it is refined to, and the words' shares."""
    maps, shares = {}, {}
    for k, P in seen.trace.P.items():
        maps[f"round {k}: agreement, mean of levels"] = "cosine", array(P[0].mean(0))
        maps[f"round {k}: refined"] = "score", array(seen.trace.R[k][0, 0])
        shares[f"round {k}"] = array(seen.trace.a[k][0])
    return View(maps, shares)


def brinet(seen: Seen) -> View:
    """The words and the positions that matter to a cell of the referent, level by level."""
    n = seen.trace.score.shape[-1]
    cell = referent_cell(seen, n)
    at = cell[0] * n + cell[1]
    maps = {
        f"+ looks at, V{level}": ("share", array(seen.trace.R[level][0, at].view(n, n)) * n * n)
        for level in DEEP_TO_SHALLOW
    }
    shares = {f"+ reads, V{level}": array(seen.trace.a[level][0, at]) for level in DEEP_TO_SHALLOW}
    return View(maps, shares, marked(cell, n))


def cmpc(seen: Seen) -> View:
    """The types of the words; where the two most relational ones point, at level 5."""
    trace, n = seen.trace, seen.trace.score.shape[-1]
    types = array(trace.types[0])
    top = np.argsort(-types[:, TYPES.index("relation")])[:2]
    maps = {
        f"{t + 1}: “{seen.words[t]}” points at":
        ("share", array(trace.to_cells[5][0, t].view(n, n)) * n * n)
        for t in sorted(top)
    }  # fmt: skip
    maps["score"] = "score", array(trace.score[0, 0])
    return View(maps, dict(zip(TYPES, types.T, strict=True)))


def lscm(seen: Seen) -> View:
    """Where each word looks, at level 5; below, what it takes from the others along the tree."""
    trace, n = seen.trace, seen.trace.score.shape[-1]
    maps = {f"{t + 1}: “{word}” gathers": ("share", array(trace.P[5][0, :, t].view(n, n)) * n * n)
            for t, word in enumerate(seen.words)}  # fmt: skip
    shares = {
        f"“{w}” takes from": array(row) for w, row in zip(seen.words, trace.A[5][0], strict=True)
    }
    return View(maps, shares, links=array(trace.D[0]) > SUPPRESSED + 1e-6)


def tv_net(seen: Seen) -> View:
    """The two gates, of what was retrieved and of high resolution, and the score."""
    trace = seen.trace
    maps = {f"gate of RES, V{n}, mean of channels": ("chance", array(trace.gate[n][0].mean(0)))
            for n in DEEP_TO_SHALLOW}  # fmt: skip
    maps["gate of AMF, A2"] = "chance", array(trace.A2[0, 0])
    maps["score"] = "score", array(trace.score[0, 0])
    return View(maps)


VIEWS: dict[str, Callable[[Seen], View]] = {
    "LSTM-CNN": lstm_cnn, "RMI": rmi, "DMN": dmn, "KWA": kwa, "RRN": rrn, "MAttNet": mattnet,
    "MAttNet, true objects": mattnet, "CMSA": cmsa, "STEP": step, "BRINet": brinet, "CMPC": cmpc,
    "LSCM": lscm, BEST: tv_net,
}  # fmt: skip


@torch.no_grad()
def view(seen: Seen) -> View:
    """What to draw of a pass of any of the twelve systems."""
    return VIEWS[seen.row](seen)
