"""Files of weights: their hash, their tensors without running code, their fit to a module."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import torch
from torch import Tensor

from tvnet.files import sha256_of

MAX_LISTED = 100  # names of tensors in a message
COUNTER = "num_batches_tracked"  # a batch norm in eval mode never reads it


def check_hash(path: Path, published: str) -> None:
    """Refuse a file whose sha256 is not the published one, or the one recorded beside it.

    Where nobody publishes a hash, `<file>.sha256` (the format of sha256sum), written when the
    file was first fetched, stands for it.
    """
    recorded = path.with_name(path.name + ".sha256")
    if not published:
        if not recorded.is_file():
            raise FileNotFoundError(
                f"Nobody publishes a hash of {path.name} and none is recorded: once you trust the "
                f"file, run `sha256sum {path.name} > {recorded.name}` in {path.parent}."
            )
        found = re.match(r"[0-9a-f]{64}\b", recorded.read_text("utf-8", "replace"))
        if not found:
            raise ValueError(f"{recorded} holds no sha256: fetch or make {path.name} again.")
        published = found[0]
    actual = sha256_of(path)
    if not actual.startswith(published):
        raise ValueError(
            f"The contents of {path} have sha256 {actual[:12]}..., not {published[:12]}...: the "
            "file is damaged or another one, fetch or make it again."
        )


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors or .pth file, in float32; no code in it is ever run."""
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            state = load_file(path)
        except SafetensorError as error:
            raise ValueError(
                f"{path} is no whole safetensors file ({error}): fetch or make it again."
            ) from error
    else:
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise ValueError(
                f"{path} holds more than tensors, and what else it holds is not run: use a plain "
                "state dict."
            ) from error
        except Exception as error:  # a damaged file raises many kinds
            raise ValueError(
                f"{path} is no whole weights file ({error!s:.80}): fetch or make it again."
            ) from error
    if not isinstance(state, dict) or not all(map(_is_plain, state, state.values())):
        raise ValueError(
            f"{path} holds something else than named, dense tensors: use a plain state dict."
        )
    return {name: t.float() if t.is_floating_point() else t for name, t in state.items()}


def _is_plain(name: object, tensor: object) -> bool:
    """Whether it is a dense tensor with all its numbers in the file: not one number repeated."""
    return (
        isinstance(name, str)
        and isinstance(tensor, Tensor)
        and (tensor.layout, tensor.device.type) == (torch.strided, "cpu")
        and not tensor.is_quantized
        and tensor.nbytes <= tensor.untyped_storage().nbytes()
    )


def fill(module: torch.nn.Module, given: dict[str, Tensor], path: Path) -> None:
    """Load exactly these tensors. Raises as `refuse_misfits` does."""
    refuse_misfits(module, given, path)
    used = {name: t for name, t in given.items() if not name.endswith(COUNTER)}
    module.load_state_dict(used, strict=False)


def refuse_misfits(module: torch.nn.Module, given: dict[str, Tensor], path: Path) -> None:
    """ValueError listing all tensors that are not the module's, or are not finite."""
    expected = module.state_dict()
    names = {name for name in given.keys() | expected.keys() if not name.endswith(COUNTER)}
    wrong = {
        "missing": [n for n in names if n not in given],
        "left over": [n for n in names if n not in expected],
        "of another shape": [
            n for n in given.keys() & expected.keys() & names if given[n].shape != expected[n].shape
        ],
        "of another kind": [
            n for n in given.keys() & expected.keys() & names if given[n].dtype != expected[n].dtype
        ],
        "not finite": [n for n in names & given.keys() if not given[n].isfinite().all()],
    }
    problems = [
        f"{kind}: {', '.join(ascii(n)[1:-1] for n in sorted(found)[:MAX_LISTED])}"
        + f" and {len(found) - MAX_LISTED} more" * (len(found) > MAX_LISTED)
        for kind, found in wrong.items()
        if found
    ]
    if problems:
        raise ValueError(
            f"{path} does not fit these settings; use those that it was made with. "
            f"Tensors {'; '.join(problems)}."
        )
