"""The states of a run from which it can go on: whole or refused, the newest two and the best.

A snapshot is a folder named by its number of finished steps. It is written aside and renamed when
it is whole; the sha256 of every file in it is listed in it. The rename alone is what counts, so
there is no second file that names the newest.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tvnet.files import replacing, sha256_of, write_text

KEPT = 2


class Snapshots:
    """The snapshots in a folder. identity: plain JSON of all that the run is a function of."""

    def __init__(self, folder: Path, identity: dict):
        self.folder, self.identity = Path(folder), identity

    def save(self, step: int, module: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        """A snapshot after `step` steps; older ones than the last two go."""
        self._write(f"{step:08d}", {"step": step}, module, optimiser)
        for old in self.newest_first()[KEPT:]:
            shutil.rmtree(old)

    def keep_best(
        self, step: int, score: float, module: nn.Module, optimiser: torch.optim.Optimizer
    ) -> None:
        """A snapshot beside the others, unless the one kept so far scores as much or more."""
        old = self.best()
        if old is None or score > old[1]:
            self._write(f"best-{step:08d}", {"step": step, "score": score}, module, optimiser)
            if old:
                shutil.rmtree(old[0])

    def best(self) -> tuple[Path, float] | None:
        """The folder and score of the best whole snapshot; None without any."""
        found = [folder for folder in sorted(self.folder.glob("best-*")) if _whole(folder)]
        scores = [json.loads((folder / "state.json").read_text())["score"] for folder in found]
        return max(zip(found, scores, strict=True), key=lambda pair: pair[1], default=None)

    def _write(
        self, name: str, about: dict, module: nn.Module, optimiser: torch.optim.Optimizer
    ) -> None:
        final = self.folder / name
        part = self.folder / f"part-{os.getpid()}"
        _remove(part)
        try:
            for name, state in (("model", module.state_dict()), ("optimiser", _flat(optimiser))):
                with replacing(part / f"{name}.safetensors") as path:
                    save_file(_plain(state), path)
            write_text(part / "state.json", json.dumps({**about, "identity": self.identity}))
            digests = {path.name: sha256_of(path) for path in sorted(part.iterdir())}
            write_text(part / "sha256.json", json.dumps(digests))
            _remove(final)
            os.replace(part, final)
        finally:  # a full disk leaves nothing half-written
            _remove(part)

    def restore(self, module: nn.Module, optimiser: torch.optim.Optimizer) -> int | None:
        """Fill both from the newest whole snapshot; the step to go on with, None without any.

        A damaged snapshot is passed over with a warning. Raises ValueError listing the keys when
        the newest whole one is another run's.
        """
        for folder in self.newest_first():
            if not _whole(folder):
                warnings.warn(
                    f"The snapshot {folder} is damaged: an older one is used.", stacklevel=2
                )
                continue
            state = json.loads((folder / "state.json").read_text())
            if told := differences(state["identity"], self.identity):
                raise ValueError(
                    f"The snapshots in {self.folder} are another run's: {'; '.join(told)}."
                )
            module.load_state_dict(load_file(folder / "model.safetensors"))
            _fill(optimiser, load_file(folder / "optimiser.safetensors"))
            return state["step"]
        return None

    def clear(self) -> None:
        """The run is finished: its snapshots are not needed any more."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def newest_first(self) -> list[Path]:
        """The snapshots' folders; what else lies there is left alone."""
        found = self.folder.glob(8 * "[0-9]") if self.folder.is_dir() else []
        return sorted((path for path in found if path.is_dir()), reverse=True)


def _remove(path: Path) -> None:
    """A damaged snapshot of that name, or a plain file in its place."""
    if path.is_file():
        path.unlink()
    shutil.rmtree(path, ignore_errors=True)


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: t.contiguous() for name, t in tensors.items()}


def _whole(folder: Path) -> bool:
    try:
        digests = json.loads((folder / "sha256.json").read_text())
        names = {"model.safetensors", "optimiser.safetensors", "state.json"}
        return set(digests) == names and all(sha256_of(folder / n) == d for n, d in digests.items())
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


def differences(stored: dict, asked: dict, path: str = "") -> list[str]:
    """Each leaf in which two plain dictionaries differ, as a clause."""
    told = []
    for key in sorted(stored.keys() | asked.keys()):
        one, other = stored.get(key), asked.get(key)
        name = f"{path}{key}"
        if isinstance(one, dict) and isinstance(other, dict):
            told += differences(one, other, f"{name}.")
        elif one != other:
            told.append(f"{name} is {one!r} there, {other!r} here")
    return told
