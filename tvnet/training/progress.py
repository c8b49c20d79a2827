"""What lets a run be stopped at any moment: its manifest, its log, and one writer at a time.

A run's folder holds run.json (what it is and how it stands), log.jsonl (one line a step),
validation.jsonl (one line a validation) and snapshots/.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from safetensors.torch import load_file
from torch import nn

from tvnet import process_group
from tvnet.files import explain_write, read_json, write_json, write_text
from tvnet.results import provenance
from tvnet.training.snapshots import Snapshots, differences

# The numbers of a line.
LOGGED = {"log.jsonl": ("step", "loss", "seconds"), "validation.jsonl": ("step", "score")}


class Progress:
    """The record of one run that can be stopped and gone on with.

    identity: plain JSON of all that the run is a function of; another one is refused.
    every: steps between two snapshots, 0 for none but those that a stop asks for.
    writes: False in all but one of several processes, which then only read.
    device: where it computes, for the manifest; a run may go on elsewhere.
    """

    def __init__(
        self,
        folder: Path,
        identity: dict,
        every: int = 0,
        writes: bool = True,
        device: str = "cpu",
    ):
        self.folder, self.identity, self.every = Path(folder), identity, every
        self.writes, self.device = writes, device
        self.snapshots = Snapshots(self.folder / "snapshots", identity)
        self.asked = False
        self.began = time.perf_counter()

    @contextmanager
    def writing(self) -> Iterator[Progress]:
        """The only writer of the folder, which saves before it ends when SIGTERM or Ctrl-C asks.

        Those that only read hear it too: all end after the same step. Raises ValueError when
        another process writes there, or when the folder holds another run.
        """
        before = {s: signal.signal(s, self._ask) for s in (signal.SIGTERM, signal.SIGINT)}
        try:
            with self._alone() if self.writes else nullcontext():
                yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if process_group.any_rank(self.asked, self.device):  # after the last step
            raise SystemExit(f"Stopped at the end of {self.folder.name}; run the same to go on.")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """With the folder's lock, and with run.json that says how it stands."""
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            held = FileLock(self.folder / "lock").acquire(timeout=0)
        except Timeout as error:
            raise ValueError(
                f"Another process is writing {self.folder}: wait for it, or use another folder."
            ) from error
        with held:
            self._refuse_what_is_there()
            status = "failed"
            try:
                self._state("running")
                yield
                status = "finished"
            except SystemExit:
                status = "stopped"
                raise
            finally:
                self._state(status)

    def _refuse_what_is_there(self) -> None:
        path = self.folder / "run.json"
        if path.is_file():
            self._refuse_another(read_json(path, {}, "delete it and run the same again"))

    def _refuse_another(self, stored: dict) -> None:
        there = {name: stored.get(name) for name in self.identity}
        if told := differences(there, self.identity):
            raise ValueError(f"{self.folder} holds another run: {'; '.join(told)}.")

    def result(self, form: dict) -> dict | None:
        """What the run found if it is finished, of this form. Raises ValueError where that is
        damaged, or another run's."""
        path = self.folder / "result.json"
        if not path.is_file():
            return None
        found = read_json(path, form, "delete it and run the same again")
        self._refuse_another(found)
        return found

    def _ask(self, *_: object) -> None:
        self.asked = True

    def _state(self, status: str) -> None:
        about = {"status": status, **self.identity, "provenance": provenance(self.device)}
        write_json(self.folder / "run.json", about)

    def log(self, step: int, loss: float) -> None:
        """One line. Its time doubles as a sign of life."""
        if self.writes:
            seconds = round(time.perf_counter() - self.began, 2)
            self._append("log.jsonl", {"step": step, "loss": loss, "seconds": seconds})

    def losses(self) -> list[float]:
        """The loss of every step so far."""
        return [line["loss"] for line in self._lines("log.jsonl")]

    def validations(self) -> dict[int, float]:
        """What each validation so far found, by the number of steps before it."""
        return {line["step"]: line["score"] for line in self._lines("validation.jsonl")}

    def seconds(self) -> float:
        """How long the steps so far took, pauses between two starts left out."""
        times = [0.0] + [line["seconds"] for line in self._lines("log.jsonl")]
        return sum(later - t if later >= t else later for t, later in pairwise(times))

    def _append(self, name: str, line: dict) -> None:
        path = self.folder / name
        with explain_write(path), open(path, "a") as lines:
            lines.write(json.dumps(line) + "\n")

    def _lines(self, name: str) -> list[dict]:
        """What was logged, without a half-written last line. Raises ValueError naming another
        one that is damaged."""
        path, found = self.folder / name, []
        *lines, torn = path.read_bytes().split(b"\n") if path.is_file() else [b""]
        for number, text in enumerate([*lines, torn], 1):
            try:
                line = json.loads(text)
                if not all(type(line[key]) in (int, float) for key in LOGGED[name]):
                    raise ValueError("no number where one is due")
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                if number > len(lines):
                    break
                raise ValueError(
                    f"Line {number} of {path} is damaged ({error}): remove it to keep the others, "
                    f"or delete {self.folder} and run again."
                ) from error
            found.append(line)
        return found

    def restore(self, module: nn.Module, optimiser: torch.optim.Optimizer) -> int | None:
        """Fill both from the newest whole snapshot and forget what was logged after it.

        The step to go on with, None without a snapshot.
        """
        step = self.snapshots.restore(module, optimiser)
        if self.writes:
            for name, first in (("log.jsonl", step or 0), ("validation.jsonl", (step or 0) + 1)):
                kept = [line for line in self._lines(name) if line["step"] < first]
                write_text(self.folder / name, "".join(json.dumps(k) + "\n" for k in kept))
        return step

    def save(self, step: int, module: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        """A snapshot after `step` steps."""
        if self.writes:
            self.snapshots.save(step, module, optimiser)

    def validation(
        self, step: int, score: float, module: nn.Module, optimiser: torch.optim.Optimizer
    ) -> None:
        """Log what a validation after `step` steps found; keep the state if it is the best yet."""
        if self.writes:
            self._append("validation.jsonl", {"step": step, "score": score})
            self.snapshots.keep_best(step, score, module, optimiser)

    def restore_best(self, module: nn.Module) -> None:
        """Fill it from the best validation's snapshot. Raises ValueError without a whole one."""
        best = self.snapshots.best()
        if best is None:
            raise ValueError(
                f"The best state in {self.snapshots.folder} is gone or damaged: delete "
                f"{self.folder} and run again."
            )
        module.load_state_dict(load_file(best[0] / "model.safetensors"))

    def after(self, step: int, module: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        """Called with the number of finished steps: saves when it is time, or when SIGTERM or
        Ctrl-C asked the run to end, which it then does."""
        asked = process_group.any_rank(self.asked, self.device)
        if asked or (self.every and step % self.every == 0):
            self.save(step, module, optimiser)
        if asked:
            process_group.barrier()  # until it is saved
            raise SystemExit(f"Stopped after step {step}; run the same again to go on from there.")

    def clear(self) -> None:
        """The run is finished: its snapshots are not needed any more."""
        if self.writes:
            self.snapshots.clear()
