"""ReferIt both ways, a world that lies open, and pictures of every kind."""

import io
import json
import pickle
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from data_setup.convert import referit, validate
from data_setup.convert.annotations import from_archive
from data_setup.convert.folders import index_folders
from data_setup.convert.validate import Findings
from data_setup.fetch.sources import ContentError, DataSet, Source
from data_setup.index import Index, read_index
from data_setup.miniref.write import write
from tests.data_setup.fetch.mirror import zipped
from tests.real_root import REASON, real_samples
from tvnet.data import refer
from tvnet.data.images import open_picture
from tvnet.data.masks import to_counts


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("world") / "miniref"
    write(root, 30, 5, processes=1)
    return root


# ---- ReferIt ----


@pytest.mark.slow
def test_referit_by_run_lengths_is_referit_by_lists(world, tmp_path):
    """refclef's instances with RLE, its split joined to trainval, gives the lists' samples."""
    lists = refer.read(world, "referit")
    index = {"images": [], "annotations": [], "categories": [{"id": 0, "name": "region"}]}
    for picture in lists.pictures.values():
        name = f"{picture.image_id % 10:02d}/images/{picture.image_id}.jpg"
        index["images"].append({"id": picture.image_id, "file_name": name,
                                "width": picture.width, "height": picture.height})  # fmt: skip
    refs = []
    for r in lists.referents:
        counts = to_counts(lists.mask(r.ann_id)).tolist()
        rle = {"size": list(lists.mask(r.ann_id).shape), "counts": counts}
        index["annotations"].append(
            {"id": r.ann_id, "image_id": r.image_id, "category_id": 0, "segmentation": [rle]}
        )
        split = r.split if r.split == "test" else ("val" if r.ref_id % 5 == 0 else "train")
        refs.append({"ref_id": r.ref_id, "ann_id": r.ann_id, "image_id": r.image_id,
                     "category_id": 0, "split": split,
                     "sentences": [{"sent_id": s.sent_id, "sent": s.text}
                                   for s in r.sentences]})  # fmt: skip
    (tmp_path / "archives").mkdir()
    members = [("refclef/instances.json", json.dumps(index).encode()),
               ("refclef/refs(berkeley).p", pickle.dumps(refs, 2))]  # fmt: skip
    (tmp_path / "archives" / "refclef.zip").write_bytes(zipped(members))
    pictures = [(f"saiapr_tc-12/{p.image_id % 10:02d}/images/{p.image_id}.jpg", p.path.read_bytes())
                for p in lists.pictures.values()]  # fmt: skip
    (tmp_path / "archives" / "saiapr_tc-12.zip").write_bytes(zipped(pictures))
    sources = tuple(
        Source(name, "archives", None, None, (), "") for name in ("refclef.zip", "saiapr_tc-12.zip")
    )
    names = {"refclef/instances.json": 10**8, "refclef/refs(berkeley).p": 10**8}
    joins = {"train": "trainval", "val": "trainval"}
    from_archive(DataSet("referit", "refer", sources, names, joins), tmp_path).write(tmp_path)
    found = refer.read(tmp_path, "referit")
    assert found.referents == lists.referents and found.splits == ["test", "trainval"]
    assert found.missing_pictures() == []
    for r in found.referents:
        assert np.array_equal(found.mask(r.ann_id), lists.mask(r.ann_id))


@pytest.mark.parametrize(
    ("member", "change", "words"),
    [
        ("referit_query_test.json", lambda c: b"[]", "is damaged: it holds no object"),
        ("referit_imsize.json", lambda c: b"{", "is damaged"),
        ("referit_query_test.json", lambda c: None, "holds no referit_query_test.json"),
        ("referit_query_test.json", lambda c: b'{"5_1": ["a"]}', "region 5_1 lies in image 5"),
        ("referit_query_test.json", lambda c: b'{"7": ["a"]}', "'7' is no region with its texts"),
        ("referit_imsize.json", lambda c: b'{"a.jpg": [1, 2]}', "'a.jpg' has the size"),
        ("mask", lambda c: c[:60], "has a mask that cannot be read"),
        ("mask", lambda c: None, "has a mask that is missing"),
    ],
)
def test_odd_lists_and_masks_are_told(world, member, change, words):
    members, done = [], False
    for name, content in referit.folder_members(world / "referit"):
        if not done and name.startswith(member):
            content, done = change(content), True
        if content is not None:
            members.append((name, content))
    findings = Findings()
    with pytest.raises(ContentError) as error:
        referit.lists_index("referit", members, "referitdata.tar.gz", findings)
        raise ContentError(findings.summary())
    assert words in str(error.value)


@pytest.mark.slow
@pytest.mark.skipif(real_samples() is None, reason=REASON)
def test_the_true_referit_lists_are_counted_to_the_unit(monkeypatch):
    folder = real_samples() / "referit_lists"
    sizes = json.loads((folder / "referit_imsize.json").read_text())
    monkeypatch.setattr(referit, "_mask", lambda size: {"size": list(size)})
    members = [(path.name, path.read_bytes()) for path in folder.glob("*.json")]
    for split in referit.SPLITS:
        for key in json.loads((folder / f"referit_query_{split}.json").read_text()):
            width, height = sizes[f"{key.split('_')[0]}.jpg"]
            members.append((f"mask/{key}.mat", (height, width)))
    findings = Findings()
    index = referit.lists_index("referit", members, "lists", findings)
    assert findings.problems == []
    found = validate.counts(index.referents)
    assert found == {"trainval": [49515, 9995, 59976], "test": [49730, 9994, 60105]}


