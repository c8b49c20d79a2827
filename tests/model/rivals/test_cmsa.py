"""CMSA: its attention over pairs by hand in float64, its gates, and what pooling words does."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F

from tests.model.rivals.tiny import size_at_the_papers, small, traced
from tests.tiny_parts import double, wakened
from tvnet.model.blocks import upsample
from tvnet.model.rivals.cmsa import CrossModalSelfAttention, GatedFusion

ROW = "CMSA"


def by_hand(part, pairs, T, pool, act):
    """One sentence of T words: its weights and what it gathered, its keys block by block."""
    h, w = pairs.shape[1:3]
    pairs = pairs[:T]
    theta, phi, g = (act(layer(pairs)) for layer in (part.theta, part.phi, part.g))
    keys, values = [], []
    for t, y, x in product(range(0, T, pool), range(0, h, 2), range(0, w, 2)):
        block = (slice(t, min(t + pool, T)), slice(y, y + 2), slice(x, x + 2))
        keys.append(phi[block].amax((0, 1, 2)))
        values.append(g[block].amax((0, 1, 2)))
    similar = (theta.reshape(T * h * w, -1) @ torch.stack(keys).T).exp()
    weights = similar / similar.sum(1, keepdim=True)
    return weights, act(part.out(weights @ torch.stack(values))).view(T, h, w, -1)


@pytest.mark.parametrize("pool", [1, 2])
@pytest.mark.parametrize("activation", ["relu", "none"])
def test_the_attention_is_the_dense_one(pool, activation):
    """With and without the weights in memory; an odd number of words, rows and columns; pads."""
    part = wakened(CrossModalSelfAttention(5, 4, pool, activation))
    pairs, lengths = double(2, 3, 3, 5, 5), (3, 2)
    pad = torch.arange(3) >= torch.tensor(lengths)[:, None]
    whole, A = part(pairs, pad, whole=True)
    found, none = part(pairs, pad)
    assert none is None and torch.allclose(A.sum(-1), torch.ones(2, 45, dtype=torch.float64))
    act = torch.relu if activation == "relu" else lambda x: x
    for b, T in enumerate(lengths):
        weights, expected = by_hand(part, pairs[b], T, pool, act)
        used = weights.shape[1]
        assert torch.allclose(A[b, : len(weights), :used], weights)
        assert (A[b, :, used:] == 0).all()  # nothing for a key of pads alone
        assert torch.allclose(whole[b, :T], expected) and torch.allclose(found[b, :T], expected)


def test_gates_choose_between_levels():
    gate, d = wakened(GatedFusion(3)), 3
    x, second, third = double(1, d, 4, 4), double(1, d, 4, 4), double(1, d, 4, 4)
    found, f, r = gate(x, second, third)
    i, to_f, to_r = F.conv2d(x, gate.gates.weight, gate.gates.bias, padding=1).split(d, dim=1)
    assert torch.allclose(f, 1 / (1 + (-to_f - 1).exp()))
    assert torch.allclose(r, 1 / (1 + (-to_r - 1).exp()))
    c = gate.alpha * f * second + (1 - gate.alpha) * f * third + (1 - f) * i
    assert torch.allclose(found, r * c.tanh() + (1 - r) * x)
    with torch.no_grad():
        gate.alpha.fill_(1.0)
    assert torch.equal(gate(x, second, third)[0], gate(x, second, third + 1)[0])
    assert not torch.allclose(gate(x, second, third)[0], gate(x, second + 1, third)[0])
    with torch.no_grad():
        gate.gates.bias[2 * d :] = -1e9
    assert torch.allclose(gate(x, second, third)[0], x)


def test_from_words_and_maps_to_the_logits(given):
    """Around the attention: pairs, residual, mean over the real words, sum of the levels."""
    maps, words, lengths = given
    model = small(ROW)
    t = traced(ROW, model, maps, words, lengths)
    unit = lambda V: V / V.norm(dim=1, keepdim=True)  # noqa: E731
    V5 = torch.einsum("oi,bihw->bohw", model.lateral.weight[:, :, 0, 0], maps["V5"])
    V = {5: unit(V5 + model.lateral.bias[:, None, None]), 4: maps["V4"], 3: maps["V3"]}
    x = {}
    for n in (3, 4, 5):
        for b, T in enumerate(lengths):
            pairs = []
            for word in words[b, :T]:
                w = F.normalize(model.expression.embedding.weight[word], dim=0)
                tiled = w[:, None, None].expand(-1, 8, 8)
                pairs.append(torch.cat([unit(V[n])[b], tiled, t.O[0]]).permute(1, 2, 0))
            pairs = torch.stack(pairs)
            if n != 5:
                pairs = torch.relu(model.reduce[str(n)](pairs))
            _, gathered = by_hand(model.attention[str(n)], pairs, int(T), 2, torch.relu)
            mean = (pairs + gathered).mean(0).permute(2, 0, 1)
            assert torch.allclose(t.F_hat[n][b], mean)
        level = model.level[str(n)]
        kernel = level.weight[:, :, 0, 0]
        x[n] = torch.einsum("oi,bihw->bohw", kernel, t.F_hat[n]) + level.bias[:, None, None]
        x[n] = x[n].clamp(min=0)
        assert torch.allclose(t.x[n], x[n])
    order = {5: (4, 3), 4: (5, 3), 3: (5, 4)}
    total = sum(model.gated[str(n)](x[n], *(x[k] for k in order[n]))[0] for n in order)
    score = F.conv2d(total, model.head.score.weight, model.head.score.bias, padding=1)
    assert torch.allclose(t.logits, upsample(score, 64))


def test_the_order_of_words_is_seen_by_the_pooling_alone(given):
    maps, _, _ = given
    words, full = torch.tensor([[4, 5, 6, 7]] * 2), torch.tensor([4, 4])
    for pool, same in ((1, True), (2, False)):
        model = small(ROW, f":pool={pool}")
        one, two = (
            traced(ROW, model, maps, w, full).logits for w in (words, words[:, [1, 2, 3, 0]])
        )
        assert torch.allclose(one, two) == same
        within = traced(ROW, model, maps, words[:, [1, 0, 3, 2]], full).logits
        assert torch.allclose(one, within)  # the same pairs of words share a block


def test_an_attention_that_says_nothing_leaves_the_pairs(given):
    maps, words, lengths = given
    model = small(ROW)
    for part in model.attention.values():
        torch.nn.init.zeros_(part.out.weight), torch.nn.init.zeros_(part.out.bias)
    t = traced(ROW, model, maps, words, lengths)
    mean = t.w.sum(1) / lengths[:, None]
    d = t.F_hat[5].shape[1] - 8 - mean.shape[1]
    assert torch.allclose(t.F_hat[5][:, d:-8], mean[:, :, None, None].expand(-1, -1, 8, 8))
    assert torch.allclose(t.F_hat[5][:, -8:], t.O.double())


def test_at_the_papers_size_it_is_as_large_as_the_public_code():
    """28.5 M: lateral, attention, reductions, gates."""
    assert size_at_the_papers(ROW) == pytest.approx(28.5e6, rel=0.002)
