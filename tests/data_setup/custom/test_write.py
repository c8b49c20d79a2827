"""A data set of one's own: its pictures, what is said about it, and how it is looked after."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from data_setup import pictures
from data_setup.__main__ import main
from data_setup.custom import write
from data_setup.custom.sheet import unknown_share
from tvnet.data import photo, refer
from tvnet.data.images import open_image
from tvnet.data.words import Vocabulary


@pytest.fixture
def own(tmp_path):
    folder = tmp_path / "own"
    (folder / "masks").mkdir(parents=True)
    rows = ["image,mask,sentence,split"]
    for k, split in enumerate(("train", "train", "val")):
        Image.new("RGB", (40, 30), (90 + 40 * k, 90, 90)).save(folder / f"{k}.png")
        for n in range(2):
            mask = np.zeros((30, 40), dtype=np.uint8)
            mask[5 : 10 + k, 20 * n : 20 * n + 9] = 255
            Image.fromarray(mask).save(folder / "masks" / f"{k}_{n}.png")
            rows += [f"{k}.png,masks/{k}_{n}.png,{t} {n},{split}" for t in ("The Box", "thing")]
    (folder / "sentences.csv").write_text("\n".join(rows))
    return folder


def run(folder, *more):
    root = folder.parent / "data"
    return main(["own", str(folder), "--name", "mine", "--root", str(root), *more])


def test_a_folder_becomes_a_data_set(own, tmp_path, capsys):
    root = tmp_path / "data"
    assert run(own) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"mine is ready in {root}: 6 referents.",
        "  train: 4 referents, 2 pictures, 8 sentences",
        "  val: 2 referents, 1 pictures, 4 sentences; 0.0% of its words are not in train and "
        "become <unk>",
        f"Read {root}/reports/mine.md, and look at mine.png beside it: it shows the masks as "
        "understood.",
    ]
    with Image.open(root / "reports" / "mine.png") as sheet:
        assert sheet.width > 1000
    data = refer.read(root, "mine")
    assert data.splits == ["train", "val"] and data.missing_pictures() == []
    assert [s.text for s in data.samples("val")] == ["the box 0", "thing 0", "the box 1", "thing 1"]
    sample = data.samples("train")[2]
    mask = data.mask(sample.ann_id)
    assert mask[5:10, 20:29].all() and mask.sum() == 45
    assert json.loads((root / "statistics" / "mine.json").read_text())["splits"]["val"]


def test_a_set_that_is_made_again_is_whole_or_gone(own, tmp_path, monkeypatch):
    """Else new pictures would stand beside the masks of old ones."""
    index = tmp_path / "data" / "index" / "mine.json"
    assert run(own) == 0 and index.is_file()
    monkeypatch.setattr(write, "write_contact", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(own)
    assert not index.exists()


def test_a_sheet_that_cannot_be_made_leaves_the_set_of_an_earlier_run(own, tmp_path, monkeypatch):
    index = tmp_path / "data" / "index" / "mine.json"
    assert run(own) == 0
    before = index.read_bytes()
    monkeypatch.setattr(write, "markdown", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(own)
    assert index.read_bytes() == before


def test_a_name_that_is_taken_and_a_folder_without_sentences(own, tmp_path, capsys):
    for name in ("unc+", "glove", "../x"):
        assert main(["own", str(own), "--name", name, "--root", str(tmp_path)]) == 2
        assert f"'{name}' cannot be the name" in capsys.readouterr().err
    assert main(["own", str(tmp_path), "--root", str(tmp_path)]) == 2
    assert "holds no sentences.csv and no sentences.json" in capsys.readouterr().err


def test_the_share_of_unknown_words_is_that_of_the_vocabulary(own, capsys):
    train = ["The left box", "box, blue", "it's here"]
    val = ["the red box", "a well-known thing", "box", "is it here?"]
    assert unknown_share(train, val) == Vocabulary.build(train).unknown(val)[0] > 0.4
    assert unknown_share(train, []) == 0
    text = (own / "sentences.csv").read_text()
    (own / "sentences.csv").write_text(text.replace("2_1.png,thing 1", "2_1.png,small thing 1"))
    assert run(own) == 0
    assert "; 9.1% of its words are not in train and become <unk>" in capsys.readouterr().out


# ---- pictures: taken as `predict` sees them, or refused ----

PIXELS = np.random.default_rng(1).integers(0, 256, (30, 40, 3), dtype=np.uint8)
RGB = Image.fromarray(PIXELS)


def saved(picture, kind, **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def flagged(kind, flag, picture=RGB):
    exif = Image.Exif()
    exif[0x0112] = flag
    return saved(picture, kind, exif=exif)


def with_alpha(values):
    return Image.fromarray(np.dstack([PIXELS, np.broadcast_to(values, (30, 40)).astype("u1")]))


EDGE = np.full((30, 40), 255)
EDGE[0, 0] = 254
GREY = RGB.convert("L").getpixel((3, 3))
TAKEN = {
    **{kind: saved(RGB, kind) for kind in pictures.FORMATS},
    **{f"grey {kind}": saved(RGB.convert("L"), kind) for kind in ("JPEG", "PNG", "TIFF", "BMP")},
    **{f"CMYK {kind}": saved(RGB.convert("CMYK"), kind) for kind in ("JPEG", "TIFF")},
    "YCbCr": saved(RGB.convert("YCbCr"), "TIFF"),
    "palette": saved(RGB.quantize(16), "PNG"),
    "one bit": saved(RGB.convert("1"), "PNG"),
    "opaque alpha": saved(with_alpha(255), "PNG"),
    "opaque grey alpha": saved(RGB.convert("LA"), "PNG"),
    "unused transparent colour": saved(RGB.quantize(16), "PNG", transparency=200),
    "half clear": saved(with_alpha(99), "PNG"),
    "one clear pixel": saved(with_alpha(EDGE), "WEBP", lossless=True),
    "clear grey": saved(RGB.convert("L"), "PNG", transparency=GREY),
    "clear colour": saved(RGB, "PNG", transparency=RGB.getpixel((3, 3))),
    "clear id": saved(RGB.quantize(16), "PNG", transparency=3),
    "flag 0": flagged("JPEG", 0),
    "flag 1": flagged("JPEG", 1),
}
TURNED = {
    **{f"JPEG, flag {flag}": flagged("JPEG", flag) for flag in range(2, 9)},
    "PNG, flag 6": flagged("PNG", 6),
    "WEBP, flag 6": flagged("WEBP", 6),
    **{f"TIFF, flag {flag}": flagged("TIFF", flag) for flag in (3, 6)},
    "half clear, flag 6": flagged("PNG", 6, with_alpha(99)),
    "CMYK, flag 8": flagged("JPEG", 8, RGB.convert("CMYK")),
}
KINDS = "is no picture of the kinds JPEG, PNG, WEBP, GIF, BMP, TIFF, PPM: save it as JPEG or PNG"
REFUSED = {
    **{k: (saved(RGB, k), KINDS) for k in ("TGA", "ICO", "PCX", "EPS", "AVIF", "JPEG2000")},
    "a text": (b"image,mask", KINDS),
    "16 bits": (saved(Image.new("I;16", (40, 30)), "PNG"), "has the mode I;16: save it with"),
    "wide": (saved(Image.new("L", (20_001, 1)), "PNG"), "has a side of over 20000 pixels: make"),
    "bomb": (
        saved(Image.new("1", (14_000, 13_000)), "PNG"),
        "has too many pixels, more than the 50 million that are read: make it smaller",
    ),
    "large": (
        saved(Image.new("1", (8_000, 8_000)), "PNG"),
        "has 8000 x 8000 pixels, more than the 50 million that are read: make it smaller",
    ),
    "half": (saved(RGB, "JPEG")[:-9], "is damaged (OSError('"),
    **{k: (v, "has a flag that turns it (EXIF ") for k, v in TURNED.items()},
}  # fmt: skip


def lone(tmp_path, picture, *more):
    """The exit code of `own` for one picture."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "p.jpg").write_bytes(picture)
    size = (40, 30)
    if more:
        size = photo.read_photo(folder / "p.jpg").size
    mask = np.zeros(size[::-1], dtype=np.uint8)
    mask[5:10, 5:20] = 1
    Image.fromarray(mask).save(folder / "m.png")
    (folder / "sentences.csv").write_text("image,mask,sentence,split\np.jpg,m.png,box,train\n")
    return run(folder, *more)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*TAKEN, *TURNED])
