"""The model: shapes over variants, batch sizes and odd sizes, and the invariants of each part."""

from dataclasses import replace
from itertools import product

import pytest
import torch
import torch.nn.functional as F

from tvnet.model.amf import AMF, Cct
from tvnet.model.backbone import Backbone
from tvnet.model.blocks import l2c, upsample
from tvnet.model.enrichment import Enrichment
from tvnet.model.expression import Expression
from tvnet.model.fusion import Bilinear, ConvLSTM, Exchange, Gate, coordinates
from tvnet.model.trace import LEVELS, Trace, expected_shapes
from tvnet.model.tvnet import TVNet
from tvnet.settings import BackboneSettings, ModelSettings, settings

SMOKE = settings("smoke")
VARIANTS = [(False, "none"), (True, "none"), (True, "cct"), (True, "amf"), (False, "amf")]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def variant(enrichment, high_resolution, base=SMOKE):
    model = replace(base.model, enrichment=enrichment, high_resolution=high_resolution)
    return replace(base, model=model)


def inputs(chosen, batch, size):
    backbone = Backbone(chosen.backbone).freeze()
    image, similar = torch.randint(0, 256, (2, batch, 3, size, size), dtype=torch.uint8)
    words = torch.randint(4, 30, (batch, 5))
    return backbone(image), backbone(similar), words, torch.randint(1, 6, (batch,))


@pytest.mark.parametrize("enrichment, high_resolution", VARIANTS)
@pytest.mark.parametrize("batch, size", [(1, 96), (3, 64), (2, 97), (2, 91), (1, 108)])
def test_every_tensor_has_the_shape_of_the_table(enrichment, high_resolution, batch, size):
    chosen = variant(enrichment, high_resolution)
    trace = Trace()
    logits = TVNet(chosen, 30)(*inputs(chosen, batch, size), size=size, trace=trace)
    assert logits.shape == (batch, 1, size, size)
    assert trace.shapes() == expected_shapes(chosen, batch, size)
    assert torch.isfinite(logits).all()


def test_the_papers_size_gives_the_papers_maps():
    """Shapes only, on the meta device: 320 px, 80x80 and 40x40 (P4.1)."""
    chosen = settings("paper")
    with torch.device("meta"):
        model, backbone = TVNet(chosen, 12112), Backbone(chosen.backbone)
        maps = backbone(torch.zeros(1, 3, 320, 320, dtype=torch.uint8))
    assert {name: tuple(V.shape[1:]) for name, V in maps.items()} == {
        "V2": (256, 80, 80),
        "V3": (512, 40, 40),
        "V4": (1024, 40, 40),
        "V5": (2048, 40, 40),
    }
    table = expected_shapes(chosen, 2, 320)
    assert table["A[5]"] == (2, 1600, 1600)
    assert table["M_fine_prime"] == (2, 500, 80, 80)
    assert 45e6 < sum(p.numel() for p in model.parameters()) < 60e6


def test_variants_differ_in_exactly_their_part():
    def parts(enrichment, high_resolution):
        return {n for n, _ in TVNet(variant(enrichment, high_resolution), 30).named_parameters()}

    base = parts(False, "none")
    assert {n.split(".")[0] for n in parts(True, "none") - base} == {"enrichment"}
    assert {n.split(".")[0] for n in parts(False, "amf") - base} == {"high_resolution"}
    assert base < parts(True, "none") < parts(True, "amf")


def test_unknown_variant_is_named():
    with pytest.raises(ValueError, match="high_resolution is 'hrnet': use 'none', 'cct' or 'amf'"):
        TVNet(variant(True, "hrnet"), 30)


def test_backbone_stays_frozen_whatever_train_is_called():
    backbone = Backbone(SMOKE.backbone).freeze()
    backbone.train()
    before = {name: t.clone() for name, t in backbone.state_dict().items()}
    maps = backbone(torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8))
    assert not any(V.requires_grad for V in maps.values())
    assert all(torch.equal(before[name], t) for name, t in backbone.state_dict().items())


def test_backbone_cell_i_looks_at_pixel_8i():
    """Symmetric padding centres V3's cell i on pixel 8i, which `upsample` relies on (D38)."""
    backbone = Backbone(BackboneSettings(width=4, expansion=1, blocks=(1, 1, 1, 1)))
    backbone.freeze()
    images = torch.randint(0, 256, (1, 3, 129, 129)).repeat(130, 1, 1, 1)
    rows = torch.arange(129)
    images[rows, :, rows] = 255 - images[rows, :, rows]  # image r differs in row r alone
    V3 = backbone(images.byte())["V3"][:, :, 8, 8]
    seen = (V3[:129] != V3[129]).any(1).nonzero()
    assert (seen.min() + seen.max()) / 2 == 64


def test_enrichment_with_W3_at_zero_changes_nothing():
    block = Enrichment(3, 8)
    V_in, V_sim = torch.randn(2, 2, 8, 5, 4)
    assert torch.equal(block(V_in, V_sim), V_in)


def test_attention_rows_sum_to_one_and_leave_padding_out():
    block, trace = Enrichment(3, 8), Trace()
    V_in, V_sim = torch.randn(2, 2, 8, 4, 4)
    valid = torch.ones(2, 4, 4, dtype=torch.bool)
    valid[:, :1] = valid[:, -1:] = False
    block(V_in, V_sim, valid, trace)
    A = trace.A[3]
    assert torch.allclose(A.sum(-1), torch.ones(2, 16))
    assert (A[:, :, ~valid[0].flatten()] == 0).all()
    assert (A[:, :, valid[0].flatten()] > 0).all()


