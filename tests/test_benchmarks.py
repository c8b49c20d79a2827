"""A benchmark that measures nothing fails, and `make bench` installs what the benchmarks need."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = ROOT / "tests" / "benchmarks"


def bench(name, *blocked):
    script = f"""
import runpy, sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name in {blocked!r}:
            raise ModuleNotFoundError(name + " is blocked")
sys.meta_path.insert(0, Block())
sys.path.insert(0, {str(BENCHMARKS)!r})
sys.argv = [{name!r}]
runpy.run_path({str(BENCHMARKS / name)!r}, run_name="__main__")
"""
    run = [sys.executable, "-c", script]
    return subprocess.run(run, capture_output=True, text=True, cwd=ROOT)


@pytest.mark.slow
def test_without_the_library_to_measure_against_it_fails():
    done = bench("bench_evaluation.py", "skimage", "skimage.transform")
    assert done.returncode == 1
    assert "Nothing was measured: `pip install -e '.[bench]'` first" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_its_benchmark_fails():
    done = bench("bench_gpu.py")
    assert done.returncode == 1 and "Nothing was measured: this machine has no" in done.stderr


@pytest.mark.slow
def test_make_bench_installs_what_it_needs_and_leaves_the_gpu_apart():
    make = ["make", "--dry-run", "--always-make", "bench"]
    printed = subprocess.run(make, capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert "pip install" in printed and "--editable '.[bench]'" in printed
    asked = subprocess.run(
        [sys.executable, BENCHMARKS / "record.py", "bench_gpu"], capture_output=True, text=True
    )
    assert asked.returncode == 1 and "There is no benchmark 'bench_gpu'" in asked.stderr


def test_the_page_of_figures_is_the_one_that_their_files_make(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setitem(os.environ, "OMP_NUM_THREADS", "1")  # timing.py sets these
    import record

    assert (BENCHMARKS / "README.md").read_text("utf-8") == record.page()
