"""Words, RES and AMF: their equations read slowly in float64, their invariants and gradients."""

from dataclasses import replace
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from tests.tiny_parts import TINY, double, wakened
from tvnet.model.amf import AMF, Cct
from tvnet.model.blocks import concat, conv, upsample
from tvnet.model.enrichment import RES, Enrichment
from tvnet.model.expression import Expression
from tvnet.model.head import Head
from tvnet.model.trace import LEVELS, Trace


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_enrichment_with_W3_at_zero_changes_nothing():
    block = Enrichment(8, TINY)
    V_in, V_sim = torch.randn(2, 2, 8, 5, 4)
    assert torch.equal(block(V_in, V_sim), V_in)


def test_W3_may_start_awake_or_behind_a_bottleneck():
    V_in, V_sim = torch.randn(2, 2, 8, 5, 4)
    awake = Enrichment(8, replace(TINY, W3="glorot"))
    assert not torch.allclose(awake(V_in, V_sim), V_in)
    narrow = Enrichment(8, replace(TINY, W3="bottleneck"))
    assert [m.weight.shape for m in narrow.W3] == [(4, 8), (8, 4)]
    assert torch.equal(narrow(V_in, V_sim), V_in)


def test_attention_rows_sum_to_one_and_leave_padding_out():
    block, trace = Enrichment(8, TINY), Trace()
    V_in, V_sim = torch.randn(2, 2, 8, 4, 4)
    valid = torch.ones(2, 4, 4, dtype=torch.bool)
    valid[:, :1] = valid[:, -1:] = False
    block(V_in, V_sim, valid, trace, 3)
    A = trace.A[3]
    assert torch.allclose(A.sum(-1), torch.ones(2, 16))
    assert (A[:, :, ~valid[0].flatten()] == 0).all()
    assert (A[:, :, valid[0].flatten()] > 0).all()


def test_enrichment_is_equation_1_and_2():
    """A slow and obvious reading of the two equations, position by position."""
    block, d = Enrichment(6, TINY).double(), 6
    block.W3.weight.data.normal_()
    V_in, V_sim = torch.randn(2, 1, d, 2, 3, dtype=torch.float64)
    expected = torch.empty_like(V_in)
    for y, x in product(range(2), range(3)):
        v = V_in[0, :, y, x]
        keys = [V_sim[0, :, b, a] for b, a in product(range(2), range(3))]
        scores = torch.stack([block.W1(v) @ block.W2(k) for k in keys]) / (d // 2) ** 0.5
        weights = scores.exp() / scores.exp().sum()
        gathered = sum(w * block.W3(k) for w, k in zip(weights, keys, strict=True))
        gate = torch.sigmoid(block.gate.weight[:, :, 0, 0] @ v + block.gate.bias)
        expected[0, :, y, x] = v + gate * gathered
    assert torch.allclose(block(V_in, V_sim), expected)


def test_enrichment_does_not_mind_where_the_retrieved_cells_lie():
    block = Enrichment(8, TINY)
    block.W3.weight.data.normal_()
    V_in, V_sim = torch.randn(2, 1, 8, 4, 4)
    shuffled = V_sim.flatten(2)[..., torch.randperm(16)].view_as(V_sim)
    assert torch.allclose(block(V_in, V_sim), block(V_in, shuffled), atol=1e-5)


def test_padding_words_change_nothing():
    reader = Expression(30, replace(TINY, d_s=7))
    bare, _ = reader(torch.tensor([[4, 9, 2]]), torch.tensor([3]))
    padded, _ = reader(torch.tensor([[4, 9, 2, 0, 0], [5, 0, 0, 0, 0]]), torch.tensor([3, 1]))
    assert torch.allclose(bare[0], padded[0], atol=1e-6)
    assert torch.allclose(padded.norm(dim=1), torch.ones(2))


def test_upsample_puts_cell_i_at_pixel_i_times_factor():
    """The TF1 grid."""
    got = upsample(torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]]), 4)[0, 0]
    rows = [[0, 0.5, 1, 1], [1, 1.5, 2, 2], [2, 2.5, 3, 3], [2, 2.5, 3, 3]]
    assert torch.allclose(got, torch.tensor(rows))


@pytest.mark.parametrize("size", [97, 100, 104])
def test_cell_i_lies_at_pixel_8i_at_every_size(size):
    x = double(1, 2, 13, 13)
    assert torch.allclose(upsample(x, size)[..., ::8, ::8], x)


def test_amf_is_equation_4_and_5():
    block = AMF(6, TINY)
    torch.nn.init.normal_(block.merge.weight)
    M, V2, trace = torch.randn(2, 4, 3, 3), torch.randn(2, 6, 6, 6), Trace()
    out = block(M, V2, trace)
    C_HR = F.pixel_shuffle(block.widen(F.relu(block.encode(M))), 2)
    V2_prime = F.relu(block.norm(block.suppress(torch.cat([C_HR, V2], 1))))
    U = upsample(M, 6)
    A2 = torch.sigmoid(block.gate(torch.cat([V2_prime, U], 1)))
    assert torch.allclose(out, block.merge(torch.cat([U, A2 * V2_prime], 1)))
    assert torch.equal(trace.C_HR, C_HR) and torch.equal(trace.A2, A2)
    assert (A2 > 0).all() and (A2 < 1).all()


def test_at_odd_sizes_the_shuffled_cells_keep_their_places():
    block, trace, M = AMF(6, TINY), Trace(), torch.randn(2, 4, 3, 3)
    block(M, torch.randn(2, 6, 5, 5), trace)
    whole = F.pixel_shuffle(block.widen(F.relu(block.encode(M))), 2)
    assert torch.equal(trace.C_HR, whole[..., :5, :5])


