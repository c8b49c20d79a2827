"""A folder of pictures, masks and sentences -> a data set that everything else accepts."""

import hashlib
import re
from pathlib import Path
from random import Random

from data_setup.contact import COLUMNS, ROWS, samples, write_contact_sheet
from data_setup.convert.annotations import report
from data_setup.convert.glove import forget_rows
from data_setup.convert.validate import Findings, counts
from data_setup.custom.join import Joined, content
from data_setup.custom.table import TRAIN, read_table
from data_setup.fetch.sources import SetupError, read_registry
from data_setup.files import sha256_of, write_whole
from data_setup.index import Index
from data_setup.statistics import write_statistics
from data_setup.words import pieces


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
    sheet = write_sheet(root, index, joined.remarked)
    index.write(root)
    shown = f"Look at {sheet}: it shows the masks as understood."
    return "\n".join(
        [f"{name} is ready in {root}: {len(referents)} referents.", *splits(index), shown]
    )


def write_sheet(root: Path, index: Index, remarked: dict[int, str]) -> Path:
    """reports/NAME.png of a data root: 24 referents, those whose mask is `remarked` on first."""
    rows = list(index.referents)
    Random(0).shuffle(rows)
    rows = sorted(rows, key=lambda row: row[1] not in remarked)[: ROWS * COLUMNS]
    title = f"{index.name}: {len(rows)} of {len(index.referents)} referents"
    title += ", masks with a remark first" if remarked else ""
    columns = (rows[k : k + ROWS] for k in range(0, len(rows), ROWS))
    path = root / "reports" / f"{index.name}.png"
    write_contact_sheet(
        path,
        ((title * (k == 0), samples(root, index, c, remarked)) for k, c in enumerate(columns)),
        tint=0.5,  # so that swapped masks are seen
    )
    return path


def splits(index: Index) -> list[str]:
    """A line for each split: its counts, and the share of its words that `train` lacks."""
    texts: dict[str, list[str]] = {}
    for row in index.referents:
        texts.setdefault(row[4], []).extend(text for _, text in row[5])
    lines = []
    for split, (referents, images, sentences) in counts(index.referents).items():
        line = f"  {split}: {referents} referents, {images} pictures, {sentences} sentences"
        if split != TRAIN and TRAIN in texts:
            line += f"; {unknown_share(texts[TRAIN], texts[split]):.1%} of its words are not in "
            line += f"{TRAIN} and become <unk>"
        lines.append(line)
    return lines


def unknown_share(train: list[str], texts: list[str]) -> float:
    """Share of the words of `texts` that no text of `train` holds."""
    known = {word for text in train for word in pieces(text)}
    words = [word for text in texts for word in pieces(text)]
    return sum(word not in known for word in words) / max(1, len(words))
