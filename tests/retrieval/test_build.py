"""A build: blocks and resume, several processes, the command line, and what it refuses."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tvnet.data import refer
from tvnet.data.images import BLANK
from tvnet.data.neighbours import Neighbours
from tvnet.data.records import ReferData
from tvnet.retrieval import build as stage_one
from tvnet.retrieval import embeddings
from tvnet.retrieval.build import retrieve
from tvnet.retrieval.embeddings import embed
from tvnet.settings import settings

SMOKE = settings("smoke")
PAPER = settings("paper")
LINES = [f"line {i}" for i in range(11)]


class Words:
    """A stand-in for DistilBERT: a fixed random vector a text, and it counts what it is asked."""

    name, about = "words", {"encoder": "words"}

    def __init__(self):
        self.asked = 0

    def encode(self, texts):
        self.asked += len(texts)
        seeds = [int(hashlib.sha256(t.encode()).hexdigest()[:8], 16) for t in texts]
        rows = np.stack([np.random.default_rng(seed).normal(size=16) for seed in seeds])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


class Pictures(Words):
    name, about = "pictures", {"encoder": "pictures"}

    def encode(self, data, image_ids):
        return super().encode([str(i) for i in image_ids])


@pytest.fixture(scope="module")
def data(tiny_root):
    return refer.read(tiny_root, "unc+")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(embeddings, "ROWS", {"text": 4, "image": 3})


class Letters:
    """Turns a line into a unit row, notes which it was asked for, and may stop at one."""

    name = "letters"

    def __init__(self, about):
        self.about, self.asked = about, []

    def encode(self, lines):
        if self.stop_at in lines:
            raise KeyboardInterrupt
        self.asked += lines
        return np.eye(len(LINES))[[LINES.index(line) if line in LINES else 0 for line in lines]]


def fill(folder, about=None, lines=LINES, stop_at=None):
    """Rows of lines in blocks of four, and which of them were encoded for this."""
    encoder = Letters(about or {"a": 1})
    encoder.stop_at = stop_at
    return embed("text", lines, encoder, encoder.encode, folder), encoder.asked


def test_an_interrupted_encoding_continues_where_it_stopped(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path, stop_at="line 9")
    rows, asked = fill(tmp_path)
    assert asked == LINES[8:] and np.array_equal(rows, np.eye(11))
    assert fill(tmp_path)[1] == [] and not list(tmp_path.glob("*.part*"))


def test_a_damaged_block_is_found_and_made_again(tmp_path, capsys):
    fill(tmp_path)
    for damage in (lambda b: b[:-1] + bytes([b[-1] ^ 4]), lambda b: b[:-9], lambda b: b"<html>"):
        path = sorted(tmp_path.iterdir())[1]
        path.write_bytes(damage(path.read_bytes()))
        rows, asked = fill(tmp_path)
        assert asked == LINES[4:8] and np.array_equal(rows, np.eye(11))
        assert f"The block {path.name} is damaged: it is made again." in capsys.readouterr().err


def test_settings_and_inputs_are_in_the_name(tmp_path):
    fill(tmp_path)
    assert len(fill(tmp_path, about={"a": 2})[1]) == 11
    other = [*LINES[:5], "other", *LINES[6:]]
    assert fill(tmp_path, lines=other)[1] == other[4:8]


def test_a_build_keeps_its_embeddings_one_a_text_and_one_an_image(data, tmp_path):
    text, image = Words(), Pictures()
    few = replace(PAPER, retrieval=replace(PAPER.retrieval, k=2))
    second = retrieve(data, few, text, image, folder=tmp_path)
    samples = [s for split in data.splits for s in data.samples(split)]
    unique = len({s.text for s in samples}), len({s.image_id for s in samples})
    assert (text.asked, image.asked) == unique and unique[0] < len(samples)
    first = retrieve(data, PAPER, text, image, folder=tmp_path)
    assert (text.asked, image.asked) == unique
    assert np.array_equal(second.candidates, first.candidates[:, :2])
    alone = retrieve(data, PAPER, Words(), Pictures())
    for name in ("candidates", "text_similarity", "image_similarity", "chosen", "similar_id"):
        assert np.array_equal(getattr(alone, name), getattr(first, name))


def test_the_same_neighbours_are_the_same_bytes(data, tmp_path):
    found = retrieve(data, PAPER, Words(), Pictures())
    for i in range(8):
        found.save(tmp_path / f"{i}.safetensors")
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {checkout!r})
from tests.retrieval.test_build import PAPER, Pictures, Words, embeddings, stage_one
from tvnet.data import refer
embeddings.ROWS = {{"text": 4, "image": 3}}
stage_one.encoders = lambda *_: (Words(), Pictures())
stage_one.build(PAPER, refer.read({root!r}, "unc+"), Path({out!r}))
"""


