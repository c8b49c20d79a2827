"""Independent runs in parallel processes."""

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager

from tqdm import tqdm

from tvnet.devices import device_of, one_thread


def in_parallel(function: Callable, jobs: list[tuple], device: str, about: str) -> list:
    """function(*job, device) of each job, in their order: one process a core on a CPU, one on a
    GPU.

    Raises what the first job that fails does, at once.
    """
    device = str(device_of(device))
    with workers(None if device == "cpu" else 1) as pool:
        waiting = [pool.submit(function, *job, device) for job in jobs]
        for done in tqdm(as_completed(waiting), about, len(jobs), unit="run"):
            done.result()
        return [done.result() for done in waiting]


@contextmanager
def workers(count: int | None = None) -> Iterator[ProcessPoolExecutor]:
    """A pool of `count` processes, by default one a core, each with one thread: small models waste
    a second one.

    The workers are killed when the block fails, and end with its process: runs can be resumed.
    """
    others = set(multiprocessing.active_children())
    context = start_context()
    pool = ProcessPoolExecutor(count or os.cpu_count(), mp_context=context, initializer=_start)
    try:
        yield pool
    except BaseException:
        for worker in set(multiprocessing.active_children()) - others:
            worker.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def start_context() -> multiprocessing.context.BaseContext:
    """How further processes start.

    Never forked from this one: a torch that has computed may hang in its copy. On Linux a server
    that has only imported it is forked, which saves each process the seconds of importing.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["tvnet.evaluation.trained"])
    return server


def _start() -> None:
    one_thread()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
