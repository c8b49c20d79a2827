"""What a notebook's setup cell calls: it checks the parameters and finds the folders."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

import torch

import tvnet
from data_setup.miniref.write import write
from tvnet.data.refer import require_world
from tvnet.files import write_json
from tvnet.provenance import provenance
from tvnet.settings import Settings

PARAMETERS = {"PROFILE": str, "SEED": int, "DATA_DIR": str, "OUT_DIR": str}
DRAWN = {  # the default folders of the data
    "smoke": "data/miniref-smoke",
    "laptop": "data/miniref",
    "evening": "data/miniref-evening",
}
FETCHED = "data/coco"  # the default folder of the profile paper, which reads the real data
INJECTED = "# Parameters"  # the first line of the cell that papermill adds


def start(
    scope: dict, reads_data: bool = True, **further: type
) -> tuple[Settings, Path | None, Path]:
    """Settings, folder of the data and folder of the results, from a notebook's `globals()`.

    `further` are the notebook's own parameters beside the usual four. An empty DATA_DIR or OUT_DIR
    means the profile's default folder; MiniRef is drawn only there. The folder of the data is None
    where the notebook reads none. Raises ValueError for an unknown parameter, a value of the wrong
    type, an OUT_DIR that is no folder or another world than the profile's, FileNotFoundError for a
    DATA_DIR that is not there.
    """
    torch.set_flush_denormal(True)  # some cells train in this very process (see tvnet/devices.py)
    refuse_misfits(scope, PARAMETERS | further)
    settings = tvnet.settings(scope["PROFILE"])
    out_dir = results_folder(settings.profile, scope["OUT_DIR"])
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"OUT_DIR is {out_dir}, and no folder can be there ({error.strerror}): name another."
        ) from None
    data_dir = data_folder(settings, scope["DATA_DIR"]) if reads_data else None
    print(f"Reads {origin(settings, data_dir)}.\nWrites to {out_dir}.")
    return settings, data_dir, out_dir


def refuse_misfits(scope: dict, known: dict[str, type]) -> None:
    """ValueError for a name that papermill set and the notebook does not have, or a wrong type."""
    names = ", ".join(known)
    for name in injected(scope.get("In", [])):
        if name not in known:
            raise ValueError(f"This notebook has no parameter '{name}': it has {names}.")
    for name, kind in known.items():
        if name not in scope:
            raise ValueError(f"The parameter {name} is missing: a notebook needs {names}.")
        if type(scope[name]) is not kind:
            raise ValueError(f"{name} takes {kind.__name__}, not {scope[name]!r}.")


def injected(cells: Iterable[str]) -> list[str]:
    """The names that papermill's own cell sets, among the sources that a kernel has run."""
    return [
        target.id
        for cell in cells
        if cell.startswith(INJECTED)
        for line in ast.parse(cell).body
        if isinstance(line, ast.Assign)
        for target in line.targets
    ]


def repository() -> Path:
    """The folder that holds notebooks/ beside the package; the working directory elsewhere."""
    parent = Path(tvnet.__file__).resolve().parents[1]
    return parent if (parent / "notebooks").is_dir() else Path.cwd()


def results_folder(profile: str, given: str = "") -> Path:
    """Where a notebook writes: a given path is relative to the working directory, the default
    one to the repository."""
    if given:
        return Path(given).resolve()
    return (repository() / "out" / ("" if profile == "laptop" else profile)).resolve()


def data_folder(settings: Settings, given: str) -> Path:
    """The folder of the data; MiniRef is drawn into the default folder where it is missing."""
    default = (repository() / DRAWN.get(settings.profile, FETCHED)).resolve()
    root = Path(given).resolve() if given else default
    if not root.is_dir():
        if root != default or settings.profile not in DRAWN:
            raise FileNotFoundError(
                f"DATA_DIR is {root}, and there is no such folder: correct it, fetch the data with "
                f"`python -m data_setup fetch {settings.data.dataset} --root {root}`, or choose "
                f"PROFILE laptop with an empty DATA_DIR, which draws MiniRef."
            )
        pictures = settings.miniref_pictures
        print(f"Draws MiniRef with {pictures} pictures into {root}, once; a minute or two.")
        write(root, pictures)
    return root


def origin(settings: Settings, data_dir: Path | None) -> str:
    """The data set and its folder in words, for a page of results."""
    if data_dir is None:
        return "no data set"
    world = require_world(data_dir, settings.miniref_pictures)
    return f"{settings.data.dataset}{world and f' of {world}'} in {data_dir}"


def notebook_done(
    name: str, out_dir: Path, settings: Settings, data_dir: Path | None = None
) -> None:
    """A notebook's last cell: it writes the file that the runner takes as success."""
    about = {"profile": settings.profile, "data": origin(settings, data_dir)}
    write_json(out_dir / f"{name}.done.json", {"status": "done", **about, **provenance()})
