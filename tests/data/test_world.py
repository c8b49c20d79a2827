"""A world is taken only where it is the one that is needed."""

import json
import re

import pytest

from data_setup.miniref import write
from tvnet.data import refer
from tvnet.data.refer import require_world

MARKER = {"world": "MiniRef", "version": write.VERSION, "pictures": 30, "seed": 3}


def test_reader_and_writer_agree_on_the_marker():
    assert (refer.VERSION, refer.MARKER) == (write.VERSION, write.MARKER)


@pytest.mark.slow
def test_a_drawn_world_is_taken_by_its_own_numbers_only(tmp_path):
    write.write(tmp_path / "world", 30, seed=3, processes=1)
    called = require_world(tmp_path / "world", 30, seed=3)
    assert called == f"MiniRef (pictures 30, seed 3, version {write.VERSION})"
    with pytest.raises(ValueError, match="is needed"):
        require_world(tmp_path / "world", 2000, seed=3)


@pytest.mark.parametrize("key, value", [("pictures", 90), ("seed", 0), ("version", 99)])
def test_another_world_is_refused_with_both_values_and_the_command(tmp_path, key, value):
    (tmp_path / refer.MARKER).write_text(json.dumps(MARKER | {key: value}))
    with pytest.raises(ValueError) as refusal:
        require_world(tmp_path, 30, seed=3)
    sentence = str(refusal.value)
    held, needed = re.search(r"holds (MiniRef \(.*?\)) and (MiniRef \(.*?\)) is", sentence).groups()
    assert f"{key} {value}" in held and f"{key} {MARKER[key]}" in needed
    command = f"`python -m data_setup miniref --root {tmp_path} --pictures 30 --seed 3`"
    assert "remove this folder or choose another" in sentence and command in sentence


@pytest.mark.parametrize("text", ["{half", "[]", '"MiniRef"'])
def test_a_damaged_marker_is_named(tmp_path, text):
    (tmp_path / refer.MARKER).write_text(text)
    with pytest.raises(ValueError, match=r"miniref\.json is damaged"):
        require_world(tmp_path, 30)


def test_real_data_and_a_missing_root_have_nothing_to_check(tiny_root, tmp_path):
    assert require_world(tiny_root, 2000) == ""
    assert require_world(tmp_path / "nowhere", 2000) == ""
