"""A build: shards and resume, several processes, the command line, and what it refuses."""

import hashlib
import json
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
from tvnet.retrieval import build as stage_one
from tvnet.retrieval import shards as shard_module
from tvnet.retrieval.retrieve import retrieve, task
from tvnet.retrieval.shards import Shards
from tvnet.retrieval.world import World, own_device
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
def small_shards(monkeypatch):
    monkeypatch.setattr(shard_module, "ROWS", {"text": 4, "image": 3, "candidates": 5})


def fill(folder, about=None, lines=LINES, fail_at=None):
    """Shards of squares, and the rows that were made for them."""
    made = []

    def make(part):
        if fail_at is not None and part.start >= fail_at:
            raise KeyboardInterrupt
        made.extend(range(part.start, part.stop))
        return {"rows": np.arange(part.start, part.stop)[:, None] ** 2}

    held = Shards(folder).fill("text", about or {"a": 1}, lines, make)
    return held["rows"], made


def test_an_interrupted_fill_continues_where_it_stopped(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path, fail_at=8)
    assert Shards(tmp_path).missing("text", {"a": 1}, LINES) == 3
    rows, made = fill(tmp_path)
    assert made == [8, 9, 10] and rows[:, 0].tolist() == [i * i for i in range(11)]
    assert fill(tmp_path)[1] == [] and not list(tmp_path.glob("*.part*"))


def test_a_damaged_shard_is_found_and_made_again(tmp_path, capsys):
    fill(tmp_path)
    for damage in (lambda b: b[:-1] + bytes([b[-1] ^ 4]), lambda b: b[:-9], lambda b: b"<html>"):
        path = sorted(tmp_path.iterdir())[1]
        path.write_bytes(damage(path.read_bytes()))
        rows, made = fill(tmp_path)
        assert made == [4, 5, 6, 7] and rows[:, 0].tolist() == [i * i for i in range(11)]
        assert f"The shard {path.name} is damaged: it is made again." in capsys.readouterr().err


def test_settings_and_inputs_are_in_the_name(tmp_path):
    fill(tmp_path)
    assert len(fill(tmp_path, about={"a": 2})[1]) == 11
    assert fill(tmp_path, lines=[*LINES[:5], "other", *LINES[6:]])[1] == [4, 5, 6, 7]


def test_a_build_keeps_its_embeddings_one_a_text_and_one_an_image(data, tmp_path):
    text, image = Words(), Pictures()
    shards = Shards(tmp_path)
    few = replace(PAPER, retrieval=replace(PAPER.retrieval, k=2))
    second = retrieve(data, few, text, image, shards=shards)
    given = task(data, PAPER)
    assert (text.asked, image.asked) == (len(given.texts), len(given.images))
    assert len(given.texts) < len(given.queries)
    first = retrieve(data, PAPER, text, image, shards=shards)
    assert (text.asked, image.asked) == (len(given.texts), len(given.images))
    assert np.array_equal(second.candidates, first.candidates[:, :2])
    plain = retrieve(data, PAPER, Words(), Pictures(), search="plain")
    for name in ("candidates", "text_similarity", "image_similarity", "chosen", "similar_id"):
        assert np.array_equal(getattr(plain, name), getattr(first, name))


