"""What an installation holds that is not a link to a checkout."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("tvnet", "data_setup", "pyproject.toml", "README.md", "LICENSE")
IGNORED = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")


def build(kind, source, target):
    """The file that setuptools makes of a source tree."""
    script = f"from setuptools import build_meta; print(build_meta.build_{kind}({str(target)!r}))"
    shown = subprocess.run(
        [sys.executable, "-c", script], cwd=source, capture_output=True, text=True, check=True
    )
    return target / shown.stdout.split()[-1]


def files_of(folder):
    """Relative paths of all that belongs to the two packages."""
    paths = [p for part in ("tvnet", "data_setup") for p in (folder / part).rglob("*")]
    return {
        p.relative_to(folder).as_posix()
        for p in paths
        if p.is_file()
        and not p.name.startswith(".")  # the checksums that are kept of a pool
        and not {"__pycache__", ".ipynb_checkpoints"} & set(p.parts)
    }


@pytest.mark.slow
def test_an_installation_from_the_sdist_predicts_out_of_the_box(tmp_path):
    checkout, out, site = (tmp_path / name for name in ("checkout", "out", "site"))
    checkout.mkdir()
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        options = {"ignore": IGNORED} if (ROOT / part).is_dir() else {}
        copy(ROOT / part, checkout / part, **options)
    with tarfile.open(build("sdist", checkout, out)) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    with zipfile.ZipFile(build("wheel", unpacked, out)) as wheel:
        wheel.extractall(site)
    left_out = {path for path in files_of(ROOT) - files_of(site) if not path.endswith(".md")}
    assert not left_out

    picture = next((site / "tvnet" / "shipped" / "pool").rglob("*.jpg"))
    script = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "import tvnet; from tvnet.course.explorer import view\n"
        f"assert tvnet.__file__.startswith({str(site)!r})\n"
        f"print(tvnet.predict({str(picture)!r}, 'left dog').mask.shape)\n"
        "print(len(view.shipped_examples(tvnet.load().retriever.data)))"
    )
    shown = subprocess.run(
        [sys.executable, "-I", "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("(")
