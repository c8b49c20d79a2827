"""Each check passes the reference, leaves a stub alone, and tells wrong answers apart."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tvnet.course import checks, reference
from tvnet.course import reference as answers  # a stub is known by the name `reference`


def half_mean(logits, mask):
    return F.binary_cross_entropy_with_logits(logits, mask.float())


WRONG = {
    "union_of": {
        lambda p: np.add.reduce(p.astype(int)): "counts twice",
        lambda p: np.count_nonzero(p, axis=0) == 1: "punch a hole",
        lambda p: p.min(axis=0): "the intersection",
        lambda p: p[0].copy(): "one part only",
        lambda p: p.max(axis=1): "along the first axis",
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
        lambda a, p: "medium": "it gives medium instead of small for input 1, 100",
        lambda a, p: a / p: "it gives 0.01 instead of small",
        lambda a, p: answers.size_bin(p, a): "area and pixels are exchanged",
    },
    "overall_iou": {
        lambda i, u: np.mean(i / u): "mean IoU; divide the sums",
        lambda i, u: sum(u) / sum(i): "union by intersection",
        lambda i, u: [a / b for a, b in zip(i, u, strict=True)]: "one ratio per sentence",
        lambda i, u: 100 * sum(i) / sum(u): "per cent",
        lambda i, u: sum(i) / (sum(i) + sum(u)): "the intersection plus the union",
    },
    "precision_at": {
        lambda v, x: np.mean(v > x): "equals the threshold",
        lambda v, x: len([i for i in v if i >= x]): "divide by the number of sentences",
        lambda v, x: sum(i for i in v if i >= x) / len(v): "each of them counts as 1",
        lambda v, x: np.mean(v < x): "miss the threshold",
        lambda v, x: 100 * np.mean(v >= x): "per cent",
    },
    "mask_loss": {
        half_mean: "weight decay weighs",
        lambda z, m: half_mean(z, m) * m.numel(): "averaged over the batch",
        lambda z, m: half_mean(z.sigmoid(), m) * m[0].numel(): "sigmoid twice",
        lambda z, m: -(F.logsigmoid(z)[m]).sum() / len(z): "outside the mask",
        lambda z, m: answers.mask_loss(m.float(), z): "logits and mask are exchanged",
    },
    "rate_at": {
        lambda t, n, a, b: a * max(0, 1 - t / n) ** 0.9: "must be `last`, not zero",
        lambda t, n, a, b: b + (a - b) * max(0, 1 - t / n): "straight line",
        lambda t, n, a, b: b + (a - b) * min(1, t / n) ** 0.9: "it rises",
        lambda t, n, a, b: answers.rate_at(t, n, b, a): "`first` and `last` are exchanged",
        lambda t, n, a, b: (a - b) * abs(1 - t / n) ** 0.9 + b: "instead of 1e-05 for input 15",
    },
    "shuffled": {
        lambda w, n, m, o: (w[o], n[o], m.clone()): "the masks stay",
        lambda w, n, m, o: (w[o], n.clone(), m[o]): "lengths stay behind",
        lambda w, n, m, o: [w, n, m]: "nothing has moved",
        lambda w, n, m, o: (w[o], m[o], n[o]): "the three in another order",
        lambda w, n, m, o: tuple(t[torch.argsort(o)] for t in (w, n, m)): "you send row i",
    },
    "last_state": {
        lambda h, n: h[:, -1].clone(): "the state after the pads",
        lambda h, n: torch.stack(
            [row[k] for row, k in zip(h, n, strict=True)]
        ): "one step too late",
        lambda h, n: torch.stack([h[b, :k].mean(0) for b, k in enumerate(n)]): "the LAST state",
        lambda h, n: h[:, 0] + 0: "the first state",
        lambda h, n: h[:, n - 1] + 0: "every length in every row",
        lambda h, n: h[n - 1, list(range(len(n)))]: "rows and steps are exchanged",
    },
    "to_square": {
        lambda x, y, w, h, s: (x * s / max(w, h), y * s / max(w, h)): "between two black bars",
        lambda x, y, w, h, s: (s * x / w, s * y / h): "stretch",
        lambda x, y, w, h, s: (
            s - (w - x) * s / max(w, h),
            s - (h - y) * s / max(w, h),
        ): "both bars lie before",
        lambda x, y, w, h, s: answers.to_square(y, x, h, w, s): "you return (y, x)",
        lambda x, y, w, h, s: ((s - w) / 2 + x, (s - h) / 2 + y): "the scale is missing",
        lambda x, y, w, h, s: answers.to_square(x, y, h, w, s): "width and height are exchanged",
    },
    "candidates": {
        lambda s, i, own, k: answers.candidates(s, i, -1, k): "own image is among them",
        lambda s, i, own, k: [a for a in i[np.argsort(-s)].tolist() if a != own][:k]: "twice",
        lambda s, i, own, k: sorted(
            {*[a for a in i[np.argsort(-s)].tolist() if a != own][:k]},
            key=lambda a: -s[i == a].max(),
        ): "AFTER cutting to k",
        lambda s, i, own, k: answers.candidates(1 - s, i, own, k): "least similar first",
    },
    "second_stage": {
        lambda c, p, own: c[np.argmax([v @ own for v in p[c]])]: "favours long vectors",
        lambda c, p, own: int(c[0]): "the best by text",
        lambda c, p, own: list(c).index(answers.second_stage(c, p, own)): "a place in the list",
        lambda c, p, own: answers.second_stage(c, p, -own): "LEAST similar image",
    },
    "attention": {
        lambda q, k, v: (
            (q @ k.T / q.shape[1] ** 0.5).masked_fill(~v, -torch.inf).softmax(dim=0)
        ): "each ROW is",
        lambda q, k, v: answers.attention(k, q, q[:, 0] < 99).T: ("each ROW is"),
        lambda q, k, v: (
            (q @ k.T / q.shape[1] ** 0.5).masked_fill(~v, -torch.inf).T.softmax(1).T.nan_to_num()
        ): "each ROW is",
        lambda q, k, v: answers.attention(q * q.shape[1] ** 0.5, k, v): "the scale is missing",
        lambda q, k, v: answers.attention(q / q.shape[1] ** 0.5, k, v): "the width itself",
        lambda q, k, v: torch.softmax(k @ q.T / q.shape[1] ** 0.5, 1): "keys are exchanged",
        lambda q, k, v: answers.attention(q, k, torch.ones_like(v)): "padding gets a share",
        lambda q, k, v: answers.attention(q, k, v | True) * v: "AFTER the softmax",
        lambda q, k, v: (q @ (k * v[:, None]).T / q.shape[1] ** 0.5).softmax(1): "exp(0) is one",
        lambda q, k, v: answers.attention(q, k, ~v): "the mask is inverted",
    },
    "enriched": {
        lambda v, g, b: torch.sigmoid(g) * b: "V_in itself is lost",
        lambda v, g, b: torch.addcmul(v, g, b): "the gate has no bound",
        lambda v, g, b: torch.addcmul(b, g.sigmoid(), v): "gate what the cell has",
        lambda v, g, b: torch.lerp(v, b, g.sigmoid()): "you blend the two",
        lambda v, g, b: answers.enriched(v, b, g): "gate and borrowed are exchanged",
    },
    "coordinates_of": {
        lambda r, c, h, w: (
            c / w,
            r / h,
            (c + 1) / w,
            (r + 1) / h,
            (c + 0.5) / w,
            (r + 0.5) / h,
            1 / w,
            1 / h,
        ): "from 0 to 1",
        lambda r, c, h, w: tuple(
            answers.coordinates_of(r, c, h, w)[k] for k in (1, 0, 3, 2, 5, 4, 7, 6)
        ): "x and y are exchanged",
        lambda r, c, h, w: (*answers.coordinates_of(r, c, h, w)[:6], 2 / w, 2 / h): "1 / w",
        lambda r, c, h, w: tuple(
            answers.coordinates_of(r, c, h, w)[k] for k in (0, 1, 2, 3, 0, 1, 6, 7)
        ): "the edge for the centre",
    },
    "lstm_step": {
        lambda i, f, o, g, c: answers.lstm_step(i, f - 1, o, g, c): "half closed",
        lambda i, f, o, g, c: answers.lstm_step(f + 1, i - 1, o, g, c): "do the opposite",
        lambda i, f, o, g, c: (
            o.sigmoid() * answers.lstm_step(i, f, o, g, c)[1],
            answers.lstm_step(i, f, o, g, c)[1],
        ): "leaves through a tanh",
        lambda i, f, o, g, c: (
            o.sigmoid() * c.tanh(),
            answers.lstm_step(i, f, o, g, c)[1],
        ): "NEW memory",
        lambda i, f, o, g, c: list(reversed(answers.lstm_step(i, f, o, g, c))): "(c, h)",
    },
    "unshuffle": {
        lambda x: x.reshape(len(x), 4 * x.shape[1], x.shape[2] // 2, -1): "only rename the axes",
        lambda x: F.pixel_unshuffle(x.mT, 2).mT: "are exchanged",
        lambda x: (
            F.pixel_unshuffle(x, 2).unflatten(1, (x.shape[1], 4)).transpose(1, 2).flatten(1, 2)
        ): "a channel's four together",
    },
    "gated_detail": {
        lambda u, v, a: torch.cat([u * torch.sigmoid(a), v], 1): "holds back U",
        lambda u, v, a: torch.cat([u, v], 1) * torch.sigmoid(a): "holds back both",
        lambda u, v, a: torch.cat([v * torch.sigmoid(a), u], 1): "U comes first",
        lambda u, v, a: torch.cat((u, v), dim=1): "that is Cct",
        lambda u, v, a: torch.cat([u, v * a], 1): "a share between 0 and 1",
        lambda u, v, a: torch.cat([u, v * a.sigmoid()], -1): "along another axis",
    },
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_answers_get_different_messages(name, capsys):
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


def test_an_answer_that_raises_is_reported():
    line = checks.overall_iou(lambda i, u: i / "u")
    assert line.startswith("x it raises") and "for input [1], [2]" in line


@pytest.mark.parametrize("name", WRONG)
def test_a_line_begins_with_the_hint_and_stays_readable(name):
    """No number of more digits than are compared, no value longer than a line."""
    for wrong in WRONG[name]:
        line = getattr(checks, name)(wrong)
        assert not re.search(r"\d{9,}|np\.|tensor\(|\bTrue|\bFalse", line), line
        assert len(line) < 600
        hint = re.split(r" \(it (?:gives|raises) ", line)[0].removeprefix("x ")
        assert hint.startswith("it gives ") or " for input " not in hint


def test_functions_that_always_fail_get_no_hint():
    def failing(*any):
        raise RuntimeError("no")

    for name in WRONG:
        assert getattr(checks, name)(failing).startswith("x it raises RuntimeError (no) for input ")


def test_an_error_is_one_line_and_its_numbers_are_short():
    def failing(i, u):
        raise ValueError(f"{1 / 3}\nand more")

    line = checks.overall_iou(failing)
    assert line == "x it raises ValueError (0.33333) for input [1], [2]"


def test_nan_gets_a_hint_where_no_mistake_is_known():
    line = checks.overall_iou(lambda i, u: float("nan"))
    assert line.startswith("x it holds nan: somewhere you divide 0 by 0")
    assert "(it gives nan instead of 0.5 " in line


def test_values_that_differ_never_look_the_same():
    assert "it gives 0.50006 instead of 0.5 " in checks.overall_iou(lambda i, u: 0.50006)


def test_an_answer_without_return_is_wrong():
    assert "it gives None instead of 0.5" in checks.overall_iou(lambda i, u: None)


def test_every_check_is_tested_here():
    assert set(checks.__all__) == set(WRONG) and len(WRONG) >= 14


def euclid(c, pool, own):
    return c[np.linalg.norm(pool[c] - own, axis=1).argmin()]


def whole_scale(x, y, w, h, size):
    scale = size // max(w, h)
    return x * scale + (size - w * scale) / 2, y * scale + (size - h * scale) / 2


def largest(states, lengths):
    return torch.stack([s[:k].amax(0) for s, k in zip(states, lengths, strict=True)])


def by_mean(similarity, images, own, k):
    kept = [i for i in dict.fromkeys(images.tolist()) if i != own]
    return sorted(kept, key=lambda i: -similarity[images == i].mean())[:k]


@pytest.mark.parametrize(
    "name, nearly",
    [
        ("second_stage", euclid),
        ("second_stage", lambda c, p, q: (p @ q / np.linalg.norm(p, axis=1)).argmax()),
        ("candidates", by_mean),
        ("to_square", whole_scale),
        ("precision_at", lambda v, x: (v >= 0.5).mean()),
        ("precision_at", lambda v, x: (v.round(1) >= x).mean()),
        ("last_state", largest),
    ],
)
def test_an_answer_that_is_nearly_right_does_not_pass(name, nearly):
    assert getattr(checks, name)(nearly).startswith("x ")


@pytest.mark.parametrize(
    "name, other",
    [
        ("lstm_step", lambda *x: torch.stack(answers.lstm_step(*x))),
        ("coordinates_of", lambda *x: np.array(answers.coordinates_of(*x))),
        ("mask_loss", lambda z, m: answers.mask_loss(z.clone().requires_grad_(), m)),
        ("unshuffle", torch.nn.PixelUnshuffle(2)),
    ],
)
def test_a_right_answer_of_another_kind_passes(name, other):
    assert getattr(checks, name)(other).startswith("+ passed")


def test_torchs_own_refusal_is_no_empty_stub():
    line = checks.mask_loss(lambda z, m: F.binary_cross_entropy_with_logits(z, m))
    assert line.startswith("x it raises ")
    assert checks.mask_loss(lambda z, m: F.softplus(m).sum()).startswith("x it raises NotImpl")


def test_an_answer_that_changes_what_it_is_given_is_told():
    def added(parts):
        first = parts[0]
        for part in parts[1:]:
            first |= part
        return first

    assert checks.union_of(added).startswith("x it changes what it is given: compute on a copy")


def test_an_answer_that_raises_on_some_inputs_only_is_reported():
    assert checks.union_of(lambda p: p[0] | p[1]).startswith("x it raises IndexError")
