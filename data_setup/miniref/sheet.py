"""A contact sheet of MiniRef: a fixed random choice of pictures, masks and sentences."""

from __future__ import annotations

from pathlib import Path
from random import Random

from data_setup.contact import ROWS, samples, write_contact_sheet
from data_setup.index import read_index

COLUMNS = {"UNC": "unc", "UNC+": "unc+", "G-Ref": "gref", "ReferIt": "referit"}


def write_sheet(root: Path, out: Path, seed: int = 0) -> None:
    """Draw 4 x 6 samples of the world in `root`, a column for each dialect, into a PNG file.

    The samples are drawn at random from the seed. Raises FileNotFoundError where there is no world.
    """
    rng, columns = Random(seed), []
    for title, name in COLUMNS.items():
        index = read_index(root, name)
        if index is None:
            raise FileNotFoundError(
                f"There is no MiniRef in {root}: draw it with "
                f"`python -m data_setup miniref --root {root}`."
            )
        rows = rng.sample(index.referents, min(ROWS, len(index.referents)))
        columns.append((title, samples(root, index, rows)))
    write_contact_sheet(out, columns)
