"""Several processes on one run: who takes which share, and what they tell each other.

Under plain python there is one process and nothing here does anything. `torchrun` sets the
environment from which `join` starts the group: gloo between CPUs, NCCL between GPUs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import Tensor, distributed

from tvnet.retrieval.world import group

TIMEOUT = timedelta(minutes=5)  # after which a lost partner ends the run


@contextmanager
def join(device: torch.device) -> Iterator[torch.device]:
    """Be one of torchrun's processes, if it started this one; the device to work on."""
    if "WORLD_SIZE" not in os.environ or distributed.is_initialized():
        yield device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    with group("nccl" if device.type == "cuda" else "gloo", TIMEOUT):
        yield device


def share() -> tuple[int, int]:
    """(rank, world): (0, 1) for a process alone."""
    if not distributed.is_initialized():
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def leads() -> bool:
    """Whether this process is the one that writes."""
    return share()[0] == 0


def wait() -> None:
    """Until all processes are here."""
    if distributed.is_initialized():
        distributed.barrier()


def mean(tensors: list[Tensor]) -> None:
    """Replace every tensor by its mean over the processes, in one message."""
    _, world = share()
    if world == 1:
        return
    flat = torch.cat([t.flatten() for t in tensors])
    distributed.all_reduce(flat)
    flat /= world
    for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def agree(asked: bool, device: str) -> bool:
    """Whether any of the processes was asked; all get the same answer."""
    if share()[1] == 1:
        return asked
    said = torch.tensor(int(asked), device=device)
    distributed.all_reduce(said, op=distributed.ReduceOp.MAX)
    return bool(said)


def start_together(step: int) -> None:
    """Raises ValueError when processes would go on from different steps."""
    for rank, other in enumerate(gather({"step": [step]})["step"]):
        if other != step:
            raise ValueError(
                f"Process {rank} would go on from step {other}, process {share()[0]} from {step}: "
                "give all of them one --out folder, which their machines share."
            )


def gather(rows: dict[str, list]) -> dict[str, list]:
    """The rows of all processes, each of which took every world-th, in the order of one alone."""
    _, world = share()
    if world == 1:
        return rows
    parts: list[dict[str, list]] = [{}] * world
    distributed.all_gather_object(parts, rows)
    together = {}
    for name in rows:
        together[name] = [None] * sum(len(part[name]) for part in parts)
        for rank, part in enumerate(parts):
            together[name][rank::world] = part[name]
    return together
