"""Tiny settings and float64 tensors for the tests of single parts."""

import torch

from tvnet.settings import ModelSettings

TINY = ModelSettings(d_words=5, d_s=5, d_m=4, d_hr=8, norm_groups=2)


def double(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def wakened(block):
    """In float64, nothing left at a zero or an identity."""
    for parameter in block.double().parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return block
