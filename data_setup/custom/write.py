"""A folder of pictures, masks and sentences -> a data set that everything else accepts."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from data_setup.convert.annotations import report
from data_setup.convert.glove import forget_rows
from data_setup.convert.validate import Findings
from data_setup.custom.files import content
from data_setup.custom.join import Joined
from data_setup.custom.sheet import data_sheet, write_sheet
from data_setup.custom.table import read_table
from data_setup.fetch.sources import SetupError, read_registry
from data_setup.files import sha256_of, write_whole
from data_setup.index import Index
from data_setup.statistics import write_statistics


def write_custom(folder: Path, root: Path, name: str, turn: bool = False) -> str:
    """Make the set `name` of a root from `folder`, which holds sentences.csv or sentences.json.

    Each row has image, mask and sentence, and may have split ("train" where no row has one) and id,
    the referent's value in its mask (masks.py has the rule). Rows with the same mask and id are
    sentences of one referent. With `turn`, pictures that an EXIF flag turns are kept as turned
    copies, and masks are taken as drawn on those. Returns the data sheet. Raises SetupError, or
    ContentError that lists every bad row.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9+_-]{0,30}", name) or name in read_registry():
        raise SetupError(f"'{name}' cannot be the name of your data set: choose another --name.")
    findings = Findings()
    table, rows = read_table(folder, findings)
    joined = Joined(folder, turn, table.name, findings)
    for row in rows:
        try:
            joined.add(row)
        except ValueError as error:
            findings.problem(table.name, row.place, str(error))
    joined.remark_on_shared_pictures()
    report(root, name, findings)
    place = f"images/{name}"
    made = {table.name: sha256_of(table)}
    for kept, (file, turned) in joined.kept.items():
        copy = content(folder, file, turned)
        write_whole(root / place / kept, copy)
        made[f"{place}/{kept}"] = hashlib.sha256(copy).hexdigest()
    parts = (joined.pictures, joined.referents, joined.masks)
    pictures, referents, masks = (list(part.values()) for part in parts)
    index = Index(name, made, [place], pictures, [[1, "object"]], referents, masks)
    forget_rows(root)
    write_statistics(root, index)
    write_sheet(root, index, joined.remarked)
    index.write(root)
    return data_sheet(root, index)
