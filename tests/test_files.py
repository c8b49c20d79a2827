"""A file is whole or not there, on the disk before it has its name; a full disk names it."""

import errno
import io
import os
import resource
from contextlib import contextmanager, redirect_stderr
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tvnet.data import refer
from tvnet.data.cache import TrainingCache
from tvnet.data.masks import store
from tvnet.files import replacing, sole_writer, write_json
from tvnet.model.backbone import DeepLab
from tvnet.retrieval.embeddings import embed
from tvnet.settings import settings
from tvnet.training.checkpoint import Checkpoints
from tvnet.training.features import CachedFeatures

MODULE = torch.nn.Linear(400, 50)
OPTIMISER = torch.optim.Adam(MODULE.parameters())


@contextmanager
def full_disk():
    """No file grows beyond its first bytes, and the system says so as of a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with redirect_stderr(io.StringIO()):  # where a progress bar goes is a file, too
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def maps(root, path):
    chosen = settings("smoke")
    backbone = DeepLab(replace(chosen.backbone, weights="random")).freeze()
    return CachedFeatures(backbone, refer.read(root, "unc"), 96, path)


WRITES = {
    "neighbours": lambda ready, root, path: ready.neighbours.save(path),
    "embeddings": lambda ready, root, path: embed(
        "text", ["a"], SimpleNamespace(about={}), lambda some: np.eye(1, 99), path
    ),
    "masks": lambda ready, root, path: store(refer.read(root, "unc"), path),
    "pixels": lambda ready, root, path: TrainingCache(
        refer.read(root, "unc"), 45, ready.cache.masks, path
    ),
    "maps": lambda ready, root, path: maps(root, path),
    "result": lambda ready, root, path: write_json(path, {"text": "x" * 99}),
    "checkpoint": lambda ready, root, path: Checkpoints(path).save(1, MODULE, OPTIMISER),
    "log": lambda ready, root, path: [Checkpoints(path).log(k, 1.0) for k in range(9)],
}


@pytest.mark.parametrize("kind", WRITES)
def test_a_full_disk_names_the_file_and_leaves_no_half_of_it(ready, tiny_root, tmp_path, kind):
    path = tmp_path / "here"
    if kind == "log":
        path.mkdir()
    with full_disk(), pytest.raises(OSError, match=f"^{path}.* could not be written .*make room"):
        WRITES[kind](ready, tiny_root, path)
    left = [p.name for p in tmp_path.rglob("*") if p.is_file()]
    assert left == (["log.jsonl"] if kind == "log" else [])


def test_what_gets_its_name_is_on_the_disk(tmp_path, monkeypatch):
    """A rename may outlive a power cut that its content does not."""
    done = []
    monkeypatch.setattr(os, "fsync", lambda file: done.append(os.fstat(file).st_size))
    monkeypatch.setattr(os, "replace", lambda *names: done.append("renamed"))
    with replacing(tmp_path / "a") as part:
        part.write_text("abc")
    assert done == [3, "renamed"]


def test_a_block_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "a"
    path.write_text("before")
    with pytest.raises(KeyError), replacing(path) as part:
        part.write_text("after")
        raise KeyError
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


def test_a_writer_removes_its_own_halves_and_nothing_of_the_readers(tmp_path):
    (tmp_path / "masks").mkdir()
    for name in ("scores.csv.part123", "masks/1.png.part4567"):
        (tmp_path / name).touch()
    readers = {"review.part1.txt", "archive.partial.csv", "a.part", "b.party", "c.part2b"}
    for name in readers:
        (tmp_path / name).touch()
    folders = {"sheet.parts", "sheet.part2"}
    for name in folders:
        (tmp_path / name).mkdir()
    with sole_writer(tmp_path):
        left = {path.name for path in tmp_path.rglob("*")}
    assert left == {*readers, *folders, "masks", "lock"}


def test_a_read_only_disk_names_the_file_and_the_next_step(tmp_path, monkeypatch):
    """There even the part that was never made cannot be removed, and that is another error."""

    def refuse(path, *_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    for method in ("mkdir", "write_bytes"):  # a folder that is due, or the file itself
        with monkeypatch.context() as patch, pytest.raises(OSError) as caught:
            patch.setattr(Path, method, refuse)
            with replacing(tmp_path / "new" / "a") as part:
                part.write_bytes(b"abc")
        assert str(caught.value).startswith(f"{tmp_path}/new/a could not be written (Read-only")
    with pytest.raises(OSError, match="'other'"), replacing(tmp_path / "a"):
        refuse("other")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "new" / "a" / "b"):
        (tmp_path / "new" / "a").touch()
        with pytest.raises(OSError, match=f"^{path} could not be written .* name another folder"):
            write_json(path, {})
