"""One rectangle, with and without a hole, as annotation tools export it: the same pixels."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_masks

from data_setup.__main__ import main
from tvnet.data import refer

HEIGHT, WIDTH = 30, 40
INSIDE = np.zeros((HEIGHT, WIDTH), dtype=bool)
INSIDE[5:12, 8:20] = True
HOLE = INSIDE.copy()
HOLE[7:10, 11:15] = False
BOX = [8, 5, 20, 5, 20, 12, 8, 12]
PAIRS = [[8, 5], [20, 5], [20, 12], [8, 12]]
# in along an edge, around the hole the other way, and out again
KEYHOLE = [
    [8, 5],
    [20, 5],
    [20, 12],
    [8, 12],
    [8, 5],
    [11, 7],
    [11, 10],
    [15, 10],
    [15, 7],
    [11, 7],
]
TEXTS = ["the lamp", "lamp on the left"]


def runs(mask, packed):
    found = coco_masks.encode(np.asfortranarray(mask, dtype=np.uint8))
    counts = found["counts"].decode()
    if not packed:
        flat = mask.ravel(order="F")
        edges = np.flatnonzero(np.diff(flat)) + 1
        counts = np.diff([0, *edges, flat.size]).tolist()
    return {"size": [HEIGHT, WIDTH], "counts": counts}


def coco(segmentation, **more):
    image = {"id": 7, "file_name": "desk.png", "width": WIDTH, "height": HEIGHT}
    entry = {"id": 17, "image_id": 7, "category_id": 1, "segmentation": segmentation}
    return {"images": [image], "annotations": [entry | more], "categories": []}


def labelme(*shapes, **more):
    size = {"imageWidth": WIDTH, "imageHeight": HEIGHT, "imagePath": "desk.png"}
    return {"version": "5.5.0", "shapes": list(shapes)} | size | more


def shape(kind, points, **more):
    about = {"description": "\n".join(TEXTS), "label": "lamp", "group_id": None}
    return about | {"shape_type": kind, "points": points} | more


def via(**attributes):
    region = {"shape_attributes": attributes, "region_attributes": {"sentence": "\n".join(TEXTS)}}
    return {"desk.png123": {"filename": "desk.png", "size": 123, "regions": [region]}}


def cvat(shapes):
    said = f'<attribute name="sentence">{TEXTS[0]}\n{TEXTS[1]}</attribute>'
    return (
        "<annotations><version>1.1</version>"
        f'<image id="0" name="desk.png" width="{WIDTH}" height="{HEIGHT}">'
        f"{shapes.replace('SAID', said)}</image></annotations>"
    )


def label_studio(kind, **value):
    size = {"original_width": WIDTH, "original_height": HEIGHT, "id": "Dx1"}
    drawn = size | {"type": kind, "value": value}
    said = size | {"type": "textarea", "value": {"text": TEXTS}}
    data = {"image": "/data/upload/1/0123abcd-desk.png"}
    return [{"id": 1, "data": data, "annotations": [{"result": [drawn, said]}]}]


def crop(mask):
    out = io.BytesIO()
    Image.fromarray(mask[5:12, 8:20]).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def row_runs(mask):
    flat = mask[5:12, 8:20].ravel()
    starts = [0, *(np.flatnonzero(np.diff(flat)) + 1), flat.size]
    return ",".join(map(str, [0] * bool(flat[0]) + np.diff(starts).tolist()))


def points(pairs):
    return ";".join(f"{x},{y}" for x, y in pairs)


MASK = '<mask rle="{}" left="8" top="5" width="12" height="7">SAID</mask>'
HALVES = [[8, 5], [14, 5], [14, 12], [8, 12]], [[14, 5], [20, 5], [20, 12], [14, 12]]
KINDS = {  # kind -> (file, content, pixels)
    "COCO polygon": ("a.json", coco([BOX], sentences=TEXTS), INSIDE),
    "COCO polygons, united": (
        "a.json", coco([sum(h, []) for h in HALVES], sentences=TEXTS), INSIDE,
    ),
    "COCO keyhole": ("a.json", coco([sum(KEYHOLE, [])], sentences=TEXTS), HOLE),
    "COCO run lengths": ("a.json", coco(runs(HOLE, False), sentences=TEXTS), HOLE),
    "COCO compressed": ("a.json", coco(runs(HOLE, True), sentences=TEXTS), HOLE),
    "COCO of CVAT": ("a.json", coco([BOX], attributes={"sentence": "\n".join(TEXTS)}), INSIDE),
    "LabelMe polygon": ("desk.json", labelme(shape("polygon", PAIRS)), INSIDE),
    "LabelMe rectangle": ("desk.json", labelme(shape("rectangle", [[20, 12], [8, 5]])), INSIDE),
    "LabelMe keyhole": ("desk.json", labelme(shape("polygon", KEYHOLE)), HOLE),
    "LabelMe mask": ("desk.json", labelme(shape("mask", PAIRS[::2], mask=crop(HOLE))), HOLE),
    "LabelMe group": (
        "desk.json", labelme(*(shape("polygon", half, group_id=3) for half in HALVES)), INSIDE,
    ),
    "LabelMe, path of Windows": (
        "desk.json", labelme(shape("polygon", PAIRS), imagePath="..\\photos\\desk.png"), INSIDE,
    ),
    "LabelMe without a size": (
        "desk.json", labelme(shape("polygon", PAIRS), imageWidth=None, imageHeight=None), INSIDE,
    ),
    "VIA polygon": (
        "via.json", via(name="polygon", all_points_x=BOX[::2], all_points_y=BOX[1::2]), INSIDE,
    ),
    "VIA rectangle": ("via.json", via(name="rect", x=8, y=5, width=12, height=7), INSIDE),
    "VIA project": (
        "via.json", {"_via_img_metadata": via(name="rect", x=8, y=5, width=12, height=7)}, INSIDE,
    ),
    "CVAT polygon": ("a.xml", cvat(f'<polygon points="{points(PAIRS)}">SAID</polygon>'), INSIDE),
    "CVAT keyhole": ("a.xml", cvat(f'<polygon points="{points(KEYHOLE)}">SAID</polygon>'), HOLE),
    "CVAT box": ("a.xml", cvat('<box xtl="8" ytl="5" xbr="20" ybr="12">SAID</box>'), INSIDE),
    "CVAT turned box": (
        "a.xml", cvat('<box xtl="10.5" ytl="2.5" xbr="17.5" ybr="14.5" rotation="90">SAID</box>'),
        INSIDE,
    ),
    "CVAT mask": ("a.xml", cvat(MASK.format(row_runs(HOLE))), HOLE),
    "CVAT group": (
        "a.xml",
        cvat("".join(f'<polygon group_id="1" points="{points(h)}">SAID</polygon>' for h in HALVES)),
        INSIDE,
    ),
    "Label Studio polygon": (
        "ls.json",
        label_studio("polygonlabels", points=[[2.5 * x, y / 0.3] for x, y in PAIRS]), INSIDE,
    ),
    "Label Studio rectangle": (
        "ls.json",
        label_studio("rectanglelabels", x=20, y=5 / 0.3, width=30, height=7 / 0.3, rotation=0),
        INSIDE,
    ),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "own"
    (folder / "photos").mkdir(parents=True)
    Image.new("RGB", (WIDTH, HEIGHT), (90, 90, 90)).save(folder / "photos" / "desk.png")
    return folder


def own(folder, file, content, *more):
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / file).write_text(text)
    root = str(folder.parent / "data")
    return main(["own", str(folder), "--name", "mine", "--root", root, *more])


def texts_of(data):
    return [(s.text, r.split) for r in data.referents for s in r.sentences]


@pytest.mark.parametrize("kind", KINDS)
def test_each_format_gives_the_same_pixels_and_sentences(folder, kind):
    file, content, pixels = KINDS[kind]
    assert own(folder, file, content) == 0
    data = refer.read(folder.parent / "data", "mine")
    assert np.array_equal(data.mask(1), pixels)
    assert texts_of(data) == [(text, "train") for text in TEXTS]


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_names_the_sentences_of_an_annotation_file(folder, kind):
    file, content, pixels = KINDS[kind]
    key = {"a.json": 17, "ls.json": "Dx1"}.get(file, 1)
    table = f"mask,id,sentence,split\n{file},{key},Something else,val\n{file},,And more,val\n"
    (folder / "sentences.csv").write_text(table)
    assert own(folder, file, content) == 0
    data = refer.read(folder.parent / "data", "mine")
    assert np.array_equal(data.mask(1), pixels)
    assert texts_of(data) == [("something else", "val"), ("and more", "val")]


def ellipse(x, y, across, down):
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    return ((columns - x) / across) ** 2 + ((rows - y) / down) ** 2 <= 1


ROUND = {
    "LabelMe": ("desk.json", labelme(shape("circle", [[20, 15], [20, 25]])), (20, 15, 10, 10)),
    "VIA circle": ("via.json", via(name="circle", cx=20, cy=15, r=10), (20, 15, 10, 10)),
    "VIA": ("via.json", via(name="ellipse", cx=20, cy=15, rx=12, ry=6, theta=0), (20, 15, 12, 6)),
    "VIA, turned": (
        "via.json", via(name="ellipse", cx=20, cy=15, rx=6, ry=12, theta=np.pi / 2), (20, 15, 12,
        6),
    ),
    "CVAT": (
        "a.xml", cvat('<ellipse cx="20" cy="15" rx="12" ry="6">SAID</ellipse>'), (20, 15, 12, 6),
    ),
    "Label Studio": (
        "ls.json", label_studio("ellipselabels", x=50, y=50, radiusX=30, radiusY=20), (20, 15, 12,
        6),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ROUND)
def test_round_shapes_cover_the_pixels_that_they_should(folder, kind):
    file, content, about = ROUND[kind]
    assert own(folder, file, content) == 0
    found, due = refer.read(folder.parent / "data", "mine").mask(1), ellipse(*about)
    assert (found & due).sum() / (found | due).sum() > 0.9


def test_a_label_is_the_sentence_where_labelme_has_no_description(folder):
    content = labelme(shape("polygon", PAIRS, description="", label="lamp on the left"))
    assert own(folder, "desk.json", content) == 0
    assert texts_of(refer.read(folder.parent / "data", "mine")) == [("lamp on the left", "train")]


def test_a_table_without_masks_finds_the_one_file_that_has_the_region(folder):
    """As with one LabelMe file for each picture."""
    Image.new("RGB", (WIDTH, HEIGHT), (200, 90, 9)).save(folder / "photos" / "shelf.png")
    (folder / "shelf.json").write_text(
        json.dumps(labelme(shape("rectangle", [[1, 1], [4, 4]]), imagePath="shelf.png"))
    )
    (folder / "sentences.csv").write_text(
        "image,id,sentence,split\nphotos/shelf.png,1,a cup,train\ndesk.png,1,a lamp,train\n"
    )
    assert own(folder, "desk.json", labelme(shape("polygon", PAIRS))) == 0
    data = refer.read(folder.parent / "data", "mine")
    assert [data.mask(k).sum() for k in (1, 2)] == [9, INSIDE.sum()]


def test_a_polygon_inside_another_is_said_to_be_filled(folder, capsys):
    hole = [11, 7, 15, 7, 15, 10, 11, 10]
    assert own(folder, "a.json", coco([BOX, hole], sentences=TEXTS)) == 0
    output = capsys.readouterr().out
    assert "annotation 17 ('a.json') has a part (2) inside the others; if it is a hole" in output
    assert np.array_equal(refer.read(folder.parent / "data", "mine").mask(1), INSIDE)


def test_regions_without_a_sentence_are_counted(folder, capsys):
    silent = shape("polygon", PAIRS, description="", label="")
    assert own(folder, "desk.json", labelme(shape("polygon", PAIRS), silent)) == 0
    assert (
        "desk.json: it has 1 of 2 regions without a sentence: left out" in capsys.readouterr().out
    )


def test_outlines_are_taken_as_drawn_on_the_turned_picture(folder, capsys):
    """As annotation tools show it: 40x30 stored, 30x40 seen."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "photos" / "desk.png", exif=exif)
    seen = labelme(shape("polygon", PAIRS), imageWidth=HEIGHT, imageHeight=WIDTH)
    assert own(folder, "desk.json", seen) == 6
    assert "has a flag that turns it (EXIF 6): save it upright, or let" in capsys.readouterr().err
    assert own(folder, "desk.json", seen, "--turn") == 0
    mask = refer.read(folder.parent / "data", "mine").mask(1)
    assert mask.shape == (WIDTH, HEIGHT) and mask[5:12, 8:20].all() and mask.sum() == INSIDE.sum()
    assert own(folder, "desk.json", labelme(shape("polygon", PAIRS)), "--turn") == 6
    assert "was drawn on 40x30 pixels, but 'photos/desk.png' has 30x40" in capsys.readouterr().err
