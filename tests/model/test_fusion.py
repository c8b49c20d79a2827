"""Cross-modal fusion: its equations read slowly in float64, its invariants, its gradients."""

from dataclasses import replace
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from tests.tiny_parts import TINY, double, wakened
from tvnet.model.blocks import l2_normalize
from tvnet.model.conv_lstm import ConvLSTM, PlainConvLSTM
from tvnet.model.fusion import Bilinear, Gate, GatedExchange, coordinates
from tvnet.model.trace import LEVELS


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_coordinates_at_40x40():
    O = coordinates(40, 40, torch.zeros(()))[0]  # noqa: E741
    assert O[:, 0, 0][:2].tolist() == [-1, -1]
    assert torch.allclose(O[2:4, -1, -1], torch.ones(2))
    assert torch.allclose(O[6:], torch.full((2, 40, 40), 0.025))
    assert torch.allclose(O[4:6], (O[0:2] + O[2:4]) / 2)
    assert O[0, 0, 1] > O[0, 0, 0] and O[1, 1, 0] > O[1, 0, 0]  # x runs right, y runs down


def test_bilinear_is_the_printed_product():
    block = Bilinear(4, TINY).double()
    V, s = torch.randn(2, 4, 3, 3, dtype=torch.float64), torch.randn(2, 5, dtype=torch.float64)
    O = coordinates(3, 3, V)  # noqa: E741
    X = F.conv2d(
        torch.cat([V / V.norm(dim=1, keepdim=True), O.expand(2, -1, -1, -1)], 1),
        block.lateral.weight,
        block.lateral.bias,
    )
    raw = block.W4[0](s)[:, :, None, None] * block.W5[0](X)
    assert torch.allclose(block(V, s, O), raw / raw.norm(dim=1, keepdim=True))


def test_exchange_treats_its_senders_alike():
    """Swapping senders 3 and 4 of receiver 5 together with their weights changes nothing."""
    gate = Gate(5, TINY)
    M = {level: l2_normalize(torch.randn(2, 4, 3, 3)) for level in LEVELS}
    s = torch.randn(2, 5)
    before = gate(M, s)
    for table in (gate.value, gate.amount):
        first, second = table["3"], table["4"]
        table["3"], table["4"] = second, first
    assert torch.allclose(gate(M | {3: M[4], 4: M[3]}, s), before, atol=1e-6)


def test_levels_receive_at_once_and_not_one_after_another():
    """Eq. 3, second line: every sender is raw, none has received already."""
    block, s = GatedExchange(TINY), torch.randn(2, 5)
    M = {level: l2_normalize(torch.randn(2, 4, 3, 3)) for level in LEVELS}
    received = block(dict(M), s)
    for gate in block.gates:
        assert torch.equal(received[gate.level], gate(M, s))


def test_exchange_returns_unit_vectors_per_level():
    M = {level: torch.randn(2, 4, 3, 3) for level in LEVELS}
    for value in GatedExchange(TINY)(M, torch.randn(2, 5)).values():
        assert torch.allclose(value.norm(dim=1), torch.ones(2, 3, 3), atol=1e-5)


def test_conv_lstm_reads_levels_in_order_and_knows_other_sizes():
    cell = ConvLSTM(TINY, side=3)
    levels = list(torch.randn(3, 2, 4, 3, 3))
    assert not torch.allclose(cell(levels), cell(levels[::-1]))
    cell.peepholes["i"].data.normal_()
    assert cell([torch.randn(2, 4, 5, 5)] * 3).shape == (2, 4, 5, 5)


def test_group_norm_of_one_group_is_layer_norm_over_the_map():
    x = torch.randn(2, 4, 3, 3)
    assert torch.allclose(F.group_norm(x, 1), F.layer_norm(x, (4, 3, 3)), atol=1e-6)


def test_mutan_sums_five_products_of_tanh():
    block = wakened(Bilinear(4, replace(TINY, rank=5, tanh=True)))
    V, s, O = double(2, 4, 3, 3), double(2, 5), coordinates(3, 3, double(1))  # noqa: E741
    X = block.lateral(torch.cat([l2_normalize(V), O.expand(2, -1, -1, -1)], 1))
    total = torch.zeros(2, 4, 3, 3, dtype=torch.float64)
    for r in range(5):
        total += torch.tanh(block.W5[r](X)) * torch.tanh(block.W4[r](s))[:, :, None, None]
    assert torch.allclose(block(V, s, O), l2_normalize(torch.tanh(total)))


def test_gate_is_cmpcs_step_by_step():
    gate = wakened(Gate(4, TINY))
    M = {level: double(1, 4, 2, 3) for level in LEVELS}
    t, d = double(1, 5), 4
    cells = list(product(range(2), range(3)))
    query = gate.query(t)[0]
    key = gate.key(M[4])[0]
    scores = torch.stack([key[:, y, x] @ query / d**0.5 for y, x in cells])
    weights = scores.exp() / scores.exp().sum()
    seen = sum(w * M[4][0, :, y, x] for w, (y, x) in zip(weights, cells, strict=True))
    g = gate.summary(torch.cat([seen, t[0]]))
    g = g / g.norm()
    total = M[4].clone()
    for k in (3, 5):
        amount = torch.sigmoid(gate.amount[str(k)](g))
        for y, x in cells:
            kernel, bias = gate.value[str(k)].weight[:, :, 0, 0], gate.value[str(k)].bias
            total[0, :, y, x] += torch.relu(kernel @ M[k][0, :, y, x] + bias) * amount
    assert torch.allclose(gate(M, t), total / total.norm(dim=1, keepdim=True))


