"""A root whose annotations lie open in the `refer` layout, as MiniRef's do: indexed where it is."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from data_setup.convert import refer_index, refuse
from data_setup.referit import folder_members, lists_index
from data_setup.statistics import write_statistics
from data_setup.validate import Findings

# set -> (folder, file of referents), as the originals name them
FOLDERS = {
    "unc": ("refcoco", "refs(unc).p"),
    "unc+": ("refcoco+", "refs(unc).p"),
    "gref": ("refcocog", "refs(google).p"),
}
OPEN_PICTURES = "images/mscoco/images/train2014"


def index_folders(root: Path) -> None:
    """The indexes of a root whose instances.json and refs(*).p lie open, as MiniRef writes them.

    Raises ContentError naming the first records that are wrong.
    """
    for name, (folder, refs) in FOLDERS.items():
        if not (root / folder).is_dir():
            continue
        files = (f"{folder}/instances.json", f"{folder}/{refs}")
        contents = [(root / file).read_bytes() for file in files]
        findings = Findings()
        index = refer_index(name, *contents, files, findings)
        refuse(name, findings)
        hashes = [hashlib.sha256(content).hexdigest() for content in contents]
        made = dict(zip(files, hashes, strict=True))
        index = replace(index, made_from=made, pictures_in=[OPEN_PICTURES])
        write_statistics(root, index)
        index.write(root)
    if (root / "referit").is_dir():  # whose lists and masks are read as they are
        findings = Findings()
        members = folder_members(root / "referit")
        index = lists_index("referit", members, "referit", findings)
        refuse("referit", findings)
        write_statistics(root, index)
