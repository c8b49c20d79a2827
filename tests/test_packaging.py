"""One place for each fact: dependencies, the house and its floors, the ledger, sizes of files."""

import ast
import re
import subprocess
import sys
import tomllib
from dataclasses import is_dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml

import tvnet
from tvnet.model.rivals import OPTIONS

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(
    path
    for folder in ("tvnet", "data_setup", "tests", "notebooks")
    for path in (ROOT / folder).rglob("*.py")
    if ".ipynb_checkpoints" not in path.parts
)
GROUND = tuple(
    f"tvnet.{part}" for part in ("settings", "settings_checks", "files", "devices", "process_group")
)
# Each part and what it may import beside itself and the ground; a part stands above all of that.
PARTS = {
    **dict.fromkeys(GROUND, ()),
    "tvnet.rows": (),
    "tvnet.provenance": (),
    "tvnet.overlay": (),
    "tvnet.data": (
        "data_setup.convert.segmentations", "data_setup.pictures", "data_setup.words",
    ),
    "tvnet.model": ("tvnet.rows",),
    "tvnet.retrieval": ("tvnet.data", "tvnet.model.backbone", "tvnet.model.pretrained"),
    "tvnet.saved_model": ("tvnet.data", "tvnet.model"),
    "tvnet.model_card": ("tvnet.model", "tvnet.saved_model"),
    "tvnet.training": ("tvnet.data", "tvnet.model", "tvnet.retrieval", "tvnet.saved_model"),
    "tvnet.training.__main__": ("tvnet",),  # a command stands above what it starts
    "tvnet.evaluation": (
        "tvnet.data", "tvnet.model", "tvnet.retrieval", "tvnet.training", "tvnet.saved_model",
        "tvnet.rows", "tvnet.provenance", "tvnet.model_card",
    ),
    "tvnet.release": (
        "tvnet.data", "tvnet.model", "tvnet.retrieval", "tvnet.training", "tvnet.evaluation",
        "tvnet.saved_model", "tvnet.rows", "tvnet.provenance", "tvnet.model_card",
    ),
    "tvnet.prediction": ("tvnet.data", "tvnet.model", "tvnet.retrieval"),
    "tvnet.predictor": (
        "tvnet.data", "tvnet.model", "tvnet.retrieval", "tvnet.saved_model", "tvnet.rows",
        "tvnet.prediction",
    ),
    "tvnet.many": (
        "data_setup.pictures", "tvnet.data", "tvnet.overlay", "tvnet.prediction", "tvnet.predictor",
    ),
    "tvnet.export": (
        "tvnet.data", "tvnet.model", "tvnet.model_card", "tvnet.predictor", "tvnet.retrieval",
        "tvnet.rows",
    ),
    "tvnet.__main__": (
        "tvnet.many", "tvnet.overlay", "tvnet.prediction", "tvnet.predictor", "tvnet.rows",
    ),
    "tvnet.course": ("tvnet", "data_setup.miniref.write"),  # draws the world for a first look
    "data_setup": (),
}  # fmt: skip
# What training and evaluation may import; names of pyproject.toml, and modules named otherwise.
LIGHT = (
    "torch", "torchvision", "numpy", "pillow", "safetensors", "regex", "tqdm", "filelock",
)  # fmt: skip
MODULES = {"scikit-learn": "sklearn", "faiss-cpu": "faiss", "pyyaml": "yaml"}


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@cache
def imports(path):
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def test_environment_equals_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    pip = environment[-1]["pip"]
    assert pip == [*project()["dependencies"], "--editable ."]
    assert environment[0] == "python" + project()["requires-python"]


@pytest.mark.parametrize("part", PARTS)
def test_nothing_imports_upwards(part):
    folder = ROOT / part.replace(".", "/")
    files = folder.rglob("*.py") if folder.is_dir() else [folder.with_suffix(".py")]
    for path in files:
        if path.stem == "__main__" and not part.endswith("__main__"):
            continue
        for name in imports(path):
            if name.split(".")[0] in ("tvnet", "data_setup"):
                assert name.startswith((part, *GROUND, *PARTS[part])), f"{path} imports {name}"


def test_data_setup_knows_no_torch():
    for path in (ROOT / "data_setup").rglob("*.py"):
        assert not {"torch", "torchvision", "tvnet"} & {n.split(".")[0] for n in imports(path)}