def test_the_lstm_starts_by_keeping_what_it_knows():
    """A bias of one on the forget gate, the second of torch's four, and on no other."""
    starts = Expression(7, TINY).lstm.bias_ih_l0.view(4, -1)
    assert starts.mean(1).tolist() == [0, 1, 0, 0] and starts.var(1).sum() == 0


@pytest.mark.parametrize("block", [AMF(6, TINY), Cct(6, TINY)])
def test_high_resolution_starts_at_the_baseline(block):
    M, V2 = torch.randn(2, 4, 3, 3), torch.randn(2, 6, 6, 6)
    assert torch.allclose(block(M, V2), upsample(M, 6), atol=1e-6)


def test_pixel_shuffle_by_indexing():
    block = wakened(AMF(6, TINY))
    trace = Trace()
    block(double(1, 4, 2, 2), double(1, 6, 4, 4), trace)
    for channel, y, x in product(range(8), range(4), range(4)):
        source = trace.C_LR[0, 4 * channel + 2 * (y % 2) + x % 2, y // 2, x // 2]
        assert trace.C_HR[0, channel, y, x] == source


def test_upsampling_on_the_legacy_grid_by_loops():
    x, size = double(1, 1, 3, 3), 12
    got = upsample(x, size)[0, 0]
    for row, column in product(range(size), range(size)):
        a, b = row * 3 / size, column * 3 / size
        y0, x0 = int(a), int(b)
        y1, x1 = min(y0 + 1, 2), min(x0 + 1, 2)
        p, q = a - y0, b - x0
        top = x[0, 0, y0, x0] * (1 - q) + x[0, 0, y0, x1] * q
        bottom = x[0, 0, y1, x0] * (1 - q) + x[0, 0, y1, x1] * q
        assert torch.allclose(got[row, column], top * (1 - p) + bottom * p)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_pointwise_convolution_is_a_convolution(layout):
    layer = conv(5, 7)
    x = torch.randn(2, 5, 4, 3).to(memory_format=layout)
    assert torch.allclose(layer(x), F.conv2d(x, layer.weight, layer.bias), atol=1e-6)
    assert conv(5, 7, bias=False).bias is None


@pytest.mark.parametrize("grid", ["legacy", "half_pixel"])
@pytest.mark.parametrize("kernel", [1, 3])
def test_the_score_of_an_upsampled_map_is_taken_before_the_upsampling(grid, kernel):
    head = Head(replace(TINY, upsampling=grid, score_kernel=kernel))
    head.score.bias.data.fill_(0.3)
    M = torch.randn(2, TINY.d_m, 5, 5)
    assert torch.allclose(head(M), head.score(upsample(M, 10, grid)), atol=1e-6)


def test_what_stands_beside_a_map_is_repeated_over_it():
    V = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    s, O = torch.randn(2, 6, 1, 1), torch.randn(1, 8, 4, 5)  # noqa: E741
    both = concat(V, s, O)
    assert torch.equal(both[:, :3], V)
    assert torch.equal(both[:, 3:9], s.expand(2, 6, 4, 5))
    assert torch.equal(both[1, 9:], O[0])
    assert both.is_contiguous(memory_format=torch.channels_last)


def test_half_pixel_upsampling_shifts_by_half_a_cell():
    """A ramp over pixels, sampled where the cells' centres lie, comes back only on the legacy
    grid; the other grid is off by half a cell less half a pixel (D38)."""
    ramp = torch.arange(0, 80, 8.0).view(1, 1, 1, 10).expand(1, 1, 10, 10)
    truth = torch.arange(80.0)
    assert torch.allclose(upsample(ramp, 80)[0, 0, 0, :72], truth[:72])
    off = upsample(ramp, 80, "half_pixel")[0, 0, 0, 8:72] - truth[8:72]
    assert torch.allclose(off, torch.full((64,), -3.5))


def test_words_that_weigh_stay_out_of_padding():
    reader = Expression(30, replace(TINY, gate_text="words"))
    _, bare = reader(torch.tensor([[4, 9, 2]]), torch.tensor([3]))
    s, padded = reader(torch.tensor([[4, 9, 2, 0, 0], [5, 7, 7, 7, 7]]), torch.tensor([3, 5]))
    assert torch.allclose(bare[0], padded[0], atol=1e-6)
    assert torch.allclose(padded.norm(dim=1), torch.ones(2)) and not torch.allclose(s, padded)


def test_shared_enrichment_has_one_set_of_weights_behind_projections():
    block = wakened(RES({3: 6, 4: 8, 5: 10}, replace(TINY, shared_enrichment=True)))
    V_in = {f"V{n}": double(1, 4 + 2 * (n - 2), 2, 2) for n in LEVELS}
    V_sim = {name: double(*V.shape) for name, V in V_in.items()}
    found = block(V_in, V_sim)
    for n in LEVELS:
        project = block.project[str(n)]
        both = project(V_in[f"V{n}"]), project(V_sim[f"V{n}"])
        assert torch.allclose(found[n], block.shared(*both))


GRADIENTS = {
    "enrichment": (lambda: Enrichment(6, TINY), [(1, 6, 2, 2), (1, 6, 2, 2)]),
    "amf": (lambda: AMF(6, TINY), [(1, 4, 2, 2), (1, 6, 4, 4)]),
    "cct": (lambda: Cct(6, TINY), [(1, 4, 2, 2), (1, 6, 4, 4)]),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_are_those_of_differences(name):
    make, shapes = GRADIENTS[name]
    given = [double(*shape).requires_grad_() for shape in shapes]
    assert gradcheck(wakened(make()), given)
