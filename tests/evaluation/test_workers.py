"""Runs in parallel: where one fails or their parent ends, all end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tvnet.evaluation.workers import workers


def fail():
    raise ValueError("the first one fails")


def touch_slowly(path):
    time.sleep(0.5)
    Path(path).touch()


def until(true, seconds=120):
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    assert true()


@pytest.mark.slow
def test_a_failure_is_told_before_the_others_are_begun(tmp_path):
    with pytest.raises(ValueError, match="the first one fails"), workers(1) as pool:
        first = pool.submit(fail)
        for k in range(8):
            pool.submit(touch_slowly, tmp_path / str(k))
        first.result()
    assert len(list(tmp_path.iterdir())) <= 3  # a worker is handed two in advance


PARENT = """
import os, sys, time
from pathlib import Path
from tvnet.evaluation.workers import workers

def run(path):
    Path(path).write_text(str(os.getpid()))
    time.sleep(600)

if __name__ == "__main__":
    with workers(1) as pool:
        runs = [pool.submit(run, f"{sys.argv[1]}/{k}") for k in range(3)]
        runs[0].result()
"""


@pytest.mark.slow
def test_workers_end_with_their_parent(tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    command = [sys.executable, str(tmp_path / "parent.py"), str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, env=environment) as parent:
        try:
            until(lambda: (tmp_path / "0").is_file() and (tmp_path / "0").read_text())
        finally:
            parent.send_signal(signal.SIGTERM)
    worker = int((tmp_path / "0").read_text())
    until(lambda: not Path(f"/proc/{worker}").exists() or "Z" in _state(worker))
    assert parent.returncode == -signal.SIGTERM


def _state(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2]
    except FileNotFoundError:
        return "Z"
