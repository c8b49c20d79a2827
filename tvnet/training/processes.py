"""Independent runs side by side, one process a core."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

import torch


@contextmanager
def workers(count: int | None = None) -> Iterator[ProcessPoolExecutor]:
    """A pool of `count` processes, by default one a core, each with one thread: small models waste
    a second one. Started afresh, because a forked torch may hang.

    Where the block fails, or its process ends, the runs save and stop, and none is begun.
    """
    spawn = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(count or os.cpu_count(), mp_context=spawn, initializer=_worker)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        while mine := set(multiprocessing.active_children()) - others:
            for child in mine:  # again and again: each is handed a run or two in advance
                child.terminate()
            time.sleep(0.5)
        raise
    pool.shutdown()


def _worker() -> None:
    one_thread()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    while True:  # a run that is asked saves and ends; the next that was waiting is asked too
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)


def one_thread() -> None:
    """What a run on a CPU starts with: another number of threads adds up in another order."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # numbers below 1e-38 slow a CPU down tenfold
