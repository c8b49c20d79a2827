"""RRN: the refinement by hand in float64, and what each of its steps can see."""

import pytest
import torch
import torch.nn.functional as F

from tests.model.rivals.tiny import size_at_the_papers, small, traced
from tvnet.model.blocks import upsample

ROW = "RRN"


def pointwise(layer, x):
    """A 1x1 convolution, written out."""
    return torch.einsum("oi,bihw->bohw", layer.weight[:, :, 0, 0], x) + layer.bias[:, None, None]


def whole_norm(x, norm):
    scaled = (x - x.mean((1, 2, 3), True)) / (x.var((1, 2, 3), False, True) + norm.eps).sqrt()
    return scaled * norm.weight[:, None, None] + norm.bias[:, None, None]


def refined(cell, levels, h):
    """The ConvLSTM's states, gate by gate; its memory starts empty."""
    c, states, kernel = torch.zeros_like(h), [], cell.mix.weight[:, :, 0, 0]
    norm = lambda name, x: whole_norm(x, cell.norms[name])  # noqa: E731
    for x in levels:
        j, i, f, o = torch.einsum("oi,bihw->bohw", kernel, torch.cat([x, h], 1)).chunk(4, 1)
        write = norm("i", i + cell.peepholes["i"] * c).sigmoid()
        keep = (norm("f", f + cell.peepholes["f"] * c) + 1).sigmoid()
        c = keep * c + write * norm("j", j).tanh()
        show = norm("o", o + cell.peepholes["o"] * c).sigmoid()
        c = norm("c", c)
        h = show * c.tanh()
        states.append(h)
    return states


@pytest.mark.parametrize("start", ["state", "input"])
def test_the_levels_correct_the_fused_map_from_deep_to_shallow(start, given):
    maps, words, lengths = given
    model = small(ROW, f":start={start}")
    t = traced(ROW, model, maps, words, lengths)
    V5 = pointwise(model.lateral, maps["V5"])
    V5 = V5 / V5.square().sum(1, keepdim=True).sqrt()
    tiled = t.s[:, :, None, None] + torch.zeros(2, 1, 8, 8)
    joined = torch.cat([V5, tiled, t.O.repeat(2, 1, 1, 1)], 1)
    m_0 = pointwise(model.fuse, joined).clamp(min=0)
    assert torch.allclose(t.m_0, m_0)
    c = [pointwise(model.reduce[n], maps[f"V{n}"]).clamp(min=0) for n in "543"]
    if start == "state":
        m = refined(model.conv_lstm, c, m_0)
    else:
        m = refined(model.conv_lstm, [m_0, *c], torch.zeros_like(m_0))[1:]
    for n, state in zip((5, 4, 3), m, strict=True):
        assert torch.allclose(t.m[n], state)
    score = F.conv2d(m[-1], model.head.score.weight, model.head.score.bias, padding=1)
    assert torch.allclose(t.logits, upsample(score, 64))


def test_words_enter_once(given):
    maps, words, lengths = given
    model = small(ROW)
    one, other = (traced(ROW, model, maps, w, lengths) for w in (words, words.flip(0)))
    assert all(torch.equal(one.c[n], other.c[n]) for n in (5, 4, 3))
    assert not torch.allclose(one.m_0, other.m_0) and not torch.allclose(one.m[3], other.m[3])


def test_a_later_level_cannot_change_an_earlier_state(given):
    maps, words, lengths = given
    model = small(ROW)
    one = traced(ROW, model, maps, words, lengths)
    for changed, same in (("V3", (5, 4)), ("V4", (5,)), ("V5", ())):
        other = traced(ROW, model, maps | {changed: maps[changed].flip(3)}, words, lengths)
        assert all(torch.equal(one.m[n], other.m[n]) for n in same)
        level = int(changed[1])
        assert not torch.allclose(one.m[level], other.m[level])


def test_without_its_laterals_only_the_fused_map_counts(given):
    maps, words, lengths = given
    model = small(ROW)
    for layer in model.reduce.values():
        torch.nn.init.zeros_(layer.weight), torch.nn.init.zeros_(layer.bias)
    one = traced(ROW, model, maps, words, lengths)
    shallow = maps | {name: torch.rand_like(maps[name]) for name in ("V2", "V3", "V4")}
    assert torch.equal(one.logits, traced(ROW, model, shallow, words, lengths).logits)


def test_v2_is_not_read(given):
    maps, words, lengths = given
    model = small(ROW)
    one = traced(ROW, model, maps, words, lengths)
    other = traced(ROW, model, maps | {"V2": -maps["V2"]}, words, lengths)
    assert torch.equal(one.logits, other.logits)


def test_at_the_papers_size_it_is_as_large_as_the_public_code():
    """9.26 M: lateral, fusion, three reductions, the ConvLSTM and its score."""
    assert size_at_the_papers(ROW) == pytest.approx(9.26e6, rel=0.002)
