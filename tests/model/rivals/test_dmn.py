"""DMN: filters of a word, one sequence a cell, the decoder, by hand; no leak between cells."""

import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from tests.model.rivals.tiny import SMALL, inputs, small, traced
from tests.tiny_parts import double, wakened
from tvnet.model.blocks import upsample
from tvnet.model.rivals.dmn import SRU


def pass_of(options=""):
    maps, _, words, lengths = inputs(2, 64, SMALL.backbone)
    model = small("DMN", options)
    return model, maps, words, lengths, traced("DMN", model, maps, words, lengths)


def test_the_responses_are_convolutions_with_each_words_filters():
    model, maps, _, lengths, trace = pass_of()
    assert (trace.f > 0).all() and (trace.f < 1).all()
    V5 = F.normalize(maps["V5"].double(), dim=1)
    for b in range(2):
        I5 = torch.cat([V5[b], trace.O[0]])[None]
        for t in range(lengths[b]):
            word = torch.cat([trace.e[b, t], trace.h[b, t]])
            f = torch.sigmoid(model.responses.make(word)).reshape(10, -1)
            R = F.conv2d(I5, f[..., None, None])[0]
            assert torch.allclose(trace.R[b, t], R)
            # then one convolution of all that a cell has at this word
            tiled = word[:, None, None].expand(-1, 8, 8)
            parts = (model.mix_image, model.mix_word, model.mix_responses)
            W = torch.cat([part.weight.flatten(1) for part in parts], 1)
            q = F.conv2d(torch.cat([I5[0], tiled, R])[None], W[..., None, None])[0]
            bias = model.mix_image.bias + model.mix_word.bias
            assert torch.allclose(trace.q[b, t], q + bias[:, None, None])


def sru_by_hand(unit, x):
    """x (T, d): the outputs, step by step."""
    W, bias, c, found = unit.mix.weight[:, :, 0, 0], unit.mix.bias, 0, []
    for step in x:
        new, f, r = (W @ step + bias).chunk(3)
        f, r = torch.sigmoid(f), torch.sigmoid(r)
        c = f * c + (1 - f) * new
        found.append(r * torch.tanh(c) + (1 - r) * step)
    return torch.stack(found)


def test_the_recurrent_net_reads_one_sequence_in_every_cell():
    model, _, _, lengths, trace = pass_of()
    for b, y, x in [(0, 0, 0), (1, 3, 7)]:
        m = trace.q[b, : lengths[b], :, y, x]
        for unit in model.recurrent:
            m = sru_by_hand(unit, m)
        assert torch.allclose(trace.m[b, : lengths[b], :, y, x], m)
    assert len(model.recurrent) == 3


def test_the_public_codes_sequence_runs_through_the_cells():
    """Its map is made of the last cells with all their words; only one word gives the same."""
    model, _, _, lengths, trace = pass_of(":recurrence=cells")
    T = int(lengths[0])
    cells = trace.q[0, :T].flatten(2)  # (T, d, hw)
    m = torch.stack([cells[t, :, i] for i in range(64) for t in range(T)])
    for unit in model.recurrent:
        m = sru_by_hand(unit, m)
    expected = m[-64:].T.reshape(-1, 8, 8)
    assert torch.allclose(trace.m[0, T - 1], expected)


def test_before_the_decoder_no_cell_knows_another():
    """Shuffled cells give shuffled states; the public code's sequence fails this."""
    order = torch.randperm(64)
    for options, independent in [("", True), (":recurrence=cells", False)]:
        model, _, _, lengths, trace = pass_of(options)
        q = trace.q.flatten(3)[..., order].unflatten(3, (8, 8))
        m = model.through_cells(q, lengths) if options else model.recurrent(q)
        expected = trace.m.flatten(3)[..., order].unflatten(3, (8, 8))
        assert torch.allclose(m, expected) == independent


def test_the_decoder_adds_the_maps_from_deep_to_shallow():
    model, maps, _, lengths, trace = pass_of()
    x = trace.m[range(2), lengths - 1]
    for n, side, d in [(5, 8, 16), (4, 8, 8), (3, 8, 4), (2, 16, 2)]:
        x = torch.cat([upsample(x, side), maps[f"V{n}"].double()], 1)
        x = F.conv2d(x, model.decoder.add[str(n)].weight, model.decoder.add[str(n)].bias, padding=1)
        assert torch.allclose(trace.X[n], x) and x.shape[1:] == (d, side, side)
    score = F.conv2d(x, model.score.weight, model.score.bias)
    assert torch.allclose(trace.logits, upsample(score, 64))


def test_gradients_of_the_recurrent_unit():
    unit = wakened(SRU(2))
    assert gradcheck(unit, double(1, 3, 2, 2, 1).requires_grad_(), atol=1e-4)
