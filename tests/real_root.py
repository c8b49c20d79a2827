"""A data root in the refer format, made of true COCO samples that are on this machine or not."""

import json
import os
import pickle
from collections import Counter
from pathlib import Path

from data_setup.convert.folders import index_folders

VARIABLE = "TVNET_REAL_SAMPLES"
REASON = f"{VARIABLE} is not set: it points at a folder with coco_instances/ and referit_lists/"


def real_samples():
    """The folder that the environment names, or None."""
    return Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None


def write_real_root(samples, root):
    """The COCO samples under `samples` as an "unc" data root; returns the written annotations.

    A referent is a thing that is the only one of its category in its image, and the category's
    name is its expression. Every fifth image is val. The index keeps all annotations, the run
    lengths of crowds among them; the images are links.
    """
    index = json.loads((samples / "coco_instances" / "instances_val2017.json").read_text())
    images = root / "images" / "mscoco" / "images" / "train2014"
    images.mkdir(parents=True)
    for image in index["images"]:
        (images / image["file_name"]).symlink_to(
            samples / "coco_instances" / "val2017" / image["file_name"]
        )
    names = {category["id"]: category["name"] for category in index["categories"]}
    count = Counter((a["image_id"], a["category_id"]) for a in index["annotations"])
    val = {image["id"] for image in index["images"][::5]}
    chosen = [a for a in index["annotations"] if count[a["image_id"], a["category_id"]] == 1]
    refs = []
    for k, annotation in enumerate(chosen):
        name = names[annotation["category_id"]]
        refs.append(
            {
                "ref_id": k,
                "ann_id": annotation["id"],
                "image_id": annotation["image_id"],
                "category_id": annotation["category_id"],
                "file_name": "not_an_image.jpg",  # the original's is no file either
                "split": "val" if annotation["image_id"] in val else "train",
                "sent_ids": [k],
                "sentences": [{"sent_id": k, "sent": name, "raw": name, "tokens": name.split()}],
            }
        )
    (root / "refcoco").mkdir()
    (root / "refcoco" / "instances.json").write_text(json.dumps(index))
    (root / "refcoco" / "refs(unc).p").write_bytes(pickle.dumps(refs, protocol=0))
    index_folders(root)
    return chosen