def test_training_sees_the_pixels_that_predict_sees(tmp_path, kind):
    turn = ["--turn"] * (kind in TURNED)
    assert lone(tmp_path, (TAKEN | TURNED)[kind], *turn) == 0
    data = refer.read(tmp_path / "data", "mine")
    trained = np.asarray(open_image(data, 1))
    asked = np.asarray(photo.read_photo(tmp_path / "own" / "p.jpg"))
    assert np.array_equal(trained, asked)
    assert data.mask(1)[5:10, 5:20].all() and data.mask(1).sum() == 75


@pytest.mark.parametrize("kind", REFUSED)
def test_what_predict_would_see_otherwise_is_refused(tmp_path, capsys, kind):
    picture, words = REFUSED[kind]
    assert lone(tmp_path, picture) == 6
    output = capsys.readouterr().err
    assert "line 2 'p.jpg' " + words in output
    assert not (tmp_path / "data" / "index").exists()


def test_a_turned_copy_is_said_and_keeps_to_its_masks(tmp_path, capsys):
    assert lone(tmp_path, TURNED["JPEG, flag 6"], "--turn") == 0
    output = capsys.readouterr().out
    assert (
        "line 2 ('p.jpg') is turned; its masks are taken as drawn on the turned picture" in output
    )
    Image.fromarray(np.eye(30, 40, dtype=np.uint8)).save(tmp_path / "own" / "m.png")
    assert run(tmp_path / "own", "--turn") == 6
    assert "the mask 'm.png' is not 30x40 like its image" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_the_first_of_several_frames_is_said(tmp_path, capsys, kind):
    frames = [Image.fromarray(np.roll(PIXELS, k)) for k in (1, 2)]
    assert lone(tmp_path, saved(RGB, kind, save_all=True, append_images=frames)) == 0
    assert (
        "line 2 ('p.jpg') holds 3 pictures, of which the first is taken" in capsys.readouterr().out
    )