# ---- a world that lies open ----


def test_an_older_world_gets_its_indexes(world, tmp_path):
    root = shutil.copytree(world, tmp_path / "old")
    for name in ("index", "statistics"):
        shutil.rmtree(root / name)
    assert not write(root, 30, 5)
    for name in ("unc", "unc+", "gref", "referit"):
        assert read_index(root, name) == read_index(world, name)


def test_true_counts_of_the_statistics(tiny_copy):
    index_folders(tiny_copy)
    found = json.loads((tiny_copy / "statistics" / "unc.json").read_text())["splits"]["train"]
    assert (found["referents"], found["images"], found["expressions"]) == (12, 6, 24)
    # squares of 17 to 22 pixels in 64x48: 9.4 % is medium, from 18 pixels on big
    assert found["sizes_per_referent"] == {"small": 0, "medium": 2, "big": 10}
    assert found["sizes_per_sentence"] == {"small": 0, "medium": 4, "big": 20}
    assert found["words"]["mean"] == 4.0 and found["words"]["longest"] == 6


# ---- pictures of every kind ----

RGB = Image.fromarray(np.random.default_rng(1).integers(0, 256, (6, 8, 3), dtype=np.uint8))


def saved(picture, kind, **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def turned(kind):
    exif = Image.Exif()
    exif[0x0112] = kind
    return saved(RGB, "JPEG", exif=exif)


GREY = np.asarray(RGB.convert("L"))
TAKEN = {
    "rgb": saved(RGB, "JPEG"),
    "grey": saved(RGB.convert("L"), "JPEG"),
    "cmyk": saved(RGB.convert("CMYK"), "JPEG"),
    "palette": saved(RGB.quantize(16), "PNG"),
    "alpha": saved(RGB.convert("RGBA"), "PNG"),
    "grey alpha": saved(RGB.convert("LA"), "PNG"),
    "one bit": saved(RGB.convert("1"), "PNG"),
    **{f"exif {kind}": turned(kind) for kind in range(1, 9)},
}
REFUSED = {
    "16 bit": (saved(Image.fromarray(GREY.astype(np.uint16) << 8), "PNG"), "not 8 bits a channel"),
    "float": (saved(Image.fromarray(GREY.astype(np.float32)), "TIFF"), "not 8 bits a channel"),
    "32 bit": (saved(Image.fromarray(GREY.astype(np.int32)), "TIFF"), "not 8 bits a channel"),
    "other size": (saved(RGB.resize((6, 8)), "JPEG"), "is 6x8, not 8x6"),
    "one pixel more": (saved(RGB.resize((8, 7)), "JPEG"), "is 8x7, not 8x6"),
    "empty": (b"", "is no picture of the kinds JPEG, PNG"),
    "web page": (b"<html>503</html>", "is no picture of the kinds"),
    "cut": (saved(RGB, "JPEG")[:12], "is damaged"),
    "TGA": (saved(RGB, "TGA"), "is no picture of the kinds"),
    "bomb": (
        saved(Image.new("1", (14_000, 14_000)), "PNG"),
        "has too many pixels, more than the 50 million that are read: make it smaller",
    ),
    "large": (saved(Image.new("1", (8_000, 8_000)), "PNG"), "has 8000 x 8000 pixels, more than"),
}


@pytest.mark.parametrize("zipped_up", [True, False])
def test_pictures_of_every_kind(tmp_path, zipped_up):
    """Modes of 8 bits pass and an EXIF turn is not applied; what else there is, is refused."""
    content = TAKEN | {kind: content for kind, (content, _) in REFUSED.items()}
    if zipped_up:
        place = "pictures.zip/inside"
        members = [(f"inside/{kind}.img", found) for kind, found in content.items()]
        (tmp_path / "pictures.zip").write_bytes(zipped(members))
    else:
        place = "pictures"
        (tmp_path / place).mkdir()
        for kind, found in content.items():
            (tmp_path / place / f"{kind}.img").write_bytes(found)
    rows = [[k, f"{kind}.img", 8, 6] for k, kind in enumerate([*content, "gone"])]
    findings = Findings()
    index = Index("kinds", {}, ["nowhere", "no.zip", place], rows, [], [], [])
    validate.audit_pictures(tmp_path, index, findings)
    output = {
        p["record"].split("'")[1].removesuffix(".img"): p["reason"] for p in findings.problems
    }
    assert set(output) == {*REFUSED, "gone"} and output["gone"] == "is missing"
    for kind, (_, words) in REFUSED.items():
        assert re.search(words, output[kind]), (kind, output[kind])
    for kind in TAKEN:
        opened = open_picture(tmp_path / place / f"{kind}.img", 8, 6)
        assert opened.mode == "RGB" and opened.size == (8, 6)
    stored = np.asarray(Image.open(io.BytesIO(TAKEN["rgb"])))
    for kind in range(1, 9):
        turn = open_picture(tmp_path / place / f"exif {kind}.img", 8, 6)
        assert np.array_equal(np.asarray(turn), stored)
