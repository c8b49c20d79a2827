"""Many pictures: the same as one by one, resumed to the same bytes, and what is refused."""

import csv
import json
import os
import re
import shutil
import signal
import sys
import traceback
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from tests.tiny_rows import tiny_rows
from tvnet.__main__ import main
from tvnet.files import sole_writer
from tvnet.many.pairs import Pair
from tvnet.many.run import predict_many

SENTENCES = ("red square", "the blue one of picture 3", "red zebra", "blue")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def predictor(folder, tiny_root):
    return tiny_rows(tiny_root, folder)["Baseline+RES+AMF"]


@pytest.fixture(scope="module")
def pictures(tiny_root, tmp_path_factory):
    """A folder of seven pictures, with a file that is none."""
    folder = tmp_path_factory.mktemp("pictures")
    files = sorted(tiny_root.rglob("*.jpg"))[:6]
    for path in files:
        shutil.copy(path, folder / path.name[-6:])
    Image.open(files[0]).rotate(90, expand=True).save(folder / "a b <i>.png")
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture
def pairs(pictures):
    """Each picture with two sentences, so that no picture's pairs stand together."""
    names = [path.name for path in read_order(pictures)]
    return [
        Pair(f"line {k}", name, pictures / name, SENTENCES[k % 4])
        for k, name in enumerate([*names, *names])
    ]


def read_order(pictures):
    return sorted(path for path in pictures.iterdir() if path.suffix != ".txt")


def content(out):
    """{file: its bytes} of a folder of results."""
    return {
        p.relative_to(out).as_posix(): p.read_bytes()
        for p in out.rglob("*")
        if p.is_file() and p.name != "lock"
    }


