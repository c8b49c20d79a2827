"""Training that is killed at random moments, and checkpoints with one wrong bit."""

import os
import signal
import time
import traceback
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch

from tvnet.training.checkpoint import Checkpoints
from tvnet.training.loop import train


def digest_of(model):
    """All weights of a model, as bytes."""
    return b"".join(t.contiguous().numpy().tobytes() for t in model.state_dict().values())


def trained(settings, dataset, features, folder):
    """One start of a run: its weights and its losses, if nobody stops it."""
    with Checkpoints(folder, every=settings.training.snapshot_every).writing() as checkpoints:
        model = train(settings, dataset, features, 0, checkpoints=checkpoints)
        return digest_of(model), checkpoints.losses


def start(settings, dataset, features, folder):
    """The run in a child, forked because importing torch takes longer than a run; its id."""
    child = os.fork()
    if not child:
        try:
            weights, losses = trained(settings, dataset, features, folder)
            (folder / "weights").write_bytes(weights + repr(losses).encode())
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    return child


def until_done(settings, dataset, features, folder, dice, longest):
    """SIGKILL after a random time, the same again, ... until it ends; how often it was killed.

    Each kill lengthens the times, so that a slow machine comes to an end as well.
    """
    kills = 0
    while True:
        child = start(settings, dataset, features, folder)
        end = time.monotonic() + dice.uniform(0, longest * (1 + kills / 8))
        while time.monotonic() < end:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                assert status == 0, f"A run that nobody killed ended with {status}."
                return kills
            time.sleep(0.002)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if status == 0:  # it was quicker
            return kills
        kills += 1


def killed_runs(*given):
    """(how many of `runs` interrupted runs end bit for bit like an undisturbed one, kills).

    Counted in a fresh process: torch refuses to fork one in which some other test has started
    threads for its gradients.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
        return fresh.submit(_killed_runs, *given).result()


def _killed_runs(settings, dataset, features, folder, dice, runs):
    torch.set_num_threads(1)  # a fork would wait for the others, which it has not
    wanted = trained(settings, dataset, features, folder / "whole")
    began = time.monotonic()
    assert trained(settings, dataset, features, folder / "again") == wanted
    longest = (time.monotonic() - began) / 6
    right = kills = 0
    for k in range(runs):
        run = folder / f"run-{k}"
        kills += until_done(settings, dataset, features, run, dice, longest)
        right += (run / "weights").read_bytes() == wanted[0] + repr(wanted[1]).encode()
    return right, kills


def flips(folder, module, dice, count):
    """How many of `count` single wrong bits in a checkpoint of `module` are found."""
    optimiser = torch.optim.Adam(module.parameters())
    sum(p.sum() for p in module.parameters()).backward()
    optimiser.step()
    checkpoints = Checkpoints(folder)
    checkpoints.save(1, module, optimiser)
    (path,) = folder.glob("*.pt")
    found = 0
    for _ in range(count):
        with open(path, "r+b") as file:
            at, bit = dice.randrange(path.stat().st_size), 1 << dice.randrange(8)
            _turn(file, at, bit)
            with warnings.catch_warnings(record=True) as output:
                warnings.simplefilter("always")
                refused = checkpoints.restore(module, optimiser) is None
            found += refused and "is damaged" in str(output[-1].message)
            _turn(file, at, bit)
    assert checkpoints.restore(module, optimiser) == 1
    return found


def _turn(file, at, bit):
    file.seek(at)
    (byte,) = file.read(1)
    file.seek(at)
    file.write(bytes([byte ^ bit]))
    file.flush()
