"""Several processes on one build or run: who takes which share, and how they meet.

Under plain python there is one process and nothing here does anything. `torchrun` sets the
environment from which `join` starts the group: gloo between CPUs, NCCL between GPUs.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module

import torch
from torch import Tensor, distributed

from tvnet.devices import own_device

TIMEOUT = timedelta(minutes=5)  # after which a lost partner ends a run
CPU = torch.device("cpu")
_GROUPS = itertools.count()


@contextmanager
def join(device: torch.device = CPU, timeout: timedelta | None = None) -> Iterator[torch.device]:
    """Be one of torchrun's processes, if it started this one; the device to work on.

    The group ends with the block, threads and all.
    """
    if "WORLD_SIZE" not in os.environ or distributed.is_initialized():
        yield device
        return
    if device.type == "cuda":
        device = torch.device(own_device("cuda"))
        torch.cuda.set_device(device)
    # Loaded later, as an optimiser does, this module would keep the group as a default argument
    # of its functions; gloo's threads would then meet the end of the interpreter, and abort it.
    import_module("torch.distributed.nn")
    # torchrun's store outlives a group: a second one must not find the addresses of the first.
    store, rank, size = next(distributed.rendezvous("env://"))
    store = distributed.PrefixStore(f"group {next(_GROUPS)}", store)
    backend = "nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(
        backend, store=store, rank=rank, world_size=size, timeout=timeout or TIMEOUT
    )
    try:
        yield device
    finally:
        distributed.destroy_process_group()


def launched() -> int:
    """How many processes torchrun or a notebook has started, also before they have joined."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank_and_size() -> tuple[int, int]:
    """(0, 1) for a process alone."""
    if not distributed.is_initialized():
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def is_main_process() -> bool:
    """Whether this process is the one that prints and writes, also before it has joined."""
    if distributed.is_initialized():
        return distributed.get_rank() == 0
    return os.environ.get("RANK", "0") == "0"


def barrier() -> None:
    """Wait until all processes are here; ValueError when one of them has ended."""
    if rank_and_size()[1] == 1:
        return
    try:
        distributed.barrier()
    except RuntimeError as error:
        raise ValueError(
            "Another process stopped: see what it printed, then start the same command again; "
            "what is finished stays."
        ) from error


def gather(rows: dict[str, list]) -> dict[str, list]:
    """The rows of all processes, each of which took every size-th, in the order of one alone."""
    _, size = rank_and_size()
    if size == 1:
        return rows
    parts: list[dict[str, list]] = [{}] * size
    distributed.all_gather_object(parts, rows)
    together = {}
    for name in rows:
        together[name] = [None] * sum(len(part[name]) for part in parts)
        for rank, part in enumerate(parts):
            together[name][rank::size] = part[name]
    return together


def mean(tensors: list[Tensor]) -> None:
    """Replace every tensor by its mean over the processes, in one message."""
    _, size = rank_and_size()
    if size == 1:
        return
    flat = torch.cat([t.flatten() for t in tensors])
    distributed.all_reduce(flat)
    flat /= size
    for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def any_rank(asked: bool) -> bool:
    """Whether any of the processes was asked; all get the same answer."""
    if rank_and_size()[1] == 1:
        return asked
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    answer = torch.tensor(int(asked), device=device)
    distributed.all_reduce(answer, op=distributed.ReduceOp.MAX)
    return bool(answer)


def same_step(step: int) -> None:
    """Raises ValueError when processes would continue from different steps."""
    for rank, other in enumerate(gather({"step": [step]})["step"]):
        if other != step:
            raise ValueError(
                f"Process {rank} would continue from step {other}, process {rank_and_size()[0]} "
                f"from {step}: give all of them one --out folder, which their machines share."
            )
