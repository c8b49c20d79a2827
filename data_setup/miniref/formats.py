"""The files of RefCOCO, RefCOCO+, RefCOCOg and ReferIt, in the originals' fields."""

import json
import pickle
from itertools import count
from pathlib import Path

from data_setup.miniref.catalogue import CATEGORIES
from data_setup.miniref.splits import referit_split

VERSION = 2  # of the drawn world; raise it when the same seed gives other files
IDS = {name: number for number, name in enumerate(CATEGORIES, start=1)}


def write_refer(
    folder: Path, split_by: str, dialect: str, drawn: list[dict], chosen: list[tuple]
) -> None:
    """instances.json and refs(<split_by>).p of the chosen (picture, referent, split)."""
    refs, sent_ids = [], count()
    for picture, referent, split in chosen:
        thing = picture["things"][referent["thing"]]
        sentences = [
            {"sent_id": next(sent_ids), "tokens": sentence["sent"].split(), **sentence}
            for sentence in referent["sentences"].get(dialect, ())
        ]
        if not sentences:
            continue
        stem = picture["file_name"].removesuffix(".jpg")
        refs.append(
            {
                "ref_id": len(refs),
                "ann_id": thing["id"],
                "category_id": IDS[thing["category"]],
                "image_id": picture["id"],
                "file_name": f"{stem}_{thing['id']}.jpg",
                "split": split,
                "sent_ids": [s["sent_id"] for s in sentences],
                "sentences": sentences,
            }
        )
    with_refs = {ref["image_id"] for ref in refs}
    write_json(folder / "instances.json", _instances([p for p in drawn if p["id"] in with_refs]))
    (folder / f"refs({split_by}).p").write_bytes(_pickled(refs))


def _pickled(refs: list[dict]) -> bytes:
    """A pickle that Python 2 reads too. It would note which equal strings are one object, and that
    depends on the processes that made them: through JSON and back, equal refs are equal bytes."""
    return pickle.dumps(json.loads(json.dumps(refs)), protocol=2)


def _instances(drawn: list[dict]) -> dict:
    images = [
        {
            "license": 1,
            "file_name": picture["file_name"],
            "coco_url": "",
            "height": picture["height"],
            "width": picture["width"],
            "date_captured": "2021-10-20 00:00:00",
            "flickr_url": "",
            "id": picture["id"],
        }
        for picture in drawn
    ]
    annotations = [
        {
            "segmentation": thing["segmentation"],
            "area": thing["area"],
            "iscrowd": 0,
            "image_id": picture["id"],
            "bbox": thing["bbox"],
            "category_id": IDS[thing["category"]],
            "id": thing["id"],
        }
        for picture in drawn
        for thing in picture["things"]
    ]
    return {
        "info": {"description": "MiniRef, a drawn world", "version": str(VERSION), "year": 2021},
        "images": images,
        "licenses": [{"id": 1, "name": "Apache-2.0", "url": ""}],
        "annotations": annotations,
        "categories": [
            {"supercategory": CATEGORIES[name].supercategory, "id": number, "name": name}
            for name, number in IDS.items()
        ],
    }


def write_referit(folder: Path, drawn: list[dict]) -> None:
    """The lists of ReferIt: queries, image lists, boxes, regions of an image, sizes."""
    drawn = [picture for picture in drawn if picture["regions"]]
    split = {picture["id"]: referit_split(picture["id"]) for picture in drawn}
    members = {name: {name} for name in ("train", "val", "test")}
    members |= {"trainval": {"train", "val"}, "all": {"train", "val", "test"}}
    for name, splits in members.items():
        inside = [picture for picture in drawn if split[picture["id"]] in splits]
        queries = {r["key"]: r["sentences"] for p in inside for r in p["regions"]}
        write_json(folder / f"referit_query_{name}.json", queries)
        lines = "".join(f"{picture['id']}\n" for picture in inside)
        (folder / f"referit_{name}_imlist.txt").write_text(lines, "utf-8", newline="\n")
    boxes = {r["key"]: r["box"] for p in drawn for r in p["regions"]}
    keys = {f"{p['id']}.jpg": [r["key"] for r in p["regions"]] for p in drawn}
    sizes = {f"{p['id']}.jpg": [p["width"], p["height"]] for p in drawn}
    for name, table in (("bbox", boxes), ("imcrop", keys), ("imsize", sizes)):
        write_json(folder / f"referit_{name}.json", table)


def write_json(path: Path, value: object) -> None:
    """Compact JSON, the same bytes on every system."""
    path.write_text(json.dumps(value, separators=(",", ":")), "utf-8", newline="\n")
