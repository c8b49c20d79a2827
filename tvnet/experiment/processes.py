"""Independent runs side by side, one process a core."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import torch


def workers(count: int | None = None) -> ProcessPoolExecutor:
    """A pool of `count` processes, by default one a core, each with one thread: small models waste
    a second one. Started afresh, because a forked torch may hang."""
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(count or os.cpu_count(), mp_context=spawn, initializer=one_thread)


def one_thread() -> None:
    """What a run on a CPU starts with: another number of threads adds up in another order."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # numbers below 1e-38 slow a CPU down tenfold
