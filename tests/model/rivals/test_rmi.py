"""RMI: the LSTM of a cell by hand in float64, and what it can and cannot see."""

import pytest
import torch

from tests.model.rivals.tiny import size_at_the_papers, small, traced
from tests.tiny_parts import double, wakened
from tvnet.model.rivals.rmi import CellLSTM, inverse_tanh

ROW = "RMI"


def test_the_split_lstm_is_that_of_the_joined_input():
    """Cell by cell with torch's own LSTM over [cell; word], gates in its order i, f, g, o."""
    part, d = wakened(CellLSTM(5, 3, 4)), 4
    cells, words = double(2, 5, 2, 3), double(2, 4, 3)
    part(cells, words, torch.zeros(2, 4, dtype=torch.bool), states := [])
    lstm = torch.nn.LSTM(5 + 3, d, batch_first=True, dtype=torch.float64)
    i, j, f, o = range(0, 4 * d, d)
    rows = torch.cat([torch.arange(k, k + d) for k in (i, f, j, o)])
    joined = torch.cat([part.of_cell.weight[:, :, 0, 0], part.of_word.weight], dim=1)
    bias = part.of_cell.bias.clone()
    bias[f : f + d] += 1
    with torch.no_grad():
        lstm.weight_ih_l0.copy_(joined[rows])
        lstm.weight_hh_l0.copy_(part.of_state.weight[rows][:, :, 0, 0])
        lstm.bias_ih_l0.copy_(bias[rows]), lstm.bias_hh_l0.zero_()
    for b, y, x in [(0, 0, 0), (1, 1, 2)]:
        here = cells[b, :, y, x].expand(4, -1)
        expected, _ = lstm(torch.cat([here, words[b]], dim=1))
        found = torch.stack([m[b, :, y, x] for m in states])
        assert torch.allclose(found, expected)


def test_from_words_and_maps_to_the_score(given):
    maps, words, lengths = given
    model = small(ROW)
    t = traced(ROW, model, maps, words, lengths)
    V5 = torch.einsum("oi,bihw->bohw", model.lateral.weight[:, :, 0, 0], maps["V5"])
    V5 = V5 + model.lateral.bias[:, None, None]
    V5 = V5 / V5.norm(dim=1, keepdim=True)
    e = model.expression.embedding.weight[words]
    states, _ = model.expression.lstm(e)
    h = states / states.norm(dim=-1, keepdim=True)
    cells = torch.cat([V5, t.O.expand(2, -1, -1, -1)], 1)
    no_pads = torch.zeros(2, 5, dtype=torch.bool)
    model.conv_lstm(cells, torch.cat([e, h], -1), no_pads, m := [])
    for b, n in enumerate(lengths):  # before a pad nothing is known of it
        last = m[n - 1][b]
        unbounded = 0.5 * torch.log((1.001 + last) / (1.001 - last))
        weight = model.score.weight[0, :, 0, 0]
        score = torch.einsum("d,dhw->hw", weight, unbounded.clamp(min=0)) + model.score.bias
        assert torch.allclose(t.score[b, 0], score)


def test_a_pad_leaves_the_state_as_it_is(given):
    maps, words, _ = given
    t = traced(ROW, small(ROW), maps, words, torch.tensor([5, 2]))
    assert torch.equal(t.m[2][1], t.m[5][1]) and not torch.allclose(t.m[1][1], t.m[2][1])
    assert not torch.allclose(t.m[4][0], t.m[5][0])


def test_a_cell_sees_no_other(given):
    maps, words, lengths = given
    model, other = small(ROW), maps["V5"].clone()
    other[:, :, 3, 4] += 1
    one, two = (traced(ROW, model, maps | {"V5": V}, words, lengths) for V in (maps["V5"], other))
    changed = (one.score - two.score).abs()[:, 0] > 1e-9
    assert changed[:, 3, 4].all() and changed.sum() == 2


def test_the_order_of_the_words_matters(given):
    """Also to the cells' LSTM alone, whose words are given one by one."""
    maps, words, lengths = given
    words = torch.tensor([[4, 5, 6, 7, 8]] * 2)
    model, full = small(ROW), torch.tensor([5, 5])
    swapped = words[:, [1, 0, 2, 3, 4]]
    one, two = (traced(ROW, model, maps, w, full).logits for w in (words, swapped))
    assert not torch.allclose(one, two)
    cells, spoken, none = double(1, 24, 2, 2), double(1, 3, 28), torch.zeros(1, 3).bool()
    ends = [model.conv_lstm(cells, s, none) for s in (spoken, spoken.flip(1))]
    assert not torch.allclose(*ends)


def test_the_inverse_tanh_is_finite_and_inverts_inside():
    m = torch.tensor([-1.0, -0.9, 0.0, 0.9, 1.0], dtype=torch.float64)
    assert inverse_tanh(m).isfinite().all()
    assert torch.allclose(inverse_tanh(m[1:4]), m[1:4].atanh(), atol=0.02)
    assert inverse_tanh(torch.ones(1, dtype=torch.bfloat16)).item() == pytest.approx(3.8, abs=0.05)


def test_at_the_papers_size_it_is_as_large_as_the_public_code():
    """9.07 M: lateral and the cells' LSTM."""
    assert size_at_the_papers(ROW) == pytest.approx(9.07e6, rel=0.002)
