"""What the tests of every system start from."""

import pytest
import torch

from tests.model.rivals.tiny import SMALL, inputs


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def given():
    """Maps in float64, words and lengths of two sentences."""
    maps, _, words, lengths = inputs(2, 64, SMALL.backbone)
    return {name: V.double() for name, V in maps.items()}, words, lengths
