"""Wrong data of every kind: the files, and what must be said about them."""

import io

import numpy as np
from PIL import Image

from tests.data_setup.custom.test_formats import (
    BOX,
    MASK,
    PAIRS,
    coco,
    cvat,
    label_studio,
    labelme,
    runs,
    shape,
    via,
)

HEAD = "image,mask,sentence,split\n"
ROW = "desk.png,m.png,the lamp,train\n"


def picture(size=(40, 30), mode="RGB", kind="PNG", **options):
    out = io.BytesIO()
    Image.effect_noise(size, 40).convert(mode).save(out, kind, **options)
    return out.getvalue()


def mask(*values, size=(40, 30)):
    """A mask of bands, one of each value."""
    out, bands = io.BytesIO(), np.zeros(size[::-1], dtype=np.uint8)
    for k, value in enumerate(values):
        bands[2 + 4 * k : 6 + 4 * k, 5:30] = value
    Image.fromarray(bands).save(out, "PNG")
    return out.getvalue()


def deep():
    out = io.BytesIO()
    Image.new("I;16", (40, 30)).save(out, "PNG")
    return out.getvalue()


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return picture(kind="JPEG", exif=exif)


def table(*rows):
    return HEAD + "\n".join(rows)


def said(content, file="a.json", **more):
    """An export that says its sentences itself; no table."""
    return {file: content, "sentences.csv": None} | more


def asked(content, row):
    """A COCO file, and a row `id,sentence` that names one of its annotations."""
    return {"a.json": content, "sentences.csv": f"id,sentence\n{row}"}


def coco_said(segmentation, **image):
    found = coco(segmentation, sentences=["a lamp"])
    found["images"][0] |= image
    return said(found)


TWO = coco([BOX])
TWO["annotations"].append(TWO["annotations"][0] | {"id": 18})
SAME_ID = coco([BOX])
SAME_ID["annotations"] *= 2
OTHER_IMAGE = coco([BOX], sentences=["a lamp"], image_id=8)
NO_IMAGES = {"annotations": OTHER_IMAGE["annotations"]}
RLE = runs(np.eye(30, 40, dtype=bool), packed=False)
TWO_NAMES = coco([BOX], sentences=["a lamp"])
TWO_NAMES["images"].append(TWO_NAMES["images"][0] | {"id": 8, "file_name": "old/desk.png"})
TWO_NAMES["annotations"].append(TWO_NAMES["annotations"][0] | {"id": 18, "image_id": 8})
VIDEO = "<annotations><track id='0'/></annotations>"
LINE2, COCO_AT, SHAPE = "sentences.csv: line 2", "a.json: annotation 17", "desk.json: shape 1"
OF_CVAT, OF_VIA = "a.xml: shape 1 of 'desk.png'", "via.json: region 1 of 'desk.png'"

