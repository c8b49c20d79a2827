"""Tables of pictures and sentences: as people write them, and what is refused."""

import pytest
from PIL import Image

from data_setup.pictures import FORMATS, SUFFIXES, opened
from tvnet.many.pairs import read_pairs


@pytest.mark.parametrize(
    "text",
    [
        "image,sentence\n01.jpg,red\n\n02.jpg,'blue, left'\n".replace("'", '"'),
        "\ufeffSentence; Image ;mask\nred;01.jpg;x\nblue, left;02.jpg;\n",
        "image\tsentence\r\n01.jpg\tred\r\n02.jpg\tblue, left\r\n",
    ],
)
def test_tables_are_read_as_people_write_them(text, tmp_path):
    for source in (tmp_path, tmp_path / "sentences.csv"):
        (tmp_path / "sentences.csv").write_bytes(text.encode())
        pairs = read_pairs(source)
        assert [(p.image, p.sentence) for p in pairs] == [
            ("01.jpg", "red"),
            ("02.jpg", "blue, left"),
        ]
        assert pairs[0].path == tmp_path / "01.jpg" and "line" in pairs[0].place


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "t.csv has no line with a picture and a sentence"),
        (b"image,sentence\n", "t.csv has no line with a picture"),
        (b"image,text\n01.jpg,red\n", "has the columns 'image', 'text': .* must name image and"),
        (b"image,sentence,image\n", "its first line must name image and sentence, each once"),
        (b"image,sentence\n01.jpg,red,left\n", "line 2 has 3 cells, but the first line has 2: put"),
        (b"image,sentence\n01.jpg\n", "line 2 has 1 cells"),
        (b"image,sentence\n ,red\n", "line 2 names no picture: write its file under image"),
        (b'image,sentence\n01.jpg,"red\n', "cannot be read at line 2 .*: is a quote not closed?"),
        (b"image,sentence\n01.jpg,caf\xe9\n", "t.csv is not UTF-8 .*: save it as UTF-8"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(content, message, tmp_path):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_pairs(tmp_path / "t.csv")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_folder_gives_every_kind_of_picture_that_can_be_read(tmp_path, kind):
    for number, suffix in enumerate(SUFFIXES):
        if Image.registered_extensions()[suffix] == kind:
            Image.new("L", (8, 6), 90).save(tmp_path / f"{number}{suffix}", kind)
    found = read_pairs(tmp_path, "the man")
    assert len(found) == len(list(tmp_path.iterdir())) > 0
    for pair in found:
        opened(pair.path)
