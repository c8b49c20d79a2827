"""For notebook 13: a small folder as readers have one, and settings that fit this machine."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from tvnet.data.records import ReferData
from tvnet.model.pretrained import MINILM, PRETRAINED
from tvnet.settings import Settings, settings

TABLE = "sentences.csv"
PHOTOS = (MINILM[0], PRETRAINED["efficientnet-lite0"].package)


def own_folder(data: ReferData, folder: Path, pictures: int = 50) -> Path:
    """Training pictures of a data set as ordinary files: pictures, a mask for each thing, a table.

    A folder that is there already is left as it is.
    """
    if folder.is_dir():
        return folder
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    (part / "masks").mkdir(parents=True)
    samples = data.samples("train")
    chosen = {s.image_id for s in samples[:: max(1, len(samples) // (4 * pictures))]}
    chosen = set(sorted(chosen)[:pictures])
    rows = []
    for sample in samples:
        if sample.image_id not in chosen:
            continue
        path = data.pictures[sample.image_id].path
        mask = f"masks/{sample.ann_id}.png"
        if not (part / mask).exists():
            Image.fromarray(np.uint8(255 * data.mask(sample.ann_id))).save(part / mask)
            shutil.copyfile(path, part / path.name)
        rows.append((path.name, mask, sample.text))
    with (part / TABLE).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("image", "mask", "sentence"), *rows])
    return part.rename(folder)


def photos_installed() -> bool:
    """Whether the extra `photos` of pyproject.toml is there."""
    return all(map(find_spec, PHOTOS))


def photo_settings(profile: Settings, steps: int) -> Settings:
    """The profile "photos" with so many steps at most, small where the notebook's profile is smoke.

    Without the extra, the encoders that every installation has.
    """
    chosen = settings("photos")
    if profile.profile == "smoke":
        chosen = replace(chosen, data=replace(chosen.data, size=profile.data.size))
        steps = min(steps, profile.training.steps)
    if not photos_installed():
        chosen = replace(chosen, backbone=profile.backbone, retrieval=profile.retrieval)
    return replace(chosen, training=replace(chosen.training, steps=steps))