@pytest.mark.parametrize("name", ["../0.png", "9.png", "a" * 5000 + ".png"])
def test_a_name_that_is_no_file_of_the_folder(own, capsys, name):
    (own / "sentences.csv").write_text(f"image,mask,sentence\n{name},masks/0_0.png,a\n")
    assert run(own) == 6
    output = capsys.readouterr().err
    assert ("is missing" in output or "is no plain name of a file" in output) and len(output) < 500


# ---- verify and status ----


def test_own_sets_are_verified_and_listed(own, tmp_path, capsys):
    root = tmp_path / "data"
    assert run(own) == 0
    capsys.readouterr()
    for asked in ([], ["mine"]):
        assert main(["verify", *asked, "--root", str(root)]) == 0
        output = capsys.readouterr().out
        assert output == "mine: referents/images/expressions train 4/2/8; val 2/1/4; 3 pictures.\n"
    assert main(["status", "mine", "--root", str(root)]) == 0
    assert capsys.readouterr().out == "mine: your own, 3 of 3 pictures there, index made\n"
    assert main(["status", "--root", str(root)]) == 0
    output = capsys.readouterr().out
    assert output.startswith("mine: your own") and "\nunc: " in output
    assert main(["verify", "other", "--root", str(root)]) == 2
    assert "There is no set 'other': choose from unc, " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: p.write_bytes(p.read_bytes()[:-20]), "is not the file that `own` has copied"),
        (lambda p: RGB.save(p), "is not the file that `own` has copied: run it again"),
        (lambda p: RGB.resize((4, 4)).save(p), "is 4x4, not 40x30"),
        (lambda p: p.unlink(), "is missing"),
    ],
    ids=("cut", "other pixels", "other size", "gone"),
)
def test_a_picture_that_has_changed_is_found(own, tmp_path, capsys, change, words):
    root = tmp_path / "data"
    assert run(own) == 0
    change(root / "images" / "mine" / "1.png")
    assert main(["verify", "--root", str(root)]) == 6
    assert f"mine: image 2 ('1.png') {words}" in capsys.readouterr().err
