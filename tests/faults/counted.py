"""How many faults, attacks and kinds the tests hold; `make test-faults` prints it."""

from tests.data_setup.convert import test_archives as archives
from tests.data_setup.convert import test_pickles as pickles
from tests.data_setup.convert import test_segmentations as segmentations
from tests.data_setup.convert import test_sets as sets
from tests.data_setup.fetch import test_download as download


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
