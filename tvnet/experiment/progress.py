"""What lets a run be stopped at any moment: its log, its snapshots, and one writer at a time.

A run's folder holds log.jsonl, one line a step, and snapshots/<step>/, the newest two. A snapshot
is written aside and renamed when it is whole; every file's sha256 is listed in it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

KEPT = 2


class Progress:
    """The record of one run that can be stopped and gone on with.

    identity: plain JSON of all that the run is a function of; another one is refused.
    every: steps between two snapshots, 0 for none but those that a stop asks for.
    writes: False in all but one of several processes, which then only read.
    """

    def __init__(self, folder: Path, identity: dict, every: int = 0, writes: bool = True):
        self.folder, self.identity, self.every = Path(folder), identity, every
        self.writes = writes
        self.snapshots = self.folder / "snapshots"
        self.asked = False
        self.began = time.perf_counter()

    @contextmanager
    def writing(self) -> Iterator[Progress]:
        """The only writer of the folder, which saves before it ends when it is asked to.

        Raises ValueError when another process writes there.
        """
        if not self.writes:
            yield self
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ValueError(
                    f"Another process is writing {self.folder}: wait for it, or use another folder."
                ) from error
            before = {s: signal.signal(s, self._ask) for s in (signal.SIGTERM, signal.SIGINT)}
            try:
                yield self
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

    def _ask(self, *_: object) -> None:
        self.asked = True

    # The log ------------------------------------------------------------------------------------

    def log(self, step: int, loss: float) -> None:
        """One line. Its time doubles as a sign of life."""
        if not self.writes:
            return
        seconds = round(time.perf_counter() - self.began, 2)
        with open(self.folder / "log.jsonl", "a") as lines:
            lines.write(json.dumps({"step": step, "loss": loss, "seconds": seconds}) + "\n")

    def losses(self) -> list[float]:
        """The loss of every step so far."""
        return [line["loss"] for line in self._lines()]

    def seconds(self) -> float:
        """How long the steps so far took, pauses between two starts left out."""
        times = [0.0] + [line["seconds"] for line in self._lines()]
        return sum(later - t if later >= t else later for t, later in pairwise(times))

    def _lines(self) -> list[dict]:
        """What was logged, without a half-written last line."""
        path, found = self.folder / "log.jsonl", []
        for line in path.read_text().splitlines() if path.is_file() else []:
            try:
                found.append(json.loads(line))
            except ValueError:
                break
        return found

    def _cut(self, step: int) -> None:
        """Forget what was logged from a step on."""
        if not self.writes:
            return
        kept = [json.dumps(line) + "\n" for line in self._lines() if line["step"] < step]
        (self.folder / "log.jsonl").write_text("".join(kept))

    # Snapshots ----------------------------------------------------------------------------------

    def after(self, step: int, module: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        """Called with the number of finished steps: saves when it is time, or when SIGTERM or
        Ctrl-C asked the run to end, which it then does."""
        if self.asked or (self.every and step % self.every == 0):
            self.save(step, module, optimiser)
        if self.asked:
            raise SystemExit(f"Stopped after step {step}; run the same again to go on from there.")

    def save(self, step: int, module: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        """A snapshot after `step` steps; older ones than the last two go."""
        if not self.writes:
            return
        final = self.snapshots / f"{step:08d}"
        part = self.snapshots / f"part-{os.getpid()}"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        save_file(_plain(module.state_dict()), part / "model.safetensors")
        save_file(_plain(_flat(optimiser)), part / "optimiser.safetensors")
        (part / "state.json").write_text(json.dumps({"step": step, "identity": self.identity}))
        digests = {path.name: _sha256(path) for path in sorted(part.iterdir())}
        (part / "sha256.json").write_text(json.dumps(digests))
        shutil.rmtree(final, ignore_errors=True)
        os.replace(part, final)
        for old in self._newest_first()[KEPT:]:
            shutil.rmtree(old)

    def restore(self, module: nn.Module, optimiser: torch.optim.Optimizer) -> int | None:
        """Fill both from the newest whole snapshot; the step to go on with, None without any.

        A damaged snapshot is passed over with a warning. Raises ValueError listing the keys when
        the newest whole one was made by another run.
        """
        for folder in self._newest_first():
            if not _whole(folder):
                warnings.warn(
                    f"The snapshot {folder} is damaged: an older one is used.", stacklevel=2
                )
                continue
            state = json.loads((folder / "state.json").read_text())
            if told := _differences(state["identity"], self.identity):
                raise ValueError(
                    f"The snapshots in {self.snapshots} are another run's: {'; '.join(told)}."
                )
            module.load_state_dict(load_file(folder / "model.safetensors"))
            _fill(optimiser, load_file(folder / "optimiser.safetensors"))
            self._cut(state["step"])
            return state["step"]
        self._cut(0)
        return None

    def clear(self) -> None:
        """The run is finished: its snapshots are not needed any more."""
        if self.writes:
            shutil.rmtree(self.snapshots, ignore_errors=True)

    def _newest_first(self) -> list[Path]:
        found = self.snapshots.glob("[0-9]*") if self.snapshots.is_dir() else []
        return sorted(found, reverse=True)


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: t.contiguous() for name, t in tensors.items()}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _whole(folder: Path) -> bool:
    try:
        digests = json.loads((folder / "sha256.json").read_text())
        names = {"model.safetensors", "optimiser.safetensors", "state.json"}
        return set(digests) == names and all(_sha256(folder / n) == d for n, d in digests.items())
    except (OSError, ValueError, AttributeError, TypeError):
        return False


def _flat(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    states = optimiser.state_dict()["state"]
    return {f"{k}.{name}": t for k, state in states.items() for name, t in state.items()}


def _fill(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        k, key = name.split(".")
        state.setdefault(int(k), {})[key] = tensor
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})
    for parameter, state in optimiser.state.items():
        for key in ("exp_avg", "exp_avg_sq"):
            # In the parameter's own memory layout: fused Adam walks through both side by side.
            state[key] = torch.empty_like(parameter).copy_(state[key])


def _differences(stored: dict, asked: dict, path: str = "") -> list[str]:
    """Each leaf in which two plain dictionaries differ, as a clause."""
    told = []
    for key in sorted(stored.keys() | asked.keys()):
        one, other = stored.get(key), asked.get(key)
        name = f"{path}{key}"
        if isinstance(one, dict) and isinstance(other, dict):
            told += _differences(one, other, f"{name}.")
        elif one != other:
            told.append(f"{name} is {one!r} there, {other!r} here")
    return told