def test_the_same_neighbours_are_the_same_bytes(data, tmp_path):
    found = retrieve(data, PAPER, Words(), Pictures())
    for i in range(8):
        found.save(tmp_path / f"{i}.safetensors")
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_retrieval_build import PAPER, Pictures, Words, shard_module, stage_one
from tvnet.data import refer
shard_module.ROWS = {{"text": 4, "image": 3, "candidates": 5}}
stage_one.encoders = lambda *_: (Words(), Pictures())
stage_one.build(PAPER, refer.read({root!r}, "unc+"), Path({out!r}))
"""


@pytest.mark.slow
def test_three_processes_write_the_file_that_one_writes(data, tiny_root, tmp_path, monkeypatch):
    script = tmp_path / "script.py"
    out = tmp_path / "many"
    tests = str(Path(__file__).parent)
    script.write_text(SCRIPT.format(tests=tests, root=str(tiny_root), out=str(out)))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
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
    assert names[0] == names[1] and len(names[0]) > 8


def test_processes_take_a_gpu_each(monkeypatch):
    assert own_device("cuda") == "cuda"
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert [own_device(d) for d in ("cuda", "cuda:1", "cpu")] == ["cuda:3", "cuda:1", "cpu"]


def test_a_process_whose_fellow_ended_says_so(monkeypatch):
    def broken():
        raise RuntimeError("Connection closed by peer")

    monkeypatch.setattr("torch.distributed.barrier", broken)
    World(rank=0, size=1).wait()
    with pytest.raises(ValueError, match="Another process of this build stopped: see what it said"):
        World(rank=0, size=2).wait()


def command(tiny_root, tmp_path, *more):
    given = ["--data", str(tiny_root), "--out", str(tmp_path / "out"), "--dataset", "unc+"]
    return stage_one.main([*given, "--encoders", "paper", *more])


def test_the_command_estimates_builds_reports_and_reads_again(
    tiny_root, data, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(stage_one, "encoders", lambda *_: (Words(), Pictures()))
    assert command(tiny_root, tmp_path) == 0
    said = capsys.readouterr().out
    assert "18 of 18 texts to encode: about 0 s" in said and "8 of 8 images to encode" in said
    assert "252 pairs of texts to compare: about 0 s" in said
    assert "fewer than k = 20 other images for 32 of 32 sentences: their last places stay" in said
    path = stage_one.neighbours_path(PAPER, data, tmp_path / "out")
    assert str(path) in said
    report = json.loads(path.with_suffix(".json").read_text())
    assert report["sentences"] == 32 and report["settings"]["text"] == "distilbert"
    path.unlink()  # what was encoded stays
    assert command(tiny_root, tmp_path, "--search", "plain") == 0
    assert "0 of 18 texts to encode: about 0 s" in capsys.readouterr().out
    monkeypatch.setattr(stage_one, "retrieve", None)
    assert command(tiny_root, tmp_path) == 0


def test_one_split_alone_has_a_file_of_its_own(tiny_root, data, tmp_path, monkeypatch):
    monkeypatch.setattr(stage_one, "encoders", lambda *_: (Words(), Pictures()))
    assert command(tiny_root, tmp_path, "--split", "val") == 0
    assert command(tiny_root, tmp_path) == 0
    part, whole = (
        Neighbours.load(stage_one.neighbours_path(PAPER, data, tmp_path / "out", split))
        for split in ("val", "all")
    )
    val = np.sort([s.sent_id for s in data.samples("val")])
    assert np.array_equal(part.sent_id, val) and len(whole.sent_id) == 32
    assert np.array_equal(part.similar_id, whole.of(val))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--split", "dev"], "unc+ has no split 'dev': choose one of train, val."),
        (["--search", "ann"], "There is no search 'ann': choose one of auto, plain, int8"),
        (["--ties", "some"], "There is no rule 'some' for ties: choose one of hash, all."),
        (["--encoders", "best"], "There are no encoders 'best': choose offline, paper, or name"),
        (["--encoders", "bert,vgg16"], "There are no encoders 'bert' and 'vgg16': use 'tfidf'"),
        (["--weights", "nowhere"], "The encoder weights nowhere/distilbert-base-uncased/model.s"),
        (["--dataset", "coco"], "There is no data set 'coco' in "),
        (["--device", "cuda:99"], "There is no device 'cuda:99' here: use cpu"),
    ],
)
def test_the_command_says_what_it_cannot_do(tiny_root, tmp_path, capsys, monkeypatch, more, words):
    if more[0] in ("--search", "--ties"):
        monkeypatch.setattr(stage_one, "encoders", lambda *_: (Words(), Pictures()))
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
    given = task(data, PAPER)
    name = given.texts[3] if which == "text" else given.images[3]
    with pytest.raises(ValueError, match=f"gives {which} '{name}' a vector that is zero or not"):
        retrieve(data, PAPER, encoders["text"], encoders["image"])


def with_splits(data, split_of):
    referents = tuple(replace(r, split=split_of(r)) for r in data.referents)
    return refer.ReferData("unc+", data.pictures, referents, data.segmentations, data.categories)


def test_pools_and_splits_that_hold_too_little_are_named(data):
    one = with_splits(data, lambda r: "train" if r.image_id == 3 else "val")
    with pytest.raises(ValueError, match="The pool of unc. is the one image 3: its own sentences"):
        retrieve(one, PAPER, Words(), Pictures())
    val = next(r for r in data.referents if r.split == "val")
    shared = with_splits(data, lambda r: "val" if r.ref_id % 10 else "train")
    with pytest.raises(ValueError, match="The pool is empty: every image of unc. is held out"):
        retrieve(shared, PAPER, Words(), Pictures())
    silent = refer.ReferData(
        "unc+", data.pictures, (*data.referents, replace(val, split="testA", sentences=())),
        data.segmentations, data.categories,
    )  # fmt: skip
    with pytest.raises(ValueError, match="The split 'testA' of unc. holds no sentence"):
        retrieve(silent, PAPER, Words(), Pictures(), "testA")


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