@pytest.mark.slow
def test_training_and_evaluation_need_few_libraries():
    """Trains and evaluates nothing, but imports all of it with the other dependencies blocked."""
    names = {re.match(r"[\w-]+", line)[0] for line in project()["dependencies"]} - set(LIGHT)
    blocked = {MODULES.get(name, name) for name in names}
    script = f"""
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name in {blocked}:
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Block())
import tvnet, tvnet.training.loop, tvnet.evaluation.evaluate, tvnet.evaluation.ablation
import tvnet.data.dataset, tvnet.evaluation.trained
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert len(blocked) > 10 and done.returncode == 0, done.stderr


@pytest.mark.slow
def test_nothing_imports_pytorchs_compiler():
    """It takes two seconds, which only training shall wait for."""
    script = """
import importlib, pkgutil, sys, tvnet
for module in pkgutil.walk_packages(tvnet.__path__, "tvnet."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
        if "torch._dynamo" in sys.modules:
            sys.exit(module.name)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_nothing_needs_what_only_unix_has():
    """On Windows there is no fcntl, and none of the others."""
    script = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name in ("fcntl", "resource", "termios", "pty", "syslog"):
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Block())
for name in ("fcntl", "resource", "termios"):
    sys.modules.pop(name, None)
import tvnet, tvnet.predictor, tvnet.course.explorer, tvnet.training.loop
import tvnet.evaluation.ablation, tvnet.training.__main__, tvnet.retrieval.build
import data_setup.__main__
from tvnet.training.checkpoint import Checkpoints
with Checkpoints(sys.argv[1]).writing():
    try:
        with Checkpoints(sys.argv[1]).writing():
            sys.exit("two writers at once")
    except ValueError as error:
        print(error)
"""
    with TemporaryDirectory() as folder:
        run = [sys.executable, "-c", script, folder]
        done = subprocess.run(run, check=True, cwd=ROOT, capture_output=True, text=True)
        assert done.stdout.startswith("Another process is writing")


def test_pickles_are_read_in_one_place():
    """A pickle can run code, so only the converter's child process opens one."""
    reads = set()
    for path in [*(ROOT / "tvnet").rglob("*.py"), *(ROOT / "data_setup").rglob("*.py")]:
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            of_pickle = (
                isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "pickle"
            )
            if of_pickle and node.attr in ("load", "loads", "Unpickler"):
                reads.add(path.name)
            if isinstance(node, ast.ImportFrom) and node.module in ("pickle", "_pickle"):
                reads.add(path.name)
    assert reads == {"unpickle.py"}


def test_files_are_short():
    most = {"tvnet": 250, "data_setup": 250, "tests": 335, "notebooks": 260}
    lines = {p.relative_to(ROOT): len(p.read_text("utf-8").splitlines()) for p in SOURCES}
    assert not {str(path): n for path, n in lines.items() if n > most[path.parts[0]]}


def test_a_large_folder_has_a_page_that_orders_it():
    for folder in {p.parent for p in SOURCES if p.is_relative_to(ROOT / "data_setup")}:
        files = [p for p in folder.glob("*.py") if p.name != "__init__.py"]
        assert len(files) <= 10 or (folder / "README.md").is_file(), folder


def test_modules_do_not_import_in_a_circle():
    names = {
        ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p
        for p in SOURCES
        if p.is_relative_to(ROOT / "tvnet") or p.is_relative_to(ROOT / "data_setup")
    }
    graph = {}
    for name, path in names.items():
        found = {n if n in names else n.rpartition(".")[0] for n in imports(path)}
        graph[name] = (found & names.keys()) - {name, "tvnet"}
    tuple(TopologicalSorter(graph).static_order())  # CycleError names the circle


def test_every_ledger_number_in_the_code_is_explained_and_used():
    ledger = yaml.safe_load((ROOT / "tvnet" / "course" / "ledger.yaml").read_text())
    explained = [entry["id"] for entry in ledger]
    assert len(set(explained)) == len(explained)
    keys = {"id", "setting", "topic", "paper", "ours", "why", "cost"}
    assert all(set(e) == keys for e in ledger)
    parts = vars(tvnet.settings("paper")).values()
    known = {name for part in parts if is_dataclass(part) for name in vars(part)} | {"none"}
    known |= {f"{method}:{option}" for method, has in OPTIONS.items() for option in has}
    assert {name for e in ledger for name in e["setting"].split(", ")} <= known
    code = "".join(p.read_text() for p in (ROOT / "tvnet").rglob("*.py"))
    used = {int(n) for n in re.findall(r"\bD(\d+)\b", code)}
    assert used == set(explained)


def test_top_level_is_the_house():
    folders = {"notebooks", "tvnet", "data_setup", "tests"}
    files = {"environment.yml", "README.md", "CONTRIBUTING.md", "CITATION.cff"}
    files |= {"pyproject.toml", "Makefile", "LICENSE"}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    top = {line.split("/")[0] for line in listed.stdout.split("\n") if line}
    if not top:
        pytest.skip("not a git checkout, so no list of the project's own files")
    assert {name for name in top if not name.startswith(".")} == folders | files
