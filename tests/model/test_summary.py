"""The bill of the model: what it counts is what it has, and the ledger's shares hold."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tvnet.model import summary
from tvnet.model.backbone import DeepLab
from tvnet.model.method import build
from tvnet.model.tvnet import TVNet
from tvnet.rows import ORACLES, RIVALS, row_settings
from tvnet.settings import settings


@pytest.mark.slow
def test_the_bill_is_complete(capsys):
    smoke = settings("smoke")
    found = summary.costs(smoke, words=30)
    model = TVNet(smoke, 30)
    parts = [name for name, _ in model.named_children()]
    assert list(found) == ["backbone", *parts, "rest"]
    head = sum(cost.parameters for name, cost in found.items() if name != "backbone")
    assert head == model.count_parameters()
    assert all(cost.flop > 0 for cost in found.values())
    assert summary.main(["--profile", "smoke"]) == 0
    assert capsys.readouterr().out.count("\n") == len(found) + 3


def test_arithmetic_of_one_part_by_hand():
    """The siamese stem and the ConvLSTM: three steps of 1x1 kernels from 2 d_m to 4 d_m."""
    smoke = settings("smoke")
    d, cells = smoke.model.d_m, (smoke.data.size // 8) ** 2
    assert summary.costs(smoke, words=30)["conv_lstm"].flop == 3 * 2 * cells * 2 * d * 4 * d


@pytest.mark.slow
@pytest.mark.parametrize("row", [*RIVALS, *ORACLES])
def test_every_system_has_a_bill_at_the_papers_size(row):
    """All of its arithmetic, as torch counts it in a pass over numbers at a small size."""
    chosen = row_settings(settings("smoke"), row)
    found = summary.costs(chosen, words=30)
    model = build(chosen, 30).eval()
    maps = DeepLab(chosen.backbone).freeze()(torch.zeros(1, 3, 96, 96).byte())
    if row in ORACLES:
        maps |= summary.candidates(96)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(maps, None, torch.ones(1, 20).long(), torch.tensor([20]))
    lstms = [m for m in model.modules() if isinstance(m, torch.nn.LSTM)]
    own = sum(2 * 20 * 4 * m.hidden_size * (m.input_size + m.hidden_size) for m in lstms)
    head = [cost for name, cost in found.items() if name != "backbone"]
    assert sum(cost.flop for cost in head) == counter.get_total_flops() + own
    assert sum(cost.parameters for cost in head) == model.count_parameters()
    paper = summary.costs(row_settings(settings("paper"), row))
    assert all(paper[name].parameters >= cost.parameters for name, cost in found.items())
    assert found.keys() == paper.keys()


def test_a_bill_is_asked_for_by_the_rows_name(capsys):
    assert summary.main(["--profile", "smoke", "--row", "RRN"]) == 0
    assert "\nreduce " in capsys.readouterr().out
    assert summary.main(["--row", "RNN"]) == 2
    assert "There is no row 'RNN': choose from LSTM-CNN, " in capsys.readouterr().err


def test_an_unknown_profile_is_one_sentence(capsys):
    assert summary.main(["--profile", "huge"]) == 2
    assert "There is no profile 'huge': choose one of" in capsys.readouterr().err


@pytest.mark.slow
def test_the_papers_bill_is_that_of_the_specification():
    """452 GFLOP and 54.4 M parameters were estimated; D10 and D16 explain the difference."""
    found = summary.costs(settings("paper"))
    head = {name: cost for name, cost in found.items() if name != "backbone"}
    assert sum(cost.parameters for cost in head.values()) == pytest.approx(54.4e6, rel=0.04)
    assert sum(cost.flop for cost in found.values()) == pytest.approx(452e9, rel=0.06)
    assert found["backbone"].flop == pytest.approx(277e9, rel=0.01)
    assert found["enrichment"].flop == pytest.approx((63 + 17.6) * 1e9, rel=0.01)
    assert found["conv_lstm"].flop == pytest.approx(19.2e9, rel=0.01)
    merge = 2 * (500 + 256) * 500 * 9 * 80 * 80
    assert merge > 0.5 * found["high_resolution"].flop