def layer_norm(x, norm):
    """Over all of a sample's numbers, with one gain and offset a channel."""
    scaled = (x - x.mean()) / (x.var(unbiased=False) + norm.eps).sqrt()
    return scaled * norm.weight[:, None, None] + norm.bias[:, None, None]


def test_conv_lstm_is_cmpcs_cell_by_loops():
    cell = wakened(ConvLSTM(TINY, side=2))
    levels = [double(1, 4, 2, 2) for _ in range(3)]
    h = c = torch.zeros(4, 2, 2, dtype=torch.float64)
    W, norms, peep = cell.mix.weight[:, :, 0, 0], cell.norms, cell.peepholes
    for x in (level[0] for level in levels):
        y = torch.stack(
            [W @ torch.cat([x[:, a, b], h[:, a, b]]) for a, b in product((0, 1), (0, 1))]
        )
        j, i, f, o = y.T.reshape(16, 2, 2).split(4)
        i = torch.sigmoid(layer_norm(i + peep["i"] * c, norms["i"]))
        f = torch.sigmoid(layer_norm(f + peep["f"] * c, norms["f"]) + 1)
        c = c * f + i * torch.tanh(layer_norm(j, norms["j"]))
        o = torch.sigmoid(layer_norm(o + peep["o"] * c, norms["o"]))
        c = layer_norm(c, norms["c"])
        h = o * torch.tanh(c)
    assert torch.allclose(cell(levels)[0], h)


def test_plain_conv_lstm_is_the_textbook_cell():
    cell = PlainConvLSTM(TINY)
    assert (cell.mix.bias[4:8] == 1).all() and cell.mix.bias.sum() == 4
    cell = wakened(cell)
    levels = [double(1, 4, 2, 2) for _ in range(2)]
    h = c = torch.zeros(1, 4, 2, 2, dtype=torch.float64)
    for x in levels:
        y = F.conv2d(torch.cat([x, h], 1), cell.mix.weight, cell.mix.bias, padding=1)
        i, f, o, g = y[:, :4], y[:, 4:8], y[:, 8:12], y[:, 12:]
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
    assert torch.allclose(cell(levels), h)


def test_peepholes_can_be_off_at_other_sizes():
    cell = wakened(ConvLSTM(replace(TINY, peephole_elsewhere="off"), side=3))
    levels = [double(1, 4, 5, 5) for _ in range(3)]
    with_maps = cell(levels)
    for weight in cell.peepholes.values():
        torch.nn.init.zeros_(weight)
    assert torch.allclose(cell(levels), with_maps)


def test_peepholes_are_resized_bilinearly_at_other_sizes():
    cell, c = wakened(ConvLSTM(TINY, side=3)), double(1, 4, 5, 5)
    resized = F.interpolate(cell.peepholes["i"][None], (5, 5), mode="bilinear")
    assert torch.allclose(cell.peephole("i", c), resized * c)
    assert torch.equal(cell.peephole("i", c[..., :3, :3]), cell.peepholes["i"] * c[..., :3, :3])


def test_coordinates_by_formula():
    O = coordinates(3, 5, double(1))[0]  # noqa: E741
    for y, x in product(range(3), range(5)):
        left, top = 2 * x / 5 - 1, 2 * y / 3 - 1
        right, bottom = 2 * (x + 1) / 5 - 1, 2 * (y + 1) / 3 - 1
        centre = [(left + right) / 2, (top + bottom) / 2]
        expected = [left, top, right, bottom, *centre, 1 / 5, 1 / 3]
        assert torch.allclose(O[:, y, x], torch.tensor(expected, dtype=torch.float64), atol=1e-6)


GRADIENTS = {
    "bilinear": (lambda: Bilinear(6, TINY), [(1, 6, 2, 2), (1, 5), (1, 8, 2, 2)]),
    "conv_lstm": (lambda: ConvLSTM(TINY, 2), [(1, 4, 2, 2)] * 3),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_are_those_of_differences(name):
    make, shapes = GRADIENTS[name]
    block = wakened(make())
    given = [double(*shape).requires_grad_() for shape in shapes]

    def call(*tensors):
        return block(list(tensors)) if name == "conv_lstm" else block(*tensors)

    assert gradcheck(call, given)


def test_gradients_of_the_exchange():
    block, t = wakened(GatedExchange(TINY)), double(1, 5).requires_grad_()
    levels = [double(1, 4, 2, 2).requires_grad_() for _ in LEVELS]

    def call(t, *maps):
        return tuple(block(dict(zip(LEVELS, maps, strict=True)), t).values())

    assert gradcheck(call, (t, *levels))
