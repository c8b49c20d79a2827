"""Names of files that are no UTF-8, as old archives leave them, end no run."""

import csv
import json
import os

import pytest

from tests.tiny_rows import tiny_rows
from tvnet.__main__ import main
from tvnet.many.pairs import Pair
from tvnet.many.run import predict_many


def test_names_that_are_no_utf8_are_written_with_escapes(tiny_root, tmp_path):
    predictor = tiny_rows(tiny_root, tmp_path / "models")["Baseline"]
    picture = sorted(tiny_root.rglob("*.jpg"))[0]
    names = [os.fsdecode(b"caf\xe9.jpg"), os.fsdecode(b"caf\xe8.jpg")]
    try:
        for name, content in zip(names, (picture.read_bytes(), b"no picture"), strict=True):
            (tmp_path / name).write_bytes(content)
    except OSError:
        pytest.skip("this file system takes no such name")
    pairs = [Pair(f"line {k}", name, tmp_path / name, "red square") for k, name in enumerate(names)]
    for _ in range(2):  # the second time it resumes
        good, bad = predict_many(predictor, pairs, tmp_path / "found", skip=True)
        assert good["image"] == r"caf\udce9.jpg" and (tmp_path / "found" / good["mask"]).is_file()
        assert r"caf\udce8.jpg" in bad["error"]
    with (tmp_path / "found" / "scores.csv").open(encoding="utf-8") as file:
        assert [row["image"] for row in csv.DictReader(file)] == [good["image"], bad["image"]]
    assert json.loads((tmp_path / "found" / "masks.json").read_text())[0]["image"] == good["image"]


def test_a_file_that_is_no_picture_is_named_with_escapes(tiny_root, tmp_path, capsys):
    tiny_rows(tiny_root, tmp_path / "models")
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(sorted(tiny_root.rglob("*.jpg"))[0].read_bytes())
    try:
        (folder / os.fsdecode(b"notes\xe9.txt")).touch()
    except OSError:
        pytest.skip("this file system takes no such name")
    options = ["--model", tmp_path / "models" / "Baseline", "--pool", tiny_root]
    command = [folder, "red square", "--out", tmp_path / "found", *options]
    assert main([*map(str, command)]) == 0
    assert r"do not end like a picture's: 'notes\udce9.txt'." in capsys.readouterr().out
