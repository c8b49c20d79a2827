"""KWA: key words by a threshold and what they fetch, region by region; what is never connected."""

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from tests.model.rivals.tiny import SMALL, inputs, small, traced
from tests.tiny_parts import double, wakened
from tvnet.model.blocks import upsample
from tvnet.model.rivals.kwa import Context, QueryAttention


def test_each_region_weighs_the_words_by_two_layers():
    part, h, r = wakened(QueryAttention(6)), double(2, 3, 6), double(2, 4, 6)
    pad = torch.tensor([[False] * 3, [False, False, True]])
    found = part(h, pad, r)
    for b, T in enumerate((3, 2)):
        for i in range(4):
            z = []
            for t in range(T):
                joined = torch.cat([h[b, t], r[b, i] / r[b, i].norm()])
                W = torch.cat([part.word.weight, part.region.weight], 1)
                hidden = torch.relu(W @ joined + part.word.bias + part.region.bias)
                z.append(part.score.weight[0] @ hidden + part.score.bias[0])
            z = torch.stack(z).exp()
            assert torch.allclose(found[b, i, :T], z / z.sum()) and (found[b, i, T:] == 0).all()


def test_the_context_region_by_region():
    part, r, o = wakened(Context(4)), double(1, 5, 4), double(1, 5, 8)
    keep = (double(1, 5, 3) > 0).double()
    keep[..., 2] = 0  # nobody's key word
    c, g = part(keep, r, o)
    fetched, place = [], []
    for t in range(3):
        K = [i for i in range(5) if keep[0, i, t]]
        p = sum(r[0, i] for i in K) / len(K) if K else torch.zeros(4).double()
        place.append(sum(o[0, i] for i in K) / len(K) if K else None)
        fetched.append(torch.relu(part.fetch(p)))
    assert torch.allclose(g[0], torch.stack(fetched))
    for i in range(5):
        mine = [t for t in range(3) if keep[0, i, t]]
        content = sum((fetched[t] for t in mine), torch.zeros(4).double())
        away = sum((o[0, i] - place[t] for t in mine), torch.zeros(8).double())
        assert torch.allclose(c[0, i], torch.cat([content, away]))


def test_a_word_of_all_regions_gives_each_the_same_and_one_of_none_gives_nothing():
    part, r, o = wakened(Context(4)), double(2, 9, 4), double(1, 9, 8)
    everything, _ = part(torch.ones(2, 9, 3).double(), r, o)
    assert torch.allclose(everything[:, :, :4], everything[:, :1, :4].expand(-1, 9, -1))
    assert torch.allclose(everything[..., 4:].sum(1), torch.zeros(8).double())
    nothing, _ = part(torch.zeros(2, 9, 3).double(), r, o)
    assert (nothing == 0).all()


def test_key_words_have_more_than_an_even_share_and_pads_none():
    maps, _, words, lengths = inputs(3, 64, SMALL.backbone)
    lengths[1] = 1
    trace = traced("KWA", small("KWA"), maps, words, lengths)
    pad = torch.arange(5) >= lengths[:, None]
    assert torch.allclose(trace.a.sum(2), torch.ones(3, 25).double())
    assert torch.equal(trace.keep, (trace.a >= 1 / lengths[:, None, None]).double())
    assert (trace.keep.transpose(1, 2)[pad] == 0).all() and (trace.keep.sum(2) >= 1).all()
    assert (trace.keep[1, :, 0] == 1).all()  # the only word is a key word everywhere


@pytest.mark.parametrize("keys, reaches", [("hard", False), ("soft", True)])
def test_whether_the_context_teaches_the_attention(keys, reaches):
    maps, _, words, lengths = inputs(2, 64, SMALL.backbone)
    model = small("KWA", f":keys={keys}")
    trace = traced("KWA", model, maps, words, lengths)
    trace.context.square().sum().backward()
    assert model.context.fetch.weight.grad.abs().sum() > 0
    grad = model.attention.score.weight.grad
    assert (grad is not None and grad.abs().sum() > 0) == reaches


def test_a_cell_is_judged_by_sentence_features_place_and_context():
    maps, _, words, lengths = inputs(2, 64, SMALL.backbone)
    model = small("KWA")
    trace = traced("KWA", model, maps, words, lengths)
    raw = model.lateral(maps["V5"].double())
    assert torch.allclose(trace.r, F.adaptive_avg_pool2d(raw, 5).flatten(2).transpose(1, 2))
    q = torch.einsum("bnt,btd->bnd", trace.a, trace.h).transpose(1, 2).unflatten(2, (5, 5))
    q = F.normalize(F.interpolate(q, (8, 8), mode="bilinear"), dim=1)
    assert torch.allclose(trace.q, q)
    for b, y, x in [(0, 0, 0), (1, 3, 7)]:
        parts = [trace.q, raw / raw.norm(dim=1, keepdim=True), trace.O.expand(2, -1, -1, -1)]
        cell = torch.cat([part[b, :, y, x] for part in (*parts, trace.context)])
        hidden = torch.relu(model.classify.weight[:, :, 0, 0] @ cell + model.classify.bias)
        score = model.score.weight[0, :, 0, 0] @ hidden + model.score.bias
        assert torch.allclose(trace.score[b, :, y, x], score)
    assert torch.allclose(trace.logits, upsample(trace.score, 64))


def test_gradients_of_the_context():
    part, keep = wakened(Context(3)), torch.tensor([[[1.0, 0], [1, 1], [0, 1]]]).double()
    given = [double(1, 3, 3).requires_grad_(), double(1, 3, 8)]
    assert gradcheck(lambda r, o: part(keep, r, o)[0], given, atol=1e-4)
