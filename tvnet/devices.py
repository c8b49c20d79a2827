"""Which device computes: the one that a name means, where this machine has it."""

from __future__ import annotations

import os

import torch


def device_of(name: str) -> torch.device:
    """The device of a name; "auto" is a CUDA GPU where there is one, else the CPU.

    Raises ValueError when the machine has no such device, or nothing could be trained on it.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        here = {
            "cpu": not device.index,
            "cuda": (device.index or 0) < torch.cuda.device_count(),  # asked without waking any
            "mps": not device.index and torch.backends.mps.is_available(),
        }
    except RuntimeError:
        here = {}
    if not here.get(name.partition(":")[0]):
        raise ValueError(
            f"There is no device '{name}' here: use 'auto', 'cpu', a GPU's 'cuda' or a Mac's 'mps'."
        )
    return torch.device(device.type) if device.type != "cuda" else device


def own_device(device: str) -> str:
    """Under torchrun "cuda" is a GPU of this process's own."""
    local = os.environ.get("LOCAL_RANK")
    return f"cuda:{local}" if device == "cuda" and local else device


def one_thread() -> None:
    """What a run on a CPU starts with: another number of threads adds up in another order."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # numbers below 1e-38 slow a CPU down tenfold