def test_enrichment_is_equation_1_and_2():
    """A slow and obvious reading of the two equations, position by position."""
    block, d = Enrichment(4, 6).double(), 6
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
    block = Enrichment(3, 8)
    block.W3.weight.data.normal_()
    V_in, V_sim = torch.randn(2, 1, 8, 4, 4)
    shuffled = V_sim.flatten(2)[..., torch.randperm(16)].view_as(V_sim)
    assert torch.allclose(block(V_in, V_sim), block(V_in, shuffled), atol=1e-5)


def test_coordinates_at_40x40():
    O = coordinates(40, 40, torch.zeros(()))[0]  # noqa: E741
    assert O[:, 0, 0][:2].tolist() == [-1, -1]
    assert torch.allclose(O[2:4, -1, -1], torch.ones(2))
    assert torch.allclose(O[6:], torch.full((2, 40, 40), 0.025))
    assert torch.allclose(O[4:6], (O[0:2] + O[2:4]) / 2)
    assert O[0, 0, 1] > O[0, 0, 0] and O[1, 1, 0] > O[1, 0, 0]  # x runs right, y runs down


def test_bilinear_is_the_printed_product():
    block = Bilinear(4, 5, 6).double()
    V, s = torch.randn(2, 4, 3, 3, dtype=torch.float64), torch.randn(2, 5, dtype=torch.float64)
    O = coordinates(3, 3, V)  # noqa: E741
    X = F.conv2d(
        torch.cat([V / V.norm(dim=1, keepdim=True), O.expand(2, -1, -1, -1)], 1),
        block.lateral.weight,
        block.lateral.bias,
    )
    raw = block.W4(s)[:, :, None, None] * block.W5(X)
    assert torch.allclose(block(V, s, O), raw / raw.norm(dim=1, keepdim=True))


def test_exchange_treats_its_senders_alike():
    """Swapping senders 3 and 4 of receiver 5 together with their weights changes nothing."""
    gate = Gate(5, d_s=4, d_m=6)
    M = {level: l2c(torch.randn(2, 6, 3, 3)) for level in LEVELS}
    s = torch.randn(2, 4)
    before = gate(M, s)
    for table in (gate.value, gate.amount):
        first, second = table["3"], table["4"]
        table["3"], table["4"] = second, first
    assert torch.allclose(gate(M | {3: M[4], 4: M[3]}, s), before, atol=1e-6)


def test_exchange_returns_unit_vectors_per_level():
    M = {level: torch.randn(2, 6, 3, 3) for level in LEVELS}
    for value in Exchange(4, 6)(M, torch.randn(2, 4)).values():
        assert torch.allclose(value.norm(dim=1), torch.ones(2, 3, 3), atol=1e-5)


def test_conv_lstm_reads_levels_in_order_and_knows_other_sizes():
    cell = ConvLSTM(4, side=3)
    levels = list(torch.randn(3, 2, 4, 3, 3))
    assert not torch.allclose(cell(levels), cell(levels[::-1]))
    cell.peepholes["i"].data.normal_()
    assert cell([torch.randn(2, 4, 5, 5)] * 3).shape == (2, 4, 5, 5)


def test_group_norm_of_one_group_is_layer_norm_over_the_map():
    x = torch.randn(2, 4, 3, 3)
    assert torch.allclose(F.group_norm(x, 1), F.layer_norm(x, (4, 3, 3)), atol=1e-6)


def test_padding_words_change_nothing():
    reader = Expression(30, ModelSettings(d_words=5, d_s=7))
    bare = reader(torch.tensor([[4, 9, 2]]), torch.tensor([3]))
    padded = reader(torch.tensor([[4, 9, 2, 0, 0], [5, 0, 0, 0, 0]]), torch.tensor([3, 1]))
    assert torch.allclose(bare[0], padded[0], atol=1e-6)
    assert torch.allclose(padded.norm(dim=1), torch.ones(2))


def test_upsample_puts_cell_i_at_pixel_i_times_factor():
    """The TF1 grid."""
    got = upsample(torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]]), 4)[0, 0]
    rows = [[0, 0.5, 1, 1], [1, 1.5, 2, 2], [2, 2.5, 3, 3], [2, 2.5, 3, 3]]
    assert torch.allclose(got, torch.tensor(rows))


def test_amf_is_equation_4_and_5():
    block = AMF(4, 6, 8, norm_groups=2)
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


@pytest.mark.parametrize("block", [AMF(4, 6, 8, norm_groups=2), Cct(4, 6)])
def test_high_resolution_starts_at_the_baseline(block):
    M, V2 = torch.randn(2, 4, 3, 3), torch.randn(2, 6, 6, 6)
    assert torch.allclose(block(M, V2), upsample(M, 6), atol=1e-6)


def test_every_parameter_learns():
    chosen = variant(True, "amf")
    model = TVNet(chosen, 30)
    maps = inputs(chosen, 2, 64)
    for _ in range(3):  # what lies behind a zero wakes up once it has left zero
        model.zero_grad()
        (model(*maps, size=64) - 1).square().mean().backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= 1e-2 * p.grad
    asleep = [name for name, p in model.named_parameters() if not p.grad.abs().sum() > 0]
    assert asleep == []
