"""sentences.csv as people and spreadsheets write it: read to the letter, or refused."""

import json

import pytest
from PIL import Image, ImageDraw

from data_setup.__main__ import main
from data_setup.custom.table import EVALUATE, TRAIN
from tvnet.data import refer
from tvnet.settings import settings

HEAD = "image,mask,sentence,split"
A, B = "a.jpg,m.png,the zebra,train", "b.jpg,n.png,the lion,val"
BOTH = [("the zebra", "train"), ("the lion", "val")]


def one(text):
    return [(text, "train"), ("the lion", "val")]


def lines(*rows, end="\n"):
    return end.join((*rows, ""))


def with_text(text):
    return lines(HEAD, f"a.jpg,m.png,{text},train", B)


READ = {  # kind -> (content, texts and splits)
    "plain": (lines(HEAD, A, B), BOTH),
    "no last line break": (lines(HEAD, A, B).strip(), BOTH),
    "Windows line ends": (lines(HEAD, A, B, end="\r\n"), BOTH),
    "old Mac line ends": (lines(HEAD, A, B, end="\r"), BOTH),
    "byte order mark": ("\ufeff" + lines(HEAD, A, B), BOTH),
    "empty lines": (lines("", HEAD, "", A, "", B, "", ""), BOTH),
    "a last row of empty cells": (lines(HEAD, A, B, ",,,"), BOTH),
    "a row of empty cells and blanks": (lines(HEAD, A, " , ,,", B), BOTH),
    "an empty column at the end": (lines(HEAD + ",", A + ",", B + ","), BOTH),
    "empty cells after the last column": (lines(HEAD, A + ",,", B), BOTH),
    "capital header": (lines("Image,MASK,Sentence,Split", A, B), BOTH),
    "blanks in the header": (lines("image, mask , sentence, split", A, B), BOTH),
    "blanks around cells": (lines(HEAD, " a.jpg , m.png,  the zebra ,train ", B), BOTH),
    "another order of columns": (
        lines(
            "split,sentence,mask,image", "train,the zebra,m.png,a.jpg", "val,the lion,n.png,b.jpg"
        ),
        BOTH,
    ),
    "semicolons": (lines(*(row.replace(",", ";") for row in (HEAD, A, B))), BOTH),
    "semicolons and a comma": (
        lines(HEAD.replace(",", ";"), "a.jpg;m.png;the zebra, left;train", B.replace(",", ";")),
        one("the zebra, left"),
    ),
    "tabs": (lines(*(row.replace(",", "\t") for row in (HEAD, A, B))), BOTH),
    "quoted cells": (lines(HEAD, '"a.jpg","m.png","the zebra","train"', B), BOTH),
    "a quoted comma": (with_text('"the zebra, left"'), one("the zebra, left")),
    "doubled quotes": (with_text('"the ""big"" zebra"'), one('the "big" zebra')),
    "a quote inside": (with_text('the 12" zebra'), one('the 12" zebra')),
    "apostrophe": (with_text("the zebra's foal"), one("the zebra's foal")),
    "accents": (with_text("le zèbre"), one("le zèbre")),
    "no-break space": (with_text("the\u00a0zebra"), one("the\u00a0zebra")),
    "emoji": (with_text("the 🦓"), one("the 🦓")),
    "Chinese": (with_text("左边 的 斑马"), one("左边 的 斑马")),
    "formula": (with_text("=1+1"), one("=1+1")),
    "a column of notes": (lines(HEAD + ",note", A + ",ok", B + ","), BOTH),
    "an empty column id": (lines(HEAD + ",id", A + ",", B + ","), BOTH),
}
REFUSED = {  # kind -> (content, words)
    "an unquoted comma": (
        lines(HEAD, "a.jpg,m.png,the zebra, left,train", B),
        "line 2 has 5 cells, but the header has 4: put quotes around a text that holds a ','",
    ),
    "an unquoted comma, three columns": (
        lines("image,mask,sentence", "a.jpg,m.png,the zebra, left"),
        "line 2 has 4 cells, but the header has 3",
    ),
    "a cell too few": (lines(HEAD, "a.jpg,m.png,the zebra", B), "line 2 has 3 cells, but the"),
    "an unclosed quote": (
        lines(HEAD, A, 'a.jpg,m.png,"the zebra,train', B),
        "cannot be read from line 3 on (unexpected end of data): is a quote not closed",
    ),
    "a quote closed in the next row": (
        lines(HEAD, 'a.jpg,m.png,"the zebra,train', 'b.jpg,n.png,the lion",val'),
        "line 2 has a line break inside quotes: is a quote not closed?",
    ),
    "a line break inside quotes": (
        with_text('"the\nzebra"'),
        "line 2 has a line break inside quotes: is a quote not closed?",
    ),
    "text after a closed quote": (with_text('"the zebra" left'), "cannot be read from line 2 on"),
    "an escaped quote": (with_text(r'"the \"big\" zebra"'), "cannot be read from line 2 on"),
    "NUL": (with_text("the \0zebra"), "line 2 has the character U+0000 in its sentence: remove it"),
    "escape": (with_text("\x1b[31mzebra"), "line 2 has the character U+001B in its sentence"),
    "vertical tab": (with_text("the\x0bzebra"), "line 2 has the character U+000B in its sentence"),
    "next line": (with_text("the\x85zebra"), "line 2 has the character U+0085 in its sentence"),
    "line separator": (with_text("the\u2028zebra"), "the character U+2028 in its sentence"),
    "NUL in a name": (lines(HEAD, "a\0.jpg,m.png,the zebra,train"), "U+0000 in its image: remove"),
    "no sentence": (with_text(" "), "line 2 lacks sentence"),
    "no mask and no image": (lines(HEAD, ",,the zebra,train", B), "line 2 lacks image and mask"),
    "polygons": (
        lines(HEAD, 'a.jpg,"[[1,2,9,2,9,9]]",the zebra,train', B),
        "line 2 holds no name of a mask file: keep polygons and run lengths in a file of another",
    ),
    "RLE": (lines(HEAD, "a.jpg,{'counts': 'a'},the zebra,train"), "line 2 holds no name of a mask"),
    "no header": (lines(A, B), "has the columns 'a.jpg', 'm.png', 'the zebra', 'train': its first"),
    "other names": (lines("file,mask,text", A), "the columns 'file', 'mask', 'text': its first"),
    "a column twice": (lines(HEAD + ",mask", A), "'split', 'mask': its first line must name image"),
    "a bar as separator": (lines("image|mask|sentence", "a|b|c"), "columns 'image|mask|sentence'"),
    "semicolons, then commas": (lines(HEAD.replace(",", ";"), A), "line 2 has 1 cells"),
    "Latin-1": (with_text("le zèbre").encode("latin-1"), "not UTF-8 (byte 0xe8 in line 2): save"),
    "UTF-16": (lines(HEAD, A, B).encode("utf-16"), "is not UTF-8 (byte 0xff in line 1): save"),
    "nothing": ("", "is empty: give it the columns image, mask, sentence, split"),
    "blank lines": ("\n \n", "is empty: give it the columns"),
    "only a header": (lines(HEAD), "it has no rows"),
    "JSON": ('[{"image": "a.jpg"}]', "has the columns '[{\"image\": \"a.jpg\"}]': its first line"),
    "a split that leaves": (lines(HEAD, A[:-5] + "../../x"), "line 2 has the split '../../x': use"),
    "a split of escapes": (lines(HEAD, A[:-5] + "\x1b[0m"), "U+001B in its split: remove it"),
    "training": (lines(HEAD, A + "ing", B), "line 2 has the split 'training': write 'train'"),
    "Train": (lines(HEAD, A[:-5] + "Train", B), "line 2 has the split 'Train': write 'train'"),
    "validation": (lines(HEAD, A, B + "idation"), "line 3 has the split 'validation': write 'val'"),
    "TEST": (lines(HEAD, A, B[:-3] + "TEST"), "line 3 has the split 'TEST': write 'test'"),
    "a forgotten split": (lines(HEAD, A, B[:-3]), "line 3 has no split, but other rows have one"),
    "no words": (
        with_text("左边的斑马"),
        "split 'train' has 1 of 1 sentences that show no words, as '左边的斑马': put",
    ),
    "one mask in two splits": (lines(HEAD, A, A[:-5] + "val"), "gives 'm.png' to another split"),
    "one mask for two images": (lines(HEAD, A, "b" + A[1:]), "gives 'm.png' to another image"),
}  # fmt: skip
ENTRY = {"image": "a.jpg", "mask": "m.png", "sentence": "the zebra", "split": "train"}
JSON_REFUSED = {
    "a number as split": ([ENTRY | {"split": 3}], "entry 1 has the split 3, which is no text"),
    "a list as sentence": ([ENTRY | {"sentence": ["a"]}], "entry 1 has the sentence ['a'], which"),
    "yes as id": ([ENTRY | {"id": True}], "entry 1 has the id True, which is no text"),
    "polygons as mask": (
        [ENTRY | {"mask": [[1, 2]]}],
        "entry 1 holds no name of a mask file: keep",
    ),
    "half a character": (
        [ENTRY | {"sentence": "a \ud800"}],
        "the character U+D800 in its sentence",
    ),
    "no object": ([ENTRY, "a.jpg"], "entry 2 is no object with image, mask and sentence"),
    "nothing": ([], "it has no rows"),
    "a text": (
        "a.jpg",
        "sentences.json holds no list: a list of objects with image, mask, sentence",
    ),
    "COCO": (
        {"images": [], "annotations": []},
        "holds an object with the keys 'images', 'annotations' (COCO's form; keep polygons "
        "and run lengths in a file of another name, as instances.json, and name that): a list of "
        "objects with image, mask",
    ),
    "LabelMe": (
        {"version": "5", "shapes": []},
        "the keys 'version', 'shapes' (LabelMe's form; keep",
    ),
    "annotations of COCO": (
        [{"image_id": 1, "segmentation": []}],
        "entry 1 lacks image and mask and sentence; it has 'image_id', 'segmentation' (COCO's form",
    ),
}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    for name, mask, shade in (("a", "m", 90), ("b", "n", 120)):
        Image.new("RGB", (40, 30), (shade, 90, 90)).save(folder / f"{name}.jpg")
        drawn = Image.new("L", (40, 30))
        ImageDraw.Draw(drawn).rectangle((4, 5, 20, 20), 255)
        drawn.save(folder / f"{mask}.png")
    return folder


