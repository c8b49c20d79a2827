"""Resumable checkpoints of a run; damaged ones are skipped.

A checkpoint is one file. Its name is the number of finished steps and the first digits of its own
sha256, so that a file with any wrong or missing bit is recognised without a second file.
"""

from __future__ import annotations

import hashlib
import io
import json
import signal
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tvnet import process_group
from tvnet.files import explain_write, read_json, replacing, sha256_of, sole_writer
from tvnet.settings_checks import differences

KEPT = 2
DIGITS = 16  # of the sha256, in a checkpoint's name
AGAIN = "delete it and run the same again"


class Checkpoints:
    """The checkpoints of one run, and what the run has found so far.

    folder: None keeps nothing on disk. identity: plain JSON of all that the run is a function of.
    every: steps between two checkpoints; the last step has one in any case. Of several processes,
    only the main one writes.
    """

    def __init__(self, folder: Path | None = None, identity: dict | None = None, every: int = 0):
        self.folder = Path(folder) if folder else None
        self.identity, self.every = identity or {}, every
        self.losses: list[float] = []  # one a step
        self.scores: dict[int, float] = {}  # of each validation, by finished steps
        self.best: dict[str, Tensor] = {}  # the weights with the highest score
        self.seconds = 0.0  # that the steps took; pauses between two starts do not count
        self.writes = self.folder is not None and process_group.is_main_process()
        self._began = time.perf_counter()
        self._stop = False

    @contextmanager
    def writing(self) -> Iterator[Checkpoints]:
        """The only writer of the folder; SIGTERM or Ctrl-C end the run after a checkpoint.

        Raises ValueError when another process writes there.
        """
        before = {s: signal.signal(s, self._ask) for s in (signal.SIGTERM, signal.SIGINT)}
        try:
            with sole_writer(self.folder) if self.writes else nullcontext():
                yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if process_group.any_rank(self._stop):  # asked after the last step
            raise SystemExit(f"Stopped at the end of {self.folder.name}; run the same to go on.")

    def _ask(self, *_: object) -> None:
        self._stop = True

    def newest(self) -> Path | None:
        """The newest whole checkpoint; a damaged one is skipped with a warning."""
        for path in self._newest_first():
            if path.stem[9:] == sha256_of(path)[:DIGITS]:
                return path
            warnings.warn(f"{path} is damaged: an older checkpoint is used.", stacklevel=2)
        return None

    def _newest_first(self) -> list[Path]:
        pattern = f"{8 * '[0-9]'}-{DIGITS * '?'}.pt"
        return sorted(self.folder.glob(pattern), reverse=True) if self.folder else []

    def restore(self, module: nn.Module, optimiser: Optimizer) -> int | None:
        """Fill both from the newest whole checkpoint; the number of finished steps, or None.

        Raises ValueError with the differing keys when the checkpoint is another run's.
        """
        self._began = time.perf_counter()
        path = self.newest()
        if path is None:
            return None
        state = torch.load(path, map_location="cpu", weights_only=True)
        self._refuse_another(state["identity"])
        module.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        self.losses, self.scores, self.best = state["losses"], state["scores"], state["best"]
        self.seconds = state["seconds"]
        self._began -= self.seconds
        return state["step"]

    def log(self, step: int, loss: float) -> None:
        """Note the loss of a step, and write it to log.jsonl for whoever waits."""
        self.losses.append(loss)
        self.seconds = round(time.perf_counter() - self._began, 2)
        self._append({"step": step, "loss": loss, "seconds": self.seconds})

    def validated(self, step: int, score: float, module: nn.Module) -> None:
        """Note the score of a validation after `step` steps, and the weights if it is the best."""
        if not self.scores or score > max(self.scores.values()):
            self.best = {n: t.to("cpu", copy=True) for n, t in module.state_dict().items()}
        self.scores[step] = score
        self._append({"step": step, "score": score})

    def _append(self, line: dict) -> None:
        if self.writes:
            path = self.folder / "log.jsonl"
            with explain_write(path), open(path, "a") as lines:
                lines.write(json.dumps(line) + "\n")

    def after(self, step: int, last: int, module: nn.Module, optimiser: Optimizer) -> None:
        """To call with the number of finished steps. Saves when it is time, or when SIGTERM or
        Ctrl-C asked the run to end: then it ends here."""
        stop = process_group.any_rank(self._stop)
        if stop or step == last or (self.every and step % self.every == 0):
            self.save(step, module, optimiser)
        if stop:
            process_group.barrier()  # until it is saved
            raise SystemExit(f"Stopped after step {step}; run the same again to go on from there.")

    def save(self, step: int, module: nn.Module, optimiser: Optimizer) -> None:
        """A checkpoint after `step` steps; all but the newest two are deleted."""
        if not self.writes:
            return
        state = {
            "step": step, "identity": self.identity, "seconds": self.seconds,
            "losses": self.losses, "scores": self.scores, "best": self.best,
            "model": module.state_dict(), "optimiser": optimiser.state_dict(),
        }  # fmt: skip
        data = io.BytesIO()
        torch.save(state, data)
        digest = hashlib.sha256(data.getbuffer()).hexdigest()[:DIGITS]
        path = self.folder / f"{step:08d}-{digest}.pt"
        with replacing(path) as part:
            part.write_bytes(data.getbuffer())
        older = [other for other in self._newest_first() if int(other.name[:8]) < step]
        for other in set(self._newest_first()) - {path, *older[: KEPT - 1]}:
            other.unlink()  # what is not older, is damaged

    def clear(self) -> None:
        """The run is finished: its checkpoints are not needed any more."""
        for path in self._newest_first() if self.writes else ():
            path.unlink()

    def result(self, form: dict) -> dict | None:
        """What the finished run found, as JSON of this form; None before.

        Raises ValueError where it is damaged, or another run's.
        """
        path = self.folder / "result.json"
        if not path.is_file():
            return None
        found = read_json(path, form, AGAIN)
        self._refuse_another({name: found.get(name) for name in self.identity})
        return found

    def _refuse_another(self, stored: dict) -> None:
        if found := differences(stored, self.identity):
            raise ValueError(f"{self.folder} holds another run: {'; '.join(found)}.")
