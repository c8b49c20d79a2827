"""A benchmark that measures nothing fails, and `make bench` installs what the benchmarks need."""

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


def test_without_the_library_to_measure_against_it_fails():
    done = bench("bench_evaluation.py", "skimage", "skimage.transform")
    assert done.returncode == 1
    assert "Nothing was measured: `pip install -e '.[bench]'` first" in done.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_its_benchmark_fails():
    done = bench("bench_gpu.py")
    assert done.returncode == 1 and "Nothing was measured: this machine has no" in done.stderr


def test_make_bench_installs_what_it_needs_and_leaves_the_gpu_apart():
    make = ["make", "--dry-run", "--always-make", "bench"]
    printed = subprocess.run(make, capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert "pip install" in printed and "--editable '.[bench]'" in printed
    ran = {path.name for path in BENCHMARKS.glob("bench_*.py") if path.name in printed}
    assert ran == {path.name for path in BENCHMARKS.glob("bench_*.py")} - {"bench_gpu.py"}
