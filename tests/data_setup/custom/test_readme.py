"""The smallest examples in data_setup/README.md do what it says."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_setup import __main__
from data_setup.__main__ import main
from tvnet.data import refer

PAGE = Path(__main__.__file__).with_name("README.md").read_text()
OWN = PAGE.partition("## Your own pictures")[2].partition("### What holds")[0]
SECTIONS = {part.partition("\n")[0]: part for part in OWN.split("\n### ")[1:]}


def blocks(text):
    """The indented blocks of a section."""
    found = re.findall(r"(?:^    .*\n(?:\n(?=    ))?)+", text, re.MULTILINE)
    parts = (part for block in found for part in re.split(r"\n\n", block))
    return [re.sub("^    ", "", part, flags=re.MULTILINE).strip() for part in parts]


@pytest.mark.parametrize("title", SECTIONS)
def test_the_smallest_example_of_each_format(tmp_path, title):
    folder = tmp_path / "my_folder"
    (folder / "masks").mkdir(parents=True)
    Image.new("RGB", (640, 480), (90, 90, 90)).save(folder / "desk.jpg")
    label = np.zeros((480, 640), dtype=np.uint8)
    label[50:120, 80:200] = 1
    Image.fromarray(label).save(folder / "masks" / "desk_lamp.png")
    label[300:350, 80:200] = 2
    Image.fromarray(label).save(folder / "masks" / "desk.png")
    for text in blocks(SECTIONS[title]):
        ending = {"<": "desk.xml", "{": "desk.json", "[": "desk.json"}.get(text[0])
        (folder / (ending or "sentences.csv")).write_text(text)
    assert main(["own", str(folder), "--root", str(tmp_path / "data")]) == 0
    data = refer.read(tmp_path / "data", "own")
    assert data.referents[0].sentences[0].text.startswith("the lamp")
    mask = data.mask(1)
    assert not mask[:50].any() and not mask[:, 200:].any() and 3000 < mask.sum() <= 8400


def test_there_is_a_section_for_each_format():
    assert len(SECTIONS) == 7