def test_what_is_written_is_what_the_predictor_finds(predictor, pairs, tmp_path):
    records = predict_many(predictor, pairs, tmp_path / "out")
    masks = json.loads((tmp_path / "out" / "masks.json").read_text())
    with open(tmp_path / "out" / "scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert len(records) == len(masks) == len(rows) == page.count("<figure>") == len(pairs)
    for pair, record, mask, row in zip(pairs, records, masks, rows, strict=True):
        found = predictor(pair.path, pair.sentence)
        stored = np.asarray(Image.open(tmp_path / "out" / record["mask"])) == 255
        assert (stored == found.mask).mean() > 0.999  # a batch adds up in another order
        assert (coco.decode(mask["segmentation"]).astype(bool) == stored).all()
        assert mask["area"] == stored.sum() and row["sentence"] == pair.sentence
        assert float(row["score"]) == mask["score"] == pytest.approx(found.score, abs=1e-3)
        assert row["neighbour"] == str(found.neighbour_id) and row["remarks"] == " ".join(
            found.remarks
        )
        with Image.open(tmp_path / "out" / record["overlay"]) as drawn:
            assert drawn.size == found.encoded.picture.size
    assert "a b <i>" not in page and "a b &lt;i&gt;.png" in page


def test_the_backbone_sees_each_picture_once(predictor, pairs, tmp_path, monkeypatch):
    seen = []
    encode = predictor.encode_image
    monkeypatch.setattr(predictor, "encode_image", lambda p: seen.append(p) or encode(p))
    predict_many(predictor, pairs, tmp_path / "out")
    assert len(seen) == len(set(seen)) == 7


def test_sentences_about_one_picture_are_those_of_single_calls(predictor, pictures):
    path, many = read_order(pictures)[0], [*SENTENCES] * 3  # more than one batch
    for text, found in zip(many, predictor.sentences(path, many), strict=True):
        alone = predictor(path, text)
        np.testing.assert_allclose(found.probability, alone.probability, atol=1e-5)
        assert found.candidates == alone.candidates and found.remarks == alone.remarks
        effects, _ = predictor.without_each_part(found)
        assert [effect.word for effect in effects] == list(found.words)


def killed(run, event=0, counted=None):
    """Run in a child that gets SIGKILL at its n-th event that touches a file, or counts them; how
    it ended."""
    child = os.fork()
    if not child:
        seen = [0]

        def count(name, arguments):
            if name in ("open", "os.rename", "os.truncate", "os.remove", "os.mkdir"):
                seen[0] += 1
                if seen[0] == event:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(count)
            run()
            if counted:
                counted.write_text(str(seen[0]))
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return status


@pytest.mark.slow
def test_killed_at_twenty_points_it_ends_with_the_same_bytes(predictor, pairs, tmp_path):
    # A first run, which is not counted, imports what no test before has needed.
    predict_many(predictor, pairs, tmp_path / "first")
    whole = tmp_path / "whole"
    assert killed(lambda: predict_many(predictor, pairs, whole), counted=tmp_path / "count") == 0
    whole, events = content(whole), int((tmp_path / "count").read_text())
    assert events > 100
    for k in range(20):
        out = tmp_path / f"out{k}"
        run = partial(predict_many, predictor, pairs, out)
        assert killed(run, 1 + k * events // 20) == signal.SIGKILL
        half = {name: b for name, b in content(out).items() if ".part" not in name}
        assert all(whole[name].startswith(b) for name, b in half.items())
        assert killed(run, 9 + k) in (0, signal.SIGKILL)  # soon after it was resumed
        run()
        assert content(out) == whole
    assert {name.split("/")[0] for name in whole} == {
        "masks", "overlays", "scores.csv", "masks.json", "index.html", "progress.jsonl"
    }  # fmt: skip


@pytest.mark.slow
def test_a_line_that_was_cut_anywhere_is_written_again(predictor, pairs, tmp_path):
    out = tmp_path / "out"
    predict_many(predictor, pairs, out)
    whole, journal = content(out), out / "progress.jsonl"
    size = journal.stat().st_size
    for length in [0, 1, size - 1, *range(9, size, size // 4)]:
        with open(journal, "r+b") as file:
            file.truncate(length)
        predict_many(predictor, pairs, out)
        assert content(out) == whole


def test_what_has_changed_since_is_predicted_again(predictor, pairs, pictures, tmp_path):
    copy, out = shutil.copytree(pictures, tmp_path / "copy"), tmp_path / "out"
    moved = [replace(pair, path=copy / pair.image) for pair in pairs]
    predict_many(predictor, moved, out)
    whole = content(out)
    (out / "masks" / "07_a_b_i_.png").unlink()
    predict_many(predictor, moved, out)
    assert content(out) == whole
    shutil.copy(copy / "02.jpg", copy / "04.jpg")
    predict_many(predictor, moved, out)
    changed = content(out)
    assert changed != whole
    predict_many(predictor, moved, tmp_path / "anew")
    assert changed == content(tmp_path / "anew")


def test_a_bad_picture_or_sentence_is_left_out_on_request(predictor, pairs, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(pairs[0].path.read_bytes()[:500])
    (tmp_path / "text.jpg").write_text("no picture")
    bad = [
        Pair("line 90", "bad.jpg", tmp_path / "bad.jpg", "red"),
        Pair("line 91", "gone.jpg", tmp_path / "gone.jpg", "red"),
        Pair("line 94", "text.jpg", tmp_path / "text.jpg", "red"),
        replace(pairs[1], place="line 92", sentence="?!"),
        replace(pairs[1], place="line 93", sentence="zebra"),
    ]
    messages = [
        r"line 90: The picture .*bad.jpg is damaged .*: save it again, or leave it out with --skip",
        "line 91: There is no picture at .*gone.jpg: check the path, or leave it out with --skip.",
        "line 94: The picture .*text.jpg is no picture of the kinds JPEG, .*, or leave it out with",
        "line 92: The expression '\\?!' holds no word: .*, or leave it out with --skip.",
        "line 93: The model knows no word of 'zebra': .* gives, or leave it out with --skip.",
    ]
    for pair, message in zip(bad, messages, strict=True):
        with pytest.raises(ValueError, match=message):
            predict_many(predictor, [*pairs[:2], pair], tmp_path / pair.place)
    asked = [bad[0], *pairs[:3], *bad[1:], *pairs[3:]]
    records = predict_many(predictor, asked, tmp_path / "out", skip=True)
    assert [n for n, record in enumerate(records) if "error" in record] == [0, 4, 5, 6, 7]
    again = predict_many(predictor, asked, tmp_path / "out", skip=True)
    assert again == records
    with pytest.raises(ValueError, match="leave it out with --skip"):
        predict_many(predictor, asked, tmp_path / "out")
    assert "5 pairs left out" in (tmp_path / "out" / "index.html").read_text("utf-8")
    found = predict_many(predictor, [bad[4]], tmp_path / "any", anyway=True)
    assert "It knows no word here" in " ".join(found[0]["remarks"])


def test_what_is_met_late_leaves_what_was_found_to_be_resumed(predictor, pairs, tmp_path):
    late = Pair("line 9", "late.jpg", tmp_path / "late.jpg", "red")
    asked, out = [*pairs[:4], late], tmp_path / "out"
    whole = pairs[0].path.read_bytes()
    (tmp_path / "late.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="line 9: .*late.jpg is damaged .*, or leave it out with"):
        predict_many(predictor, asked, out)
    assert not (out / "scores.csv").exists() and len(list((out / "masks").iterdir())) == 4
    assert "damaged" in predict_many(predictor, asked, out, skip=True)[-1]["error"]
    with pytest.raises(ValueError, match="late.jpg is damaged"):
        predict_many(predictor, asked, out)
    shutil.copy(pairs[0].path, tmp_path / "late.jpg")
    assert len(predict_many(predictor, asked, out)) == 5


def test_another_folder_or_run_is_not_touched(predictor, pairs, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "masks").mkdir()
    with pytest.raises(ValueError, match="mine holds other files: name a new folder"):
        predict_many(predictor, pairs, tmp_path / "mine")
    out = tmp_path / "out"
    predict_many(predictor, pairs[:2], out)
    before = content(out)
    for other, options in (
        (pairs[:3], {}),
        (pairs[:2], {"anyway": True}),
        (pairs[:2], {"neighbour": "none"}),
    ):
        with pytest.raises(ValueError, match="out holds results for other pairs, or of another"):
            predict_many(predictor, other, out, **options)
    assert content(out) == before
    with sole_writer(out), pytest.raises(ValueError, match="Another process is writing .*out"):
        predict_many(predictor, pairs[:2], out)


def test_what_cannot_start_writes_nothing(predictor, pairs, tmp_path):
    with pytest.raises(ValueError, match="has no picture 99"):
        predict_many(predictor, pairs, tmp_path / "out", neighbour=99)
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="file could not be written .* or name another folder"):
        predict_many(predictor, pairs, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_neighbour_may_be_a_file_but_no_other_one_under_its_name(predictor, pairs, tmp_path):
    given = tmp_path / "ref.jpg"
    shutil.copy(pairs[1].path, given)
    (record,) = predict_many(predictor, pairs[:1], tmp_path / "out", neighbour=given)
    found = predictor(pairs[0].path, pairs[0].sentence, pairs[1].path)
    assert record["neighbour"] == "picture" and record["score"] == round(found.score, 4)
    shutil.copy(pairs[2].path, given)
    with pytest.raises(ValueError, match="of another model, pool or neighbour: name"):
        predict_many(predictor, pairs[:1], tmp_path / "out", neighbour=given)


def command(capsys, *arguments):
    code = main([*map(str, arguments)])
    return code, *capsys.readouterr()


def test_the_command_takes_a_folder_and_a_table(folder, tiny_root, pictures, tmp_path, capsys):
    options = ["--model", folder / "Baseline", "--pool", tiny_root, "--out"]
    code, out, err = command(capsys, pictures, "red square", *options, tmp_path / "found")
    assert code == 0 and out == (
        "Not read, as their names do not end like a picture's: 'notes.txt'.\n"
        f"{tmp_path / 'found'} holds 7 masks: open index.html.\n"
    )
    assert "7/7" in err  # the bar
    table = tmp_path / "t.csv"
    table.write_text(f"image,sentence\n{pictures / '01.jpg'},red\nnone.jpg,red\n")
    code, out, err = command(capsys, table, *options, tmp_path / "more")
    assert code == 2 and "t.csv, line 3: There is no picture at" in err
    code, out, _ = command(capsys, table, *options, tmp_path / "more", "--skip")
    assert code == 0 and out.startswith("1 of 2 pairs were left out:\nnone.jpg, 'red': There is no")
    assert "more holds 1 masks" in out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["{pictures}", "red"], "Many pictures have many masks: name a new folder for them with"),
        (["{pictures}", "red", "--out", "m.png"], "Many pictures have many masks"),
        (
            ["{pictures}", "red", "--out", "m", "--overlay", "o.png"],
            "the folder of --out holds the",
        ),
        (
            ["{pictures}", "--out", "m"],
            "There is no .*sentences.csv: name a table with the columns",
        ),
        (["none.csv", "--out", "m"], "There is no none.csv: name a table"),
        (["t.csv", "red", "--out", "m"], "t.csv has its own sentences: leave 'red' out"),
        ([".", "red", "--out", "m"], ". holds no picture: name a folder with JPEG or PNG files"),
        (["{pictures}", "zebra", "--out", "m"], "01.jpg: The model knows no word of 'zebra'"),
        (["{pictures}/01.jpg"], "01.jpg has no sentence: say what to look for, as in 'left dog'"),
        (["{pictures}/01.jpg", "red", "--skip"], "--skip is for many pictures: name a folder"),
        (["{pictures}/01.jpg", "red", "--overlay", "o.jpg"], "The overlay is a PNG: name it o.png"),
    ],
)
def test_a_wrong_command_about_many_ends_in_one_sentence(
    arguments, message, folder, tiny_root, pictures, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    arguments = [a.format(pictures=pictures) for a in arguments]
    given = [*arguments, "--model", folder / "Baseline", "--pool", tiny_root]
    code, out, err = command(capsys, *given)
    assert (code, out, err.count("\n")) == (2, "", 1) and re.search(message, err), err
    assert not list(tmp_path.iterdir())
