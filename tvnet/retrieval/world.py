"""Several processes at one build: `torchrun --nproc-per-node 4 -m tvnet.retrieval.build ...`.

They share a folder, each fills its part of the shards, and all they tell each other is that they
are done; so gloo serves, on CPUs and GPUs alike.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module

import torch.distributed as dist

_GROUPS = itertools.count()


@dataclass(frozen=True)
class World:
    """How many processes build together, and which of them this is."""

    rank: int = 0
    size: int = 1

    def wait(self) -> None:
        """Until all processes are here; ValueError when one of them has ended."""
        if self.size == 1:
            return
        try:
            dist.barrier()
        except RuntimeError as error:
            raise ValueError(
                "Another process of this build stopped: see what it said, then start the build "
                "again; what is encoded stays."
            ) from error


def started() -> int:
    """How many processes torchrun or a notebook has started, also before they have met."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process is the one that prints and writes."""
    return os.environ.get("RANK", "0") == "0"


def own_device(device: str) -> str:
    """Under torchrun "cuda" is a GPU of this process's own."""
    local = os.environ.get("LOCAL_RANK")
    return f"cuda:{local}" if device == "cuda" and local else device


@contextmanager
def world() -> Iterator[World]:
    """The world that torchrun made, or a world of one."""
    size = started()
    if size == 1:
        yield World()
        return
    # A rank may wait as long as another encodes; torchrun ends all when one of them fails.
    with group("gloo", timedelta(days=7)):
        yield World(dist.get_rank(), size)


@contextmanager
def group(backend: str, timeout: timedelta) -> Iterator[None]:
    """The processes of torchrun as one group, which ends with the block, threads and all."""
    # Loaded later, as an optimiser does, this module would keep the group as a default argument
    # of its functions; gloo's threads would then meet the end of the interpreter, and abort it.
    import_module("torch.distributed.nn")
    # torchrun's store outlives a group: a second one must not find the addresses of the first.
    store, rank, size = next(dist.rendezvous("env://"))
    store = dist.PrefixStore(f"group {next(_GROUPS)}", store)
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=timeout)
    try:
        yield
    finally:
        dist.destroy_process_group()