WRONG = {  # kind -> (files, file and place, reason, what to do)
    "no sentences": ({"sentences.csv": None}, "own", "holds no sentences.csv", "write one"),
    "two tables": ({"sentences.json": []}, "own", "holds sentences.csv and", "remove one"),
    "Latin-1": (
        {"sentences.csv": HEAD.encode() + b"desk.png,m.png,le z\xe8bre,train"},
        "sentences.csv", "is not UTF-8 (byte 0xe8 in line 2)", "save it as UTF-8",
    ),
    "an open quote": (
        {"sentences.csv": table('desk.png,m.png,"the lamp,train')},
        "sentences.csv", "cannot be read from line 2 on", "is a quote not closed",
    ),
    "no header": (
        {"sentences.csv": ROW}, "sentences.csv", "has the columns 'desk.png'", "must name image",
    ),
    "a comma": (
        {"sentences.csv": table("desk.png,m.png,a lamp, left,train")},
        LINE2, "has 5 cells, but the header has 4", "put quotes around",
    ),
    "no rows": ({"sentences.csv": HEAD}, "sentences.csv: it", "has no rows", "write one for each"),
    "no sentence": (
        {"sentences.csv": table("desk.png,m.png, ,train")}, LINE2, "lacks sentence",
        "fill the cells",
    ),
    "no mask": (
        {"sentences.csv": table("desk.png,,a lamp,train")}, LINE2, "lacks mask", "fill the cells",
    ),
    "an escape character": (
        {"sentences.csv": table("desk.png,m.png,\x1b[31m,train")}, LINE2, "character U+001B",
        "remove",
    ),
    "no words": (
        {"sentences.csv": table("desk.png,m.png,左边的斑马,train")},
        "sentences.csv: split 'train'", "sentences that show no words", "put a space",
    ),
    "polygons in a cell": (
        {"sentences.csv": table('desk.png,"[[1,2,9,2,9,9]]",a lamp,train')},
        LINE2, "holds no name of a mask file", "keep polygons and run lengths in",
    ),
    "a split of another case": (
        {"sentences.csv": table("desk.png,m.png,a lamp,Train")}, LINE2, "split 'Train'",
        "write 'train'",
    ),
    "a split that is a path": (
        {"sentences.csv": table("desk.png,m.png,a lamp,../x")}, LINE2, "split '../x'",
        "use letters",
    ),
    "a forgotten split": (
        {"sentences.csv": table("desk.png,m.png,a lamp,", ROW)}, LINE2, "has no split",
        "give every row",
    ),
    "one mask in two splits": (
        {"sentences.csv": table("desk.png,m.png,a lamp,val", ROW)},
        "sentences.csv: line 3", "gives 'm.png' to another split than 'val'", "use one",
    ),
    "one mask for two pictures": (
        {"sentences.csv": table("shelf.png,m.png,a lamp,train", ROW)},
        "sentences.csv: line 3", "gives 'm.png' to another image than 'shelf.png'", "use two masks",
    ),
    "no picture": ({"desk.png": None}, LINE2, "'desk.png' is missing", "put the file into"),
    "a picture of another folder": (
        {"sentences.csv": table("../desk.png,m.png,a,train")}, LINE2, "is no plain name",
        "write its path",
    ),
    "a text as picture": ({"desk.png": "no"}, LINE2, "'desk.png' is no picture", "save it as JPEG"),
    "half a picture": (
        {"desk.png": picture()[:-99]}, LINE2, "'desk.png' is damaged", "save it again",
    ),
    "a turned picture": (
        {"desk.png": turned()}, LINE2, "flag that turns it (EXIF 6)", "save it upright",
    ),
    "16 bits": ({"desk.png": deep()}, LINE2, "has the mode I", "save it with 8 bits"),
    "a long picture": (
        {"desk.png": picture((20_001, 1))}, LINE2, "a side of over 20000", "make it",
    ),
    "no mask file": ({"m.png": None}, LINE2, "'m.png' is missing", "put the file into the folder"),
    "a mask of another size": (
        {"m.png": mask(255, size=(30, 40))}, LINE2, "is not 40x30 like its image, but 30x40",
        "one size",
    ),
    "an empty mask": ({"m.png": mask(0)}, LINE2, "'m.png' is empty", "name the referent's value"),
    "a label map": ({"m.png": mask(1, 2)}, LINE2, "has more than two values", "in a column 'id'"),
    "an id that no pixel has": (
        {"m.png": mask(1, 2), "sentences.csv": "image,mask,sentence,id\ndesk.png,m.png,a,7"},
        LINE2, "has no value 7: mode L, 0 on", "name one of these",
    ),
    "no annotation file": (
        {"sentences.csv": "id,sentence\n17,a lamp"}, LINE2, "hold no region", "name a mask file",
    ),
    "an annotation file that is missing": (
        {"sentences.csv": table("desk.png,b.json,a,train")}, LINE2, "'b.json', which is missing",
        "add",
    ),
    "half a JSON file": (
        said('{"images": [', file="a.json"), "a.json", "cannot be read (Expecting value: line 1",
        "export it again",
    ),
    "JSON of no known tool": (
        {"a.json": {"x": 1}, "sentences.csv": table("desk.png,a.json,a,train")},
        "a.json", "is no export of COCO, LabelMe", "export it again",
    ),
    "COCO without images": (
        said(NO_IMAGES), "a.json", "has another structure than coco at its start",
        "export it again",
    ),
    "COCO, no such id": (
        asked(TWO, "99,a lamp"), LINE2, "names id '99', but the annotation files of the folder has",
        "name one of them",
    ),
    "COCO, an id that stands twice": (
        asked(SAME_ID, "17,a lamp"), LINE2, "names id '17', which fits 2 regions", "say which one",
    ),
    "COCO, no id for two": (
        {"a.json": TWO, "sentences.csv": table(",a.json,a lamp,train")},
        LINE2, "names no id, which fits 2 regions of 'a.json' (id 17, 18)", "say which one in",
    ),
    "COCO, an unknown image": (
        said(OTHER_IMAGE), COCO_AT, "lies in image 8, which is not listed", "list it",
    ),
    "COCO, no picture file": (
        coco_said([BOX], file_name="lamp.png"), COCO_AT, "'lamp.png' is missing", "put the picture",
    ),
    "COCO, another size": (
        coco_said([BOX], width=80, height=60), COCO_AT,
        "was drawn on 80x60 pixels, but 'desk.png' has 40x30", "use the picture that was annotated",
    ),
    "two pictures of one name": (
        coco_said([BOX]) | {"a/desk.png": picture(), "desk.png": None, "b/desk.png": picture()},
        COCO_AT, "'desk.png' may be 'a/desk.png' and 'b/desk.png'", "rename one",
    ),
    "two names for one picture": (
        said(TWO_NAMES), "a.json: annotation 18",
        "'old/desk.png' and 'desk.png' are both 'desk.png'",
        "add the other",
    ),
    "a polygon of two points": (
        coco_said([[1, 2, 3, 4]]), COCO_AT, "has a polygon of 4 numbers", "draw it again",
    ),
    "a flat list of numbers": (
        coco_said(BOX), COCO_AT, "has a polygon that is no list of numbers (int)", "draw it again",
    ),
    "a polygon far away": (
        coco_said([[x * 9 for x in BOX]]), COCO_AT, "a polygon from 72 to 180 on a side of 40",
        "draw it",
    ),
    "endless coordinates": (
        coco_said([[*BOX, float("inf"), 1]]), COCO_AT, "has a polygon with endless",
        "draw it again",
    ),
    "a polygon between two pixels": (
        coco_said([[5.1, 5.1, 5.2, 5.1, 5.2, 5.2]]), COCO_AT, "covers no pixel", "draw it again",
    ),
    "no segmentation": (coco_said([]), COCO_AT, "has an empty segmentation", "draw it again"),
    "run lengths of another size": (
        coco_said(RLE | {"size": [40, 30]}), COCO_AT, "run lengths of size [40, 30]",
        "draw it again",
    ),
    "run lengths that do not fill": (
        coco_said(RLE | {"counts": [9, 9]}), COCO_AT, "run lengths that sum to 18, not 1200",
        "draw it",
    ),
    "compressed run lengths of noise": (
        coco_said(RLE | {"counts": "~~~~"}), COCO_AT, "run lengths that are no whole numbers",
        "draw it",
    ),
    "LabelMe, a line": (
        said(labelme(shape("line", PAIRS[:2])), "desk.json"), SHAPE, "is a line",
        "draw it as a polygon",
    ),
    "LabelMe, a circle of one point": (
        said(labelme(shape("circle", PAIRS[:1])), "desk.json"), SHAPE, "cannot be read",
        "draw it again",
    ),
    "LabelMe, a mask of noise": (
        said(labelme(shape("mask", PAIRS, mask="AAAA")), "desk.json"), SHAPE, "no PNG file",
        "export it",
    ),
    "LabelMe without a picture": (
        said({"shapes": [shape("polygon", PAIRS)]}, "desk.json"), "desk.json",
        "has another structure than labelme at its start (KeyError('imagePath'))",
        "export it again",
    ),
    "an escape character in an export": (
        said(labelme(shape("polygon", PAIRS, description="\x1b[31m")), "desk.json"),
        SHAPE, "has the character U+001B in its sentence", "remove it",
    ),
    "VIA, a line": (
        said(via(name="polyline", all_points_x=[1, 2], all_points_y=[1, 2]), "via.json"),
        OF_VIA, "is a polyline", "draw it as a polygon",
    ),
    "VIA, more x than y": (
        said(via(name="polygon", all_points_x=[1, 2, 3], all_points_y=[1, 2]), "via.json"),
        OF_VIA, "has an outline that cannot be read", "draw it again",
    ),
    "CVAT for video": (
        said(VIDEO, "a.xml"), "a.xml", "holds the tracks of a video", "export it as",
    ),
    "CVAT, a document type": (
        said("<!DOCTYPE a>" + VIDEO, "a.xml"), "a.xml", "declares a document type",
        "export it again",
    ),
    "half an XML file": (
        said(VIDEO[:-5], "a.xml"), "a.xml", "cannot be read (unclosed", "export it",
    ),
    "CVAT, points": (
        said(cvat('<points points="1,2">SAID</points>'), "a.xml"), OF_CVAT, "is a points", "draw",
    ),
    "CVAT, run lengths that do not fill": (
        said(cvat(MASK.format("1,2")), "a.xml"), OF_CVAT, "do not sum to 12 x 7", "export it again",
    ),
    "CVAT, a mask outside": (
        said(cvat(MASK.format("0,84").replace('left="8"', 'left="39"')), "a.xml"),
        OF_CVAT, "has a mask of 12x7 at 39, 5 that leaves its picture", "export it again",
    ),
    "Label Studio, a brush": (
        said(label_studio("brushlabels", format="rle", rle=[0, 1]), "ls.json"),
        "ls.json: region 'Dx1'", "is a brush", "export masks as PNG files",
    ),
    "Label Studio, no numbers": (
        said(label_studio("polygonlabels", points=[["a", 2]] * 3), "ls.json"),
        "ls.json: region 'Dx1'", "has an outline that cannot be read", "draw it again",
    ),
}  # fmt: skip
