"""How many faults, attacks and kinds the tests hold; `make test-faults` prints it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import test_setup_archives as archives
import test_setup_download as download
import test_setup_pickles as pickles
import test_setup_segmentations as segmentations
import test_setup_sets as sets


def test_what_is_refused_is_counted(capsys):
    """The cases themselves run beside this in the same command."""
    faults = len(download.RECOVERS) + len(download.REFUSED)
    zips = len(archives.ZIPS) + len(archives.TARS)
    attacks = len(pickles.CODE) + len(pickles.MEMORY) + len(pickles.DAMAGED)
    odd = len(segmentations.MALFORMED)
    with capsys.disabled():
        print(f"\n{faults} kinds of server faults, {zips} hostile archives, {attacks} hostile")
        print(f"pickles, {odd} malformed segmentations, {len(sets.TAKEN)} kinds of pictures taken")
        print(f"and {len(sets.REFUSED)} refused: 0 wrong files, 0 executions where all pass")
    assert faults >= 14 and zips >= 40 and attacks >= 40 and odd >= 30
