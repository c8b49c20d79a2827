"""Each check passes the reference, leaves a stub alone, and tells wrong answers apart."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tvnet.course import checks_evaluation as checks
from tvnet.course import reference_evaluation as reference


def half_mean(logits, mask):
    return F.binary_cross_entropy_with_logits(logits, mask.float())


WRONG = {
    "union_of": {
        lambda p: np.add.reduce(p.astype(int)): "counts twice",
        lambda p: np.count_nonzero(p, axis=0) == 1: "punch a hole",
        lambda p: p.min(axis=0): "the intersection",
        lambda p: p[0].copy(): "one part only",
    },
    "shared_images": {
        lambda t, v: len({*t} & {*v}) / len({*t}): "you divide by train's images",
        lambda t, v: float(np.isin(v, t).mean()): "once per referent",
        lambda t, v: len({*t}.intersection(v)): "a share is asked for",
        lambda t, v: len({*t} & {*v}) / len({*t, *v}): "both splits",
    },
    "size_bin": {
        lambda a, p: ("small", "medium", "big")[(20 * a > p) + (10 * a > p)]: "no longer small",
        lambda a, p: ("small", "medium")[a > 1024]: "COCO's absolute areas",
        lambda a, p: "big": "it gives big instead of small for input 1, 100",
        lambda a, p: a / p: "it gives 0.01 instead of small",
    },
    "overall_iou": {
        lambda i, u: np.mean(i / u): "mean IoU; divide the sums",
        lambda i, u: sum(u) / sum(i): "stands on its head",
        lambda i, u: [a / b for a, b in zip(i, u, strict=True)]: "one ratio per sentence",
        lambda i, u: 100 * sum(i) / sum(u): "per cent",
        lambda i, u: sum(i) / (sum(i) + sum(u)): "the intersection plus the union",
    },
    "precision_at": {
        lambda v, x: np.mean(v > x): "equals the threshold",
        lambda v, x: len([i for i in v if i >= x]): "divide by the number of sentences",
        lambda v, x: sum(i for i in v if i >= x) / len(v): "each of them counts as 1",
        lambda v, x: np.mean(v < x): "miss the threshold",
    },
    "mask_loss": {
        half_mean: "weight decay weighs",
        lambda z, m: half_mean(z, m) * m.numel(): "averaged over the batch",
        lambda z, m: half_mean(z.sigmoid(), m) * m[0].numel(): "sigmoid twice",
        lambda z, m: -(F.logsigmoid(z)[m]).sum() / len(z): "outside the mask",
    },
    "rate_at": {
        lambda t, n, a, b: a * max(0, 1 - t / n) ** 0.9: "must be `last`, not zero",
        lambda t, n, a, b: b + (a - b) * max(0, 1 - t / n): "straight line",
        lambda t, n, a, b: b + (a - b) * min(1, t / n) ** 0.9: "it rises",
        lambda t, n, a, b: (a - b) * abs(1 - t / n) ** 0.9 + b: "instead of 1e-05 for input 15",
    },
    "shuffled": {
        lambda w, n, m, o: (w[o], n[o], m.clone()): "the masks stay",
        lambda w, n, m, o: (w[o], n.clone(), m[o]): "lengths stay behind",
        lambda w, n, m, o: [w, n, m]: "nothing has moved",
        lambda w, n, m, o: tuple(t[torch.argsort(o)] for t in (w, n, m)): "you send row i",
    },
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_answers_get_messages_of_their_own(name, capsys):
    check, lines = getattr(checks, name), set()
    for wrong, part in WRONG[name].items():
        line = check(wrong)
        assert line.startswith("x ") and " for input " in line and part in line
        lines.add(line)
    assert len(lines) == len(WRONG[name]) >= 3
    assert capsys.readouterr().out.splitlines()[-1] in lines


@pytest.mark.parametrize("name", WRONG)
def test_the_reference_passes_and_a_stub_is_left_alone(name):
    right, check = getattr(reference, name), getattr(checks, name)
    assert check(right).startswith("+ passed (")
    assert check(lambda *x: getattr(reference, name)(*x)) == "o not attempted yet"


def test_an_answer_that_raises_is_told_not_thrown():
    line = checks.overall_iou(lambda i, u: i / "u")
    assert line.startswith("x it raises") and "for input [1], [2]" in line


def test_an_answer_without_return_is_wrong():
    assert "it gives None instead of 0.5" in checks.overall_iou(lambda i, u: None)
