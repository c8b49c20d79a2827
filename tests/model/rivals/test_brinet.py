"""BRINet: both attentions by hand in float64, the gates, and the order of the levels."""

import pytest
import torch
import torch.nn.functional as F

from tests.model.rivals.tiny import SMALL, inputs, size_at_the_papers, small, traced
from tests.tiny_parts import double, wakened
from tvnet.model.rivals.brinet import Gate, LanguageAttention, VisualAttention

ROW = "BRINet"


def test_cells_ask_the_words():
    v1, h, lengths = double(2, 3, 2, 2), double(2, 4, 3), (4, 2)
    pad = torch.arange(4) >= torch.tensor(lengths)[:, None]
    k, a = LanguageAttention()(v1, h, pad)
    for b, T in enumerate(lengths):
        for cell in range(4):
            v = v1[b].flatten(1)[:, cell]
            weights = torch.stack([(v @ h[b, t]).exp() for t in range(T)])
            weights = weights / weights.sum()
            assert torch.allclose(a[b, cell, :T], weights) and (a[b, cell, T:] == 0).all()
            assert torch.allclose(k[b].flatten(1)[:, cell], weights @ h[b, :T])


@pytest.mark.parametrize("over", ["attended", "receiving"])
def test_cells_ask_the_cells(over):
    """Receiving cell j, attended position i: whose weights sum to one is the option (D73)."""
    part = wakened(VisualAttention(4, 2, over))
    v2, v3, k = double(2, 4, 2, 2), double(2, 4, 2, 2), double(2, 4, 2, 2)
    u, R = part(v2, v3, k)
    W_q, W_v = part.of_words.weight[:, :, 0, 0], part.of_cell.weight[:, :, 0, 0]
    for b in range(2):
        L = torch.empty(4, 4, dtype=torch.float64)
        for j in range(4):
            A_j = torch.tanh(W_q @ k[b].flatten(1)[:, j] + W_v @ v2[b].flatten(1)[:, j])
            for i in range(4):
                L[j, i] = part.W_a[:, i // 2, i % 2] @ A_j
        axis = {"attended": 1, "receiving": 0}[over]
        weights = L.exp() / L.exp().sum(axis, keepdim=True)
        assert torch.allclose(R[b], weights)
        for j in range(4):
            expected = sum(weights[j, i] * v3[b].flatten(1)[:, i] for i in range(4))
            assert torch.allclose(u[b].flatten(1)[:, j], expected)


def test_a_gate_opens_for_its_first_input():
    gate = wakened(Gate(3))
    first, second = double(1, 3, 4, 4), double(1, 3, 4, 4)
    joined = torch.cat([first, second], dim=1)
    hidden = torch.relu(F.conv2d(joined, gate.squeeze.weight, gate.squeeze.bias))
    share = torch.sigmoid(F.conv2d(hidden, gate.open.weight, gate.open.bias, padding=1))
    found, seen = gate(first, second)
    assert torch.allclose(seen, share) and torch.allclose(found, share * first + second)
    for bias, expected in ((-1e9, second), (1e9, first + second)):
        torch.nn.init.constant_(gate.open.bias, bias)
        assert torch.allclose(gate(first, second)[0], expected)


def test_a_level_from_its_attentions_to_the_pyramid(given):
    maps, words, lengths = given
    model = small(ROW)
    t = traced(ROW, model, maps, words, lengths)
    states, _ = model.expression.lstm(model.expression.embedding.weight[words])
    assert torch.allclose(t.q, states[range(2), lengths - 1])  # not normalised
    part = model.attention["4"]
    tiled = t.q[:, :, None, None].expand(-1, -1, 8, 8)
    v = torch.cat([t.V[4], tiled, t.O.expand(2, -1, -1, -1)], 1)
    v = torch.relu(F.conv2d(v, part.project.weight, part.project.bias))
    v1, v2, v3, v4 = v.split(16, dim=1)
    pad = torch.arange(5) >= lengths[:, None]
    assert torch.allclose(part.language(v1, states.masked_fill(pad[..., None], 0), pad)[0], t.k[4])
    assert torch.allclose(part.visual(v2, v3, t.k[4])[0], t.u[4])
    f = torch.relu(F.conv2d(torch.cat([t.u[4], t.k[4]], 1), part.join.weight, part.join.bias)) + v4
    wide = [
        F.conv2d(f, layer.weight, layer.bias, padding=rate, dilation=rate)
        for layer, rate in zip(part.pyramid, (1, 3, 5, 7), strict=True)
    ]
    B = torch.relu(F.conv2d(torch.cat([f, *wide], 1), part.out.weight, part.out.bias))
    assert torch.allclose(t.B[4], B)


def test_levels_are_fused_in_both_orders(given):
    maps, words, lengths = given
    model = small(ROW)
    t = traced(ROW, model, maps, words, lengths)
    g = {name: lambda *x, name=name: model.gates[name](*x)[0] for name in model.gates}
    B3, B4, B5 = t.B[3], t.B[4], t.B[5]
    left = g["54+43"](g["54"](B5, B4), g["43"](B4, B3))
    right = g["34+45"](g["34"](B3, B4), g["45"](B4, B5))
    assert torch.allclose(t.left, left) and torch.allclose(t.right, right)
    fused = F.conv2d(left + right, model.fuse.weight, model.fuse.bias, padding=1).clamp(min=0)
    score = F.conv2d(fused, model.score.weight, model.score.bias)
    assert torch.allclose(t.score, score)


def test_levels_3_and_5_may_change_places_with_their_weights(given):
    maps, words, lengths = given
    model = small(ROW)
    before = traced(ROW, model, maps, words, lengths)
    for parts, pairs in (
        (model.lateral, [("3", "5")]),
        (model.attention, [("3", "5")]),
        (model.gates, [("54", "34"), ("43", "45"), ("54+43", "34+45")]),
    ):
        for one, other in pairs:
            parts[one], parts[other] = parts[other], parts[one]
    swapped = maps | {"V3": maps["V5"], "V5": maps["V3"]}
    after = traced(ROW, model, swapped, words, lengths)
    assert torch.allclose(before.left, after.right) and torch.allclose(before.right, after.left)
    assert torch.allclose(before.logits, after.logits)


def test_at_another_size_a_cells_weights_still_sum_to_one():
    maps, _, words, lengths = inputs(1, 98, SMALL.backbone)
    t = traced(ROW, small(ROW), maps, words, lengths)
    for n in (3, 4, 5):
        assert torch.allclose(t.R[n].sum(2), torch.ones(1, 169, dtype=torch.float64))
        assert torch.allclose(t.a[n].sum(2), torch.ones(1, 169, dtype=torch.float64))


def test_at_the_papers_size_it_is_as_large_as_the_public_code():
    """178.6 M: more than half of them in the gates and the pyramids."""
    assert size_at_the_papers(ROW) == pytest.approx(178.6e6, rel=0.002)
