"""Runs that are killed at random points and started again until they end by themselves."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.data_setup.fetch.mirror import tree

ROOT = Path(__file__).resolve().parents[3]
ONE = """
import sys
from pathlib import Path
from data_setup.fetch.download import download
from data_setup.fetch.sources import Source
url, size, digest, target = sys.argv[1:]
download(Source("a.bin", "", int(size), digest, (url,), ""), Path(target))
"""


def start(*command):
    return subprocess.Popen(
        [sys.executable, *map(str, command)], cwd=ROOT, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def kill(process):
    """SIGKILL to the process and its children, as when a machine goes off."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def ends(process):
    """Wait for a process that nobody kills; it must say that all is well."""
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error.decode()


def until_done(command, rng, shortest, longest):
    """Start, kill after a random time, start again ...; how many kills it took until the end.

    Each kill lengthens the times, so that a slow machine comes to an end as well.
    """
    kills = 0
    while True:
        process = start(*command)
        try:
            process.wait(rng.uniform(shortest, longest * (1 + kills / 10)))
        except subprocess.TimeoutExpired:
            kill(process)
            kills += 1
            continue
        ends(process)
        return kills


def downloads(server, path, digest, folder, rng, runs):
    """`runs` downloads with kills at random points; (how many end right, how many kills)."""
    right = kills = 0
    for k in range(runs):
        target = folder / f"{k}.bin"
        size = len(server.files[path])
        command = ("-c", ONE, server.url + path, size, digest, target)
        kills += until_done(command, rng, 0.05, 0.4)
        right += target.read_bytes() == server.files[path]
    return right, kills


def three_at_once(server, path, digest, folder, rng, runs):
    """Three processes load one file and one of them is killed; how many runs end right."""
    right = 0
    for k in range(runs):
        target = folder / f"three-{k}.bin"
        command = ("-c", ONE, server.url + path, len(server.files[path]), digest, target)
        processes = [start(*command) for _ in range(3)]
        victim = rng.choice(processes)
        try:
            victim.wait(rng.uniform(0.05, 0.4))
        except subprocess.TimeoutExpired:
            kill(victim)
        for process in processes:
            if process is not victim or process.returncode == 0:
                ends(process)
        right += target.read_bytes() == server.files[path]
    return right


def fetches(sets, registry, folder, wanted, rng, runs, shortest=0.2, longest=1.0):
    """`runs` fetches of whole data roots with kills; (how many give the wanted tree, kills)."""
    right = kills = 0
    for k in range(runs):
        root = folder / f"root-{k}"
        command = ("-m", "data_setup", "fetch", *sets, "--root", root, "--sources", registry)
        kills += until_done(command, rng, shortest, longest)
        right += tree(root) == wanted
    return right, kills
