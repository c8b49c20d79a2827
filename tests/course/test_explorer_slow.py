"""The explorer on the oldest ipywidgets that it promises to run on."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


def test_it_runs_on_ipywidgets_7(tmp_path):
    """All tests without a kernel again, with the last 7 before the installed version."""
    old = ["ipywidgets==7.7.5", "ipython_genutils"]
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", tmp_path]
    if subprocess.run([*install, *old], timeout=120).returncode:
        warnings.warn("NOT TRIED WITH ipywidgets 7: it could not be installed", stacklevel=1)
        pytest.skip("ipywidgets 7 could not be installed")
    env = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    checked = "import ipywidgets; assert ipywidgets.__version__ == '7.7.5'"
    subprocess.run([sys.executable, "-c", checked], env=env, check=True, timeout=60)
    again = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        *(f"tests/course/test_{name}.py" for name in ("explorer", "pictures", "address")),
    ]
    done = subprocess.run(again, env=env, cwd=ROOT, timeout=240, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
