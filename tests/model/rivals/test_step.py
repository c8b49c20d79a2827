"""STEP: rounds of words, heat maps and a refined map, by hand; what each part may see."""

import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from tests.model.rivals.tiny import SMALL, inputs, small, traced
from tests.tiny_parts import double, wakened
from tvnet.model.blocks import upsample
from tvnet.model.rivals.step import STEP, ConvGRU


def gru_by_hand(gru, P, X, state):
    """The unit as it is written: one kernel over [P; X; state] for each gate."""

    def product(rows, last, kernel):
        weight = torch.cat([gru.heat.weight[rows], gru.look.weight[rows], kernel.weight], 1)
        return F.conv2d(torch.cat([P, X, last], 1), weight, gru.look.bias[rows], padding=1)

    d = state.shape[1]
    gates = torch.sigmoid(product(slice(0, 2 * d), state, gru.gates))
    update, reset = gates[:, :d], gates[:, d:]
    new = torch.tanh(product(slice(2 * d, 3 * d), reset * state, gru.candidate))
    return update * state + (1 - update) * new


def test_rounds_word_by_word_and_cell_by_cell():
    model, (maps, _, words, lengths) = small("STEP", ":rounds=3"), inputs(2, 64, SMALL.backbone)
    trace = traced("STEP", model, maps, words, lengths)
    for b, T in enumerate(lengths.tolist()):
        a = torch.full((T,), 1 / T, dtype=torch.float64)
        state, X = double(1, 16, 8, 8) * 0, {}
        for n in (3, 4, 5):
            V = maps[f"V{n}"][b : b + 1].double()
            joined = torch.cat([V / V.norm(dim=1, keepdim=True), trace.O], 1)
            X[n] = model.lateral[str(n)](joined)
            X[n] = X[n] / X[n].norm(dim=1, keepdim=True)
        for k in (1, 2, 3):
            assert torch.allclose(trace.a[k][b, :T], a) and (trace.a[k][b, T:] == 0).all()
            e = model.sentence(sum(a[t] * trace.h[b, t] for t in range(T)))
            e = e / e.norm()
            for n in (5, 4, 3):
                state = gru_by_hand(model.conv_gru, (X[n] * e[:, None, None]).sum(1)[None], X[n],
                                    state)  # fmt: skip
            assert torch.allclose(trace.R[k][b : b + 1], model.score(state))
            keep = trace.R[k][b, 0].sigmoid()
            mean = (X[3] + X[4] + X[5])[0] / 3
            cells = [keep[y, x] * mean[:, y, x] for y in range(8) for x in range(8)]
            v = sum(cells) / keep.sum()
            fit = torch.stack([v @ model.word(trace.h[b, t]) / 16**0.5 for t in range(T)]).exp()
            a = fit / fit.sum()
    assert torch.allclose(trace.logits, upsample(trace.R[3], 64))


def test_heat_is_a_cosine_and_each_rounds_words_share_one():
    maps, _, words, lengths = inputs(3, 64, SMALL.backbone)
    trace = traced("STEP", small("STEP"), maps, words, lengths)
    pad = torch.arange(5) >= lengths[:, None]
    assert list(trace.a) == [1, 2, 3, 4, 5]
    for k, a in trace.a.items():
        assert 0 < trace.P[k].abs().max() <= 1 + 1e-9
        assert torch.allclose(a.sum(1), torch.ones(3).double()) and (a[pad] == 0).all()


def test_the_first_round_looks_at_no_word_again_and_later_rounds_start_from_it():
    maps, _, words, lengths = inputs(2, 64, SMALL.backbone)
    once, thrice = small("STEP", ":rounds=1"), small("STEP", ":rounds=3")
    thrice.load_state_dict(once.state_dict())
    one, three = (traced("STEP", model, maps, words, lengths) for model in (once, thrice))
    one.logits.sum().backward()
    assert once.word.weight.grad is None and once.sentence.weight.grad.abs().sum() > 0
    assert torch.equal(one.R[1], three.R[1]) and not torch.allclose(one.R[1], three.R[3])


def test_a_map_that_is_the_same_everywhere_shows_the_mean_cell():
    X = {n: double(2, 4, 3, 3) for n in (3, 4, 5)}
    v = STEP.shown(None, torch.full((2, 1, 3, 3), 0.7).double(), X)
    assert torch.allclose(v, sum(cells.mean((2, 3)) for cells in X.values()) / 3)


def test_gradients_of_the_recurrent_unit():
    unit = wakened(ConvGRU(2))
    parts = [double(1, 6, 2, 2), double(1, 1, 2, 2), double(1, 2, 2, 2)]
    assert gradcheck(unit, [x.requires_grad_() for x in parts], atol=1e-4)
