"""A reader's hands: real Chromium on the explorer in JupyterLab and in Voila.

What is typed, clicked and read back stands in tests/browser/hands.mjs. It must also find two
bugs that are planted into its kernel, else it proves nothing. Screenshots of failures are kept in
out/browser.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from tests import browser_tools as tools
from tests.app_options import ROOT, app_options
from tvnet.course.explorer import view
from tvnet.course.explorer.canvas import MASK
from tvnet.course.explorer.layers import GROUPS
from tvnet.course.paper import load

OUT = ROOT / "out" / "browser"
LIMIT = 240  # seconds for one run, then everything it has started is killed
PLANTS = {
    "mirrored mask": """
import tvnet.course.explorer.canvas as canvas
grown = canvas.Canvas.grown
canvas.Canvas.grown = lambda self, mask: grown(self, mask[:, ::-1].copy())
""",
    "raising callback": """
import tvnet.course.explorer.cards as cards
shown = cards.Strip.show
def show(self, view):
    shown(self, view)
    if view.prediction.neighbour == "pool":
        raise RuntimeError("planted")
cards.Strip.show = show
""",
}

pytestmark = pytest.mark.slow


def points(inside: np.ndarray) -> list[list[float]]:
    """Shares of height and width, deep inside a region."""
    y, x = np.unravel_index(
        distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1].argmax(), inside.shape
    )
    return [[(y + 0.5) / inside.shape[0], (x + 0.5) / inside.shape[1]]]


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """What to type, and where the mask must then lie: found without the explorer's widgets."""
    try:
        with_browser = {"chromium": tools.chromium(), "node": tools.node()}
    except LookupError as missing:
        warnings.warn(f"NO BROWSER TEST WAS RUN: {missing}", stacklevel=1)
        pytest.skip(f"NO BROWSER TEST WAS RUN: {missing}")
    folder = tmp_path_factory.mktemp("browser")
    models = view.shipped()
    model = list(models.values())[-1]
    data = model.retriever.data
    first = next(e for e in view.shipped_examples(data) if e.kind == "spread")
    query = view.known_query(models, first.image_id)
    masks = {text: model(query.encoded, text).mask for text in query.truths}
    expression = max(masks, key=lambda text: (masks[text] & ~masks[text][:, ::-1]).sum())
    mask, mirrored = masks[expression], masks[expression][:, ::-1]
    query.encoded.picture.save(folder / "mine.png")
    (folder / "no picture.jpg").write_text("I am a text.")
    notebook = folder / "10_explorer.ipynb"
    notebook.write_text(notebook_text())
    shutil.copytree(ROOT / "notebooks" / "figures", folder / "figures")
    about = {
        "python": sys.executable, "root": str(ROOT), "notebook": str(notebook),
        "app": str(shutil.copy(ROOT / "notebooks" / "templates" / "app.ipynb", folder)),
        "voila": app_options(), "groups": {name: list(group) for name, group in GROUPS.items()},
        "lessons": {lesson["name"]: lesson["lesson"] for lesson in load("lessons")},
        "label": f"example · {first.text}", "begins": f"“{first.text}”",
        "expression": expression, "inside": points(mask & ~mirrored),
        "outside": points(mirrored & ~mask), "colour": MASK,
        "picture": str(folder / "mine.png"), "noPicture": str(folder / "no picture.jpg"),
        "shots": bool(os.environ.get("TVNET_SHOTS")),
    }  # fmt: skip
    (folder / "plan.json").write_text(json.dumps(about | with_browser))
    return folder / "plan.json"


def notebook_text() -> str:
    """Notebook 10 up to the explorer; the papermill test runs all of it."""
    notebook = json.loads((ROOT / "notebooks" / "10_explorer.ipynb").read_text())
    ends = next(i for i, c in enumerate(notebook["cells"]) if "Explorer()" in "".join(c["source"]))
    notebook["cells"] = notebook["cells"][: ends + 1]
    return json.dumps(notebook)


def use(kind: str, plan: Path, plant: str = "", home: Path | None = None) -> tuple[int, str]:
    """Run the script; its exit code and what it said."""
    node = json.loads(plan.read_text())["node"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    env["JUPYTER_PATH"] = str(ROOT / "notebooks" / "templates")
    out = OUT
    if plant:
        startup = home / "profile_default" / "startup"
        startup.mkdir(parents=True)
        (startup / "00-plant.py").write_text(PLANTS[plant])
        env["IPYTHONDIR"], out = str(home), home
    script = [node, str(tools.HERE / "explorer.mjs"), kind, str(plan), str(out)]
    with subprocess.Popen(
        script, env=env, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as running:  # fmt: skip
        try:
            printed, _ = running.communicate(timeout=LIMIT)
        finally:
            try:
                os.killpg(running.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    return running.returncode, printed


@pytest.mark.parametrize("kind", ["lab", "voila", "narrow"])
def test_a_reader_can_use_the_explorer(kind, plan):
    code, printed = use(kind, plan)
    assert code == 0, f"{printed}\nSee {OUT}."


@pytest.mark.parametrize(
    "plant, noticed", [("mirrored mask", "typed: no mask at"), ("raising callback", "planted")]
)
def test_planted_bugs_are_found(plant, noticed, plan, tmp_path):
    code, printed = use("voila", plan, plant, tmp_path)
    assert code == 1 and noticed in printed, printed
    assert (tmp_path / "voila-failure.png").is_file()
