"""Run notebooks headlessly, one after another, and judge them by the file that each writes last.

    python notebooks/run.py [NAME ...] [-p KEY VALUE ...]

papermill only logs a parameter that a notebook does not have, accepts one of the wrong type, and
calls a killed notebook completed. So everything is checked before a kernel starts, and a notebook
has succeeded when its last cell has written OUT_DIR/NAME.done.json.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from pathlib import Path

import nbformat
from traitlets.config import Config

HERE = Path(__file__).resolve().parent
TYPES = {"str": str, "int": int, "float": float}
PATHS = ("DATA_DIR", "OUT_DIR")
OURS = re.compile(r"(tvnet|data_setup)/\S+\.py:\d+: \w*Warning")
TIMEOUT = 3600  # seconds that one cell may take; an evening's take as long as they need
STATED = re.compile(r"runs in (?:about )?(\d+) (s|min)\b")
PATIENCE = (
    3  # a notebook that takes longer than this times what it states has failed
)
# ipykernel warns that its ports are not encrypted; they listen on this machine only.
KERNEL = Config(
    {"NotebookClient": {"extra_arguments": ["--IPKernelApp.log_level=ERROR"]}}
)


class RefusedError(ValueError):
    """What was asked for cannot be run; nothing has been started."""


class FaultyError(ValueError):
    """This notebook cannot be run; the others can."""


def find(name: str, folder: Path) -> Path:
    path = folder / f"{name.removesuffix('.ipynb')}.ipynb"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.ipynb")))
        raise RefusedError(
            f"There is no notebook '{name}': choose from {known}."
        )
    return path


def parameters_of(path: Path) -> dict[str, dict]:
    """What papermill says of the parameters cell; FaultyError where no run can be judged by it."""
    import papermill

    try:
        known = papermill.inspect_notebook(str(path))
    except Exception as error:  # nbformat's and papermill's own are many
        raise FaultyError(
            f"{path} is no notebook that can be read ({type(error).__name__}: {error})."
        ) from error
    if not known:
        raise FaultyError(
            f"{path.stem} has no cell tagged 'parameters': add one."
        )
    if "OUT_DIR" not in known:
        raise FaultyError(
            f"{path.stem} has no parameter OUT_DIR, where its last cell writes: add it."
        )
    return known


def checked(path: Path, given: dict[str, str]) -> dict[str, object]:
    """The parameters in the types that the notebook states; RefusedError when one does not fit."""
    known = parameters_of(path)
    values: dict[str, object] = {}
    for key, text in given.items():
        if key not in known:
            raise RefusedError(
                f"{path.stem} has no parameter '{key}': it has {', '.join(known)}."
            )
        kind = known[key]["inferred_type_name"]
        try:
            values[key] = TYPES[kind](text)
        except (ValueError, KeyError):
            raise RefusedError(
                f"{path.stem} takes {key} as {kind}, not '{text}'."
            ) from None
        if key in PATHS and text:  # given ones count from here
            values[key] = str(Path(text).resolve())
    values["OUT_DIR"] = values.get("OUT_DIR") or str(
        own_out_dir(path, known, values)
    )
    return values


def own_out_dir(path: Path, known: dict, values: dict) -> Path:
    """Where a notebook writes when nothing is given: what it states, or its profile's place."""
    from tvnet.course.start import results_folder

    def stated(key: str) -> str:
        return known.get(key, {}).get("default", "").strip("\"'")

    if stated("OUT_DIR"):  # a notebook runs in its own folder
        return (path.parent / stated("OUT_DIR")).resolve()
    return results_folder(str(values.get("PROFILE") or stated("PROFILE")))


def stated_seconds(path: Path) -> float:
    """How long a notebook's first cell says that it runs; infinite where it says nothing."""
    found = STATED.search(nbformat.read(path, 4).cells[0].source)
    return (
        int(found[1]) * {"s": 1, "min": 60}[found[2]]
        if found
        else float("inf")
    )


def has_ended(done: Path) -> bool:
    """Whether the file that a notebook writes last says that it is done."""
    try:
        found = json.loads(done.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("status") == "done"


def run(path: Path, values: dict[str, object]) -> str | None:
    """Run one notebook; None when it reached its end, else a sentence that says why not."""
    import papermill
    from papermill.exceptions import PapermillExecutionError

    os.environ["TVNET_PLAIN"] = (
        "1"  # nobody watches: lines instead of a live plot
    )

    out = Path(str(values["OUT_DIR"]))
    timeout = None if values.get("PROFILE") == "evening" else TIMEOUT
    done, copy = out / f"{path.stem}.done.json", out / "notebooks" / path.name
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        done.unlink(missing_ok=True)
    except OSError as error:
        return f"OUT_DIR is {out}, and results cannot be written there ({error}): name another."
    try:
        papermill.execute_notebook(
            str(path), str(copy), values, kernel_name="python3", cwd=str(path.parent),
            progress_bar=False, execution_timeout=timeout, start_timeout=120, config=KERNEL,
            stderr_file=sys.stderr,  # where the progress of long cells is shown
        )  # fmt: skip
    except PapermillExecutionError as error:
        return f"{error.ename} in cell {error.exec_count}: {error.evalue} The copy is {copy}."
    except Exception as error:  # a kernel that died, a cell that hung
        return f"{type(error).__name__}: {error} The copy is {copy}."
    if not has_ended(done):
        return f"{done} does not say that it is done: its last cell must call notebook_done. See {copy}."
    for cell in json.loads(copy.read_text())["cells"]:
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr" and OURS.search(
                "".join(output["text"])
            ):
                return f"A warning comes from our own code: {''.join(output['text']).strip()}"
    return None


def job(path: Path, given: dict[str, str]) -> tuple[Path, dict, str | None]:
    """A notebook, its parameters, and the sentence that says why it cannot be run, if so."""
    try:
        return path, checked(path, given), None
    except FaultyError as error:
        return path, {}, str(error)


def main(arguments: list[str] | None = None, folder: Path = HERE) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "names", nargs="*", help="all of them by default, in order"
    )
    parser.add_argument(
        "-p", nargs=2, action="append", default=[], metavar=("KEY", "VALUE")
    )
    options = parser.parse_args(arguments)
    try:
        names = options.names or sorted(
            path.stem for path in folder.glob("*.ipynb")
        )
        jobs = [job(find(name, folder), dict(options.p)) for name in names]
    except RefusedError as error:
        print(error, file=sys.stderr)
        return 2
    rows = [("notebook", "stated", "taken", "")]
    for path, values, fault in jobs:
        print(f"{path.stem} ...", flush=True)
        started = time.perf_counter()
        fault = fault or run(path, values)
        taken = time.perf_counter() - started
        timed = values and values.get("PROFILE") != "evening"
        stated = stated_seconds(path) if timed else float("inf")
        if fault is None and taken > PATIENCE * stated:
            fault = f"{path.stem} states {stated:.0f} s and took {taken:.0f} s: mend one of them."
        if fault is not None:
            print(fault, file=sys.stderr)
        rows.append(
            (
                path.stem,
                f"{stated:.0f} s",
                f"{taken:.0f} s",
                "FAILED" if fault else "done",
            )
        )
    for name, *columns in rows:
        print(f"{name:28}" + "".join(f"{column:>10}" for column in columns))
    return int(any(row[-1] == "FAILED" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