def own(folder, content):
    """The exit code of `own` for a table of this content."""
    name = "sentences.csv" if isinstance(content, str | bytes) else "sentences.json"
    content = content if isinstance(content, str | bytes) else json.dumps(content)
    content = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    (folder / name).write_bytes(content)
    return main(["own", str(folder), "--name", "mine", "--root", str(folder.parent / "data")])


@pytest.mark.parametrize("kind", READ)
def test_a_table_is_read_to_the_letter(folder, kind):
    content, due = READ[kind]
    assert own(folder, content) == 0
    data = refer.read(folder.parent / "data", "mine")
    assert [(s.text, r.split) for r in data.referents for s in r.sentences] == due


@pytest.mark.parametrize("kind", REFUSED)
def test_what_would_lose_text_or_a_row_is_refused(folder, capsys, kind):
    content, words = REFUSED[kind]
    assert own(folder, content) == 6
    assert words in capsys.readouterr().err
    assert not (folder.parent / "data" / "index").exists()


@pytest.mark.parametrize("kind", JSON_REFUSED)
def test_entries_of_another_form_are_named(folder, capsys, kind):
    content, words = JSON_REFUSED[kind]
    if isinstance(content, str):
        (folder / "sentences.json").write_text(json.dumps(content))
        code = main(["own", str(folder), "--root", str(folder.parent / "data")])
    else:
        code = own(folder, content)
    assert code == 6 and words in capsys.readouterr().err


