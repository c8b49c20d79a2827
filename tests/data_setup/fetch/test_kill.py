"""A short sample of the kill loops; `make test-faults` runs them all."""

import hashlib
import random

import pytest

from data_setup.__main__ import main
from data_setup.miniref.write import write
from tests.data_setup.fetch.fault_server import running
from tests.data_setup.fetch.kills import downloads, fetches, three_at_once
from tests.data_setup.fetch.mirror import pack, registry, tree

SETS = ("unc", "referit", "glove")
CONTENT = random.Random(0).randbytes(4_000_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def loops(tmp_path, runs, crowds, roots, seed=0):
    """(right, kills) of single downloads, of three at once, and of whole roots."""
    rng = random.Random(seed)
    world = tmp_path / "world"
    write(world, 30, 3, processes=1)
    with running() as server:
        files = pack(world)
        server.files = {f"/{name}": content for name, content in files.items()}
        path = registry(files, world, server.url, tmp_path / "mirror.yaml")
        arguments = ["fetch", *SETS, "--root", str(tmp_path / "whole"), "--sources", str(path)]
        assert main(arguments) == 0
        server.files["/a.bin"], server.delay = CONTENT, 0.003
        single = downloads(server, "/a.bin", DIGEST, tmp_path, rng, runs)
        crowd = three_at_once(server, "/a.bin", DIGEST, tmp_path, rng, crowds)
        whole = fetches(SETS, path, tmp_path, tree(tmp_path / "whole"), rng, roots)
    return single, crowd, whole


@pytest.mark.slow
def test_whatever_is_killed_ends_right(tmp_path):
    (right, kills), crowd, (roots, stops) = loops(tmp_path, 3, 1, 1)
    assert (right, crowd, roots) == (3, 1, 1)
    assert kills + stops > 0