@pytest.mark.slow
def test_three_processes_write_the_file_that_one_writes(data, tiny_root, tmp_path, monkeypatch):
    script = tmp_path / "script.py"
    out = tmp_path / "many"
    root = str(Path(__file__).resolve().parents[2])
    script.write_text(SCRIPT.format(checkout=root, root=str(tiny_root), out=str(out)))
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo"}
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node",
         "3", str(script)],
        check=True, timeout=120, env=environment, capture_output=True,
    )  # fmt: skip
    monkeypatch.setattr(stage_one, "encoders", lambda *_: (Words(), Pictures()))
    stage_one.build(PAPER, data, tmp_path / "one")
    one = stage_one.neighbours_path(PAPER, data, tmp_path / "one")
    many = stage_one.neighbours_path(PAPER, data, out)
    assert one.read_bytes() == many.read_bytes()
    names = [
        {p.name for p in folder.glob("cache/embeddings/*")} for folder in (out, one.parent.parent)
    ]
    assert names[0] == names[1] and len(names[0]) == 8


def command(tiny_root, tmp_path, *more):
    given = ["--data", str(tiny_root), "--out", str(tmp_path / "out"), "--profile", "paper"]
    return stage_one.main([*given, *more])


def test_the_command_builds_and_reads_again(tiny_root, data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(stage_one, "encoders", lambda *_: (Words(), Pictures()))
    assert command(tiny_root, tmp_path) == 0
    said = capsys.readouterr().out
    assert "fewer than k = 20 other images for 32 of 32 sentences: their last places stay" in said
    path = stage_one.neighbours_path(PAPER, data, tmp_path / "out")
    assert str(path) in said
    found = Neighbours.load(path)
    assert len(found.sent_id) == 32 and found.settings["text"] == "distilbert"
    monkeypatch.setattr(stage_one, "retrieve", None)
    assert command(tiny_root, tmp_path) == 0


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--set", "retrieval.ties=some"], "ties is 'some': choose one of 'hash', 'all'."),
        (["--set", "retrieval.text=bert"], "text is 'bert': choose one of 'tfidf', 'distilbert'"),
        (["--set", "ties=all"], "'ties=all' sets nothing: write part.name=value"),
        (["--weights", "nowhere"], "The encoder weights nowhere/distilbert-base-uncased/model.s"),
        (["--set", "data.dataset=coco"], "There is no data set 'coco' in "),
        (["--device", "cuda:99"], "There is no device 'cuda:99' here: use 'auto', 'cpu'"),
        (["--device", "meta"], "There is no device 'meta' here: use 'auto', 'cpu'"),
    ],
)
def test_the_command_says_what_it_cannot_do(tiny_root, tmp_path, capsys, more, words):
    assert command(tiny_root, tmp_path, *more) == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.rglob("neighbours*"))


@pytest.mark.parametrize("value", [0, np.nan, np.inf])
@pytest.mark.parametrize("which", ["text", "image"])
def test_vectors_without_direction_are_named(data, which, value):
    encoders = {"text": Words(), "image": Pictures()}
    right = encoders[which].encode

    def wrong(*given):
        rows = right(*given)
        rows[3] = value
        return rows

    encoders[which].encode = wrong
    samples = [s for split in data.splits for s in data.samples(split)]
    name = sorted({s.text if which == "text" else s.image_id for s in samples})[3]
    with pytest.raises(ValueError, match=f"gives {which} '{name}' a vector that is zero or not"):
        retrieve(data, PAPER, encoders["text"], encoders["image"])


def with_splits(data, split_of):
    referents = tuple(replace(r, split=split_of(r)) for r in data.referents)
    return ReferData("unc+", data.pictures, referents, data.segmentations, data.categories)


def test_pools_that_hold_too_little_are_named(data):
    one = with_splits(data, lambda r: "train" if r.image_id == 3 else "val")
    with pytest.raises(ValueError, match="The pool of unc. is the one image 3: its own sentences"):
        retrieve(one, PAPER, Words(), Pictures())
    shared = with_splits(data, lambda r: "val" if r.ref_id % 10 else "train")
    with pytest.raises(ValueError, match="The pool is empty: every image of unc. is held out"):
        retrieve(shared, PAPER, Words(), Pictures())


def test_a_pool_smaller_than_k_leaves_blanks(data):
    found = retrieve(data, PAPER, Words(), Pictures())
    pool = {s.image_id for s in data.samples("train")}
    own = np.array([data.image_of[ann] for ann in found.sent_id // 2])
    for line, image in zip(found.candidates, own, strict=True):
        assert set(line.tolist()) == (pool - {image}) | {BLANK}
    assert (found.similar_id != BLANK).all()


def test_gref_keeps_every_image_of_val_out_of_the_pool(data):
    """google's splits part referents, not images: here two of three val images are in train."""
    mixed = with_splits(
        data, lambda r: "val" if r.image_id > 6 or r.ref_id in (30, 41) else "train"
    )
    val = {s.image_id for s in mixed.samples("val")}
    train = {s.image_id for s in mixed.samples("train")}
    assert len(val & train) / len(val) == 0.5
    found = retrieve(mixed, PAPER, Words(), Pictures())
    assert not val & set(found.candidates.ravel().tolist())
    assert set(found.candidates.ravel().tolist()) - {BLANK} == train - val