def test_json_is_read_as_the_table_is(folder):
    entries = [ENTRY, {"Image": "b.jpg", "mask": "n.png", "sentence": "the lion", "split": "val"}]
    assert own(folder, [*entries, ENTRY | {"sentence": "zebra", "id": 255}]) == 0
    found = refer.read(folder.parent / "data", "mine").referents
    assert [len(r.sentences) for r in found] == [1, 1, 1]
    folder.joinpath("sentences.csv").write_text(lines(HEAD, A))
    assert main(["own", str(folder), "--root", str(folder.parent / "data")]) == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lines("image,mask,sentence", A[:-6]), "it names no split, so seed 0 divides the"),
        (
            lines(HEAD, A),
            "split 'val' has no row; `DataSettings` evaluates on it unless another is",
        ),
        (lines(HEAD, B), "split 'train' has no row; `DataSettings` trains on it unless another is"),
        (lines("image,mask,sentence,spilt", A), "column 'spilt' is not read"),
        (
            lines(HEAD, A, "a.jpg,n.png,the lion,val"),
            "picture 'a.jpg' is in the splits train and val",
        ),
    ],
)
def test_what_training_would_stumble_over_is_said_at_once(folder, capsys, content, words):
    assert own(folder, content) == 0
    assert f"  sentences.csv: {words}" in capsys.readouterr().out


def test_a_copy_of_a_picture_in_another_split_is_remarked_on(folder, capsys):
    (folder / "b.jpg").write_bytes((folder / "a.jpg").read_bytes())
    assert own(folder, lines(HEAD, A, B)) == 0
    output = capsys.readouterr().out
    assert "picture 'a.jpg' = 'b.jpg' is in the splits train and val\n" in output


def test_the_splits_are_those_of_the_settings():
    found = settings("laptop").data
    assert (TRAIN, EVALUATE) == (found.train_split, found.eval_split)
