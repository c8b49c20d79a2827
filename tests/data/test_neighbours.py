"""The file between retrieval and training: what was written is read, or it is refused."""

from dataclasses import fields

import numpy as np
import pytest

from tvnet.data.images import BLANK
from tvnet.data.neighbours import Neighbours

SETTINGS = {"k": 3, "text": "tfidf", "control": "none", "pool": "train"}


def neighbours():
    return Neighbours(
        sent_id=np.array([2, 5, 9]),
        similar_id=np.array([11, BLANK, 13]),
        candidates=np.array([[11, 12, 13], [12, 11, BLANK], [12, 11, 13]]),
        text_similarity=np.array([[1, 0.5, 0.2]] * 3, dtype=np.float32),
        image_similarity=np.array([[0.9, 0.1, -1]] * 3, dtype=np.float32),
        chosen=np.array([0, -1, 2]),
        settings=SETTINGS,
    )


def test_saved_and_loaded_is_the_same(tmp_path):
    path = tmp_path / "cache" / "a.safetensors"
    neighbours().save(path)
    for expected in (None, dict(reversed(SETTINGS.items()))):
        found = Neighbours.load(path, expected)
        assert found.settings == SETTINGS
        for field in fields(Neighbours)[:-1]:
            written, read = getattr(neighbours(), field.name), getattr(found, field.name)
            assert written.dtype == read.dtype and np.array_equal(written, read), field.name
    assert [p.name for p in path.parent.iterdir()] == ["a.safetensors"]


def test_images_of_sentences_in_any_order():
    assert neighbours().of(np.array([9, 2, 9, 5])).tolist() == [13, 11, 13, BLANK]
    for strange in (1, 3, 10):
        with pytest.raises(ValueError, match=f"no line for sentence {strange}: .*retrieval.build"):
            neighbours().of(np.array([2, strange]))


def test_other_settings_are_refused_by_name(tmp_path):
    path = tmp_path / "a.safetensors"
    neighbours().save(path)
    with pytest.raises(ValueError) as error:
        Neighbours.load(path, {"k": 20, "text": "tfidf", "control": "none", "size": 320})
    assert str(error.value) == (
        f"The neighbours at {path} were made for other settings (k is 3 there, 20 here; "
        "pool is 'train' there, None here; size is None there, 320 here): run "
        "`python -m tvnet.retrieval.build` with yours."
    )


def test_a_missing_file_names_the_command(tmp_path):
    with pytest.raises(FileNotFoundError, match="run `python -m tvnet.retrieval.build` first"):
        Neighbours.load(tmp_path / "none.safetensors")


def test_no_flipped_bit_goes_unnoticed(tmp_path):
    path = tmp_path / "a.safetensors"
    neighbours().save(path)
    whole = path.read_bytes()
    for at in range(0, len(whole)):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << at % 8
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match="not a neighbours file .*delete it and run"):
            Neighbours.load(path)
    for content in (b"", b"<html>", whole[:-9]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="not a neighbours file"):
            Neighbours.load(path)
