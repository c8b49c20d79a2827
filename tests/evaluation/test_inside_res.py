"""What is measured inside RES, on attention and additions made by hand."""

import math

import pytest
import torch

from tvnet.evaluation.inside_res import (
    constant_share,
    entropy,
    level_of,
    ratio,
    sign_changes,
)
from tvnet.model.trace import Trace

HW, D = 6, 4
ALL = torch.ones(1, HW, dtype=torch.bool)


def test_attention_to_all_cells_alike_has_entropy_one_and_to_one_cell_none():
    assert entropy(torch.full((1, HW, HW), 1 / HW), ALL, ALL).item() == pytest.approx(1)
    assert entropy(torch.eye(HW)[None], ALL, ALL).item() == 0
    two = torch.zeros(1, HW, HW)
    two[..., :2] = 0.5
    assert entropy(two, ALL, ALL).item() == pytest.approx(math.log(2) / math.log(HW))


def test_padding_neither_asks_nor_is_asked():
    half = torch.tensor([[True] * 3 + [False] * 3])
    A = torch.zeros(1, HW, HW)
    A[:, :3, :3] = 1 / 3
    A[:, 3:, 0] = 1  # rows of padding: not counted
    assert entropy(A, half, half).item() == pytest.approx(1)
    added = torch.ones(1, D, HW)
    added[..., 3:] = 100
    assert constant_share(added, half).item() == pytest.approx(1)
    assert ratio(added, torch.full((1, D, HW), 2.0), half).item() == pytest.approx(0.5)


def test_a_constant_addition_is_the_same_at_every_cell_and_an_alternating_one_nowhere():
    constant = torch.randn(1, D, 1).expand(1, D, HW)
    assert constant_share(constant, ALL).item() == pytest.approx(1, abs=1e-5)
    sign = torch.tensor([1.0, -1.0]).repeat(HW // 2)
    assert constant_share(constant * sign, ALL).item() == pytest.approx(0, abs=1e-5)
    both = constant + constant * sign
    assert constant_share(both, ALL).item() == pytest.approx(0.5, abs=1e-5)


def trace(V, V_sim_prime, gate):
    made = Trace()
    made.A[3] = torch.full((1, HW, HW), 1 / HW)
    made.gate[3], made.V_sim_prime[3] = gate, V_sim_prime
    made.V_prime[3] = V + gate * V_sim_prime
    return made


def test_a_level_by_hand():
    """V is 1 and V_sim' 4 everywhere, of which the gate lets a quarter through; for the other
    picture V_sim' is 6."""
    V, gate = torch.ones(1, D, 2, 3), torch.full((1, D, 2, 3), 0.25)
    true, random = (trace(V, torch.full_like(V, x), gate) for x in (4.0, 6.0))
    found = level_of(true, random, 3, ALL, ALL)[0].tolist()
    assert found == pytest.approx([1, 0.25, 1, 1, 0.5])
    single = gate[:, :1]  # one gate a cell, for all channels
    true, random = (trace(V, torch.full_like(V, x), single) for x in (4.0, 6.0))
    assert level_of(true, random, 3, ALL, ALL)[0].tolist() == pytest.approx(found)


def test_signs_are_compared_inside_the_picture_only():
    a, b = torch.full((1, 4, 4), -1.0), torch.full((1, 4, 4), -1.0)
    a[0, 0, :] = 1
    b[0, 0, :2] = 1
    b[0, 3] = 1  # padding
    picture = torch.ones(1, 4, 4, dtype=torch.bool)
    picture[0, 3] = False
    assert sign_changes(a, b, picture).tolist() == [[2, 4, 12]]
    assert sign_changes(a, a, picture).tolist() == [[0, 4, 12]]
