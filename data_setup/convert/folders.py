"""A root whose annotations lie open in the `refer` layout, as MiniRef's do: indexed where it is."""

import hashlib
from dataclasses import replace
from pathlib import Path

from data_setup.convert.annotations import refer_index, refuse
from data_setup.convert.referit import folder_members, lists_index
from data_setup.convert.validate import Findings
from data_setup.index import Index
from data_setup.statistics import write_statistics

# set -> (folder, file of referents), as the originals name them
FOLDERS = {
    "unc": ("refcoco", "refs(unc).p"),
    "unc+": ("refcoco+", "refs(unc).p"),
    "gref": ("refcocog", "refs(google).p"),
}
OPEN_PICTURES = "images/mscoco/images/train2014"


def index_folders(root: Path) -> None:
    """The indexes of a root whose annotations lie open, as MiniRef writes them.

    Raises ContentError naming the first records that are wrong.
    """
    for name, (folder, refs) in FOLDERS.items():
        if (root / folder).is_dir():
            files = (f"{folder}/instances.json", f"{folder}/{refs}")
            contents = {file: (root / file).read_bytes() for file in files}
            findings = Findings()
            index = refer_index(name, contents, findings)
            _write(root, index, contents, OPEN_PICTURES, findings)
    if (root / "referit").is_dir():
        members, findings = list(folder_members(root / "referit")), Findings()
        index = lists_index("referit", members, "referit", findings)
        made_from = {f"referit/{file}": content for file, content in members}
        _write(root, index, made_from, "referit/images", findings)


def _write(
    root: Path, index: Index, made_from: dict[str, bytes], pictures_in: str, findings: Findings
) -> None:
    refuse(index.name, findings)
    hashes = {file: hashlib.sha256(content).hexdigest() for file, content in made_from.items()}
    write_statistics(root, index)
    replace(index, made_from=hashes, pictures_in=[pictures_in]).write(root)
