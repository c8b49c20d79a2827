"""Wrong data of every kind: one sentence with the file, the place and what to do; nothing made."""

import copy
import json
import re
from random import Random

import pytest

import data_setup.custom.write
import data_setup.index
import data_setup.statistics
from data_setup.__main__ import main
from data_setup.files import write_whole
from tests.data_setup.custom.test_formats import KINDS
from tests.data_setup.custom.wrong import ROW, WRONG, mask, picture, said, table


def write(folder, files):
    usual = {"desk.png": picture(), "shelf.png": picture(), "m.png": mask(255)}
    for name, content in (usual | {"sentences.csv": table(ROW)} | files).items():
        if content is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            text = content if isinstance(content, str | bytes) else json.dumps(content)
            (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)


def own(folder):
    return main(["own", str(folder), "--name", "mine", "--root", str(folder.parent / "data")])


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_data_is_refused_with_file_place_and_what_to_do(tmp_path, capsys, kind):
    files, place, reason, remedy = WRONG[kind]
    write(tmp_path / "own", files)
    code = own(tmp_path / "own")
    output = capsys.readouterr().err.replace(f"{tmp_path}/own/", "").replace(f"{tmp_path}/", "")
    (line,) = (line for line in output.splitlines() if reason in line)  # one sentence
    assert code in (2, 6)
    assert line.strip().startswith(place)
    assert remedy in re.split("[:;,] ", line.partition(reason)[2], maxsplit=1)[1], line
    assert len(line) < 400
    made = {path.relative_to(tmp_path / "data").as_posix() for path in tmp_path.glob("data/**/*.*")}
    assert made <= {"reports/mine.refused.json"}


def test_the_same_data_without_a_mistake_is_taken(tmp_path):
    write(tmp_path / "own", {})
    assert own(tmp_path / "own") == 0


def test_a_refused_folder_leaves_the_set_of_an_earlier_run_as_it_is(tmp_path):
    write(tmp_path / "own", {})
    assert own(tmp_path / "own") == 0
    kept = {path: path.read_bytes() for path in tmp_path.glob("data/**/*.*")}
    (tmp_path / "own" / "m.png").write_bytes(mask(1, 2))
    assert own(tmp_path / "own") == 6
    assert kept.items() == {path: path.read_bytes() for path in kept}.items()
    assert (tmp_path / "data/reports/mine.refused.json").is_file()
    write(tmp_path / "own", {})
    assert own(tmp_path / "own") == 0
    assert not (tmp_path / "data/reports/mine.refused.json").exists()


@pytest.mark.parametrize("written", range(5))
def test_a_full_disk_leaves_no_set(tmp_path, monkeypatch, capsys, written):
    """Pictures, statistics, sheets and the index: whichever is the first that cannot be written."""
    left = iter(range(written))

    def full(path, content, kept=write_whole):
        if next(left, None) is None:
            raise OSError(28, "No space left on device", str(path))
        kept(path, content)

    for module in (data_setup.custom.write, data_setup.statistics, data_setup.index):
        monkeypatch.setattr(module, "write_whole", full)
    write(tmp_path / "own", {})
    assert own(tmp_path / "own") == 2
    assert "No space left on device" in capsys.readouterr().err
    assert not (tmp_path / "data/index/mine.json").exists()


ODD = (None, -1, 1e400, "x", "", [], {}, [[1, 2]], {"counts": 3}, 10**20, True)


def changed(content, random):
    """A copy of a JSON value in which one part is missing or another."""
    if isinstance(content, dict | list) and content and random.random() < 0.9:
        key = random.choice(list(content) if isinstance(content, dict) else range(len(content)))
        content = copy.copy(content)
        if random.random() < 0.2:
            del content[key]
        else:
            content[key] = changed(content[key], random)
        return content
    return random.choice(ODD)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if isinstance(KINDS[kind][1], dict | list)]
)
def test_no_change_of_an_export_ends_in_a_traceback(tmp_path, capsys, kind):
    file, content, _ = KINDS[kind]
    random = Random(kind)
    for _ in range(5):
        write(tmp_path / "own", said(changed(content, random), file))
        code = own(tmp_path / "own")  # an exception would leave it
        output = capsys.readouterr().err
        assert code in (0, 2, 6) and bool(output) == (code > 0)


def test_there_are_kinds_enough():
    assert len(WRONG) >= 30
