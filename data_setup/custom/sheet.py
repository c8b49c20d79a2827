"""What `own` shows: a data sheet in text, and a picture of the masks as they were understood."""

from __future__ import annotations

from pathlib import Path
from random import Random

from data_setup.contact import COLUMNS, ROWS, samples, write_contact_sheet
from data_setup.convert.validate import counts
from data_setup.custom.table import TRAIN
from data_setup.index import Index
from data_setup.words import pieces


def sheet_path(root: Path, name: str) -> Path:
    return root / "reports" / f"{name}.png"


def write_sheet(root: Path, index: Index, remarked: dict[int, str]) -> None:
    """reports/NAME.png of a data root: 24 referents, those whose mask is `remarked` on first."""
    rows = list(index.referents)
    Random(0).shuffle(rows)
    rows = sorted(rows, key=lambda row: row[1] not in remarked)[: ROWS * COLUMNS]
    title = f"{index.name}: {len(rows)} of {len(index.referents)} referents"
    title += ", masks with a remark first" if remarked else ""
    columns = (rows[k : k + ROWS] for k in range(0, len(rows), ROWS))
    write_contact_sheet(
        sheet_path(root, index.name),
        ((title * (k == 0), samples(root, index, c, remarked)) for k, c in enumerate(columns)),
        tint=0.5,  # so that swapped masks are seen
    )


def data_sheet(root: Path, index: Index) -> str:
    """Counts of each split, and the share of its words that `train` lacks."""
    texts: dict[str, list[str]] = {}
    for row in index.referents:
        texts.setdefault(row[4], []).extend(text for _, text in row[5])
    lines = [f"{index.name} is ready in {root}: {len(index.referents)} referents."]
    for split, (referents, images, sentences) in counts(index.referents).items():
        line = f"  {split}: {referents} referents, {images} pictures, {sentences} sentences"
        if split != TRAIN and TRAIN in texts:
            line += f"; {unknown_share(texts[TRAIN], texts[split]):.1%} of its words are not in "
            line += f"{TRAIN} and become <unk>"
        lines.append(line)
    lines.append(f"Look at {sheet_path(root, index.name)}: it shows the masks as understood.")
    return "\n".join(lines)


def unknown_share(train: list[str], texts: list[str]) -> float:
    """Share of the words of `texts` that no text of `train` holds."""
    known = {word for text in train for word in pieces(text)}
    words = [word for text in texts for word in pieces(text)]
    return sum(word not in known for word in words) / max(1, len(words))
