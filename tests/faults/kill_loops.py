"""Every figure that is promised of interrupted runs; `make test-faults` prints them."""

from tests.data_setup.fetch.test_kill import loops

DOWNLOADS, CROWDS, ROOTS = 200, 50, 25


def test_two_hundred_downloads_fifty_crowds_and_twenty_five_roots(tmp_path, capsys):
    (right, kills), crowd, (roots, stops) = loops(tmp_path, DOWNLOADS, CROWDS, ROOTS)
    with capsys.disabled():
        print(f"\n{right}/{DOWNLOADS} killed downloads end right ({kills} SIGKILLs)")
        print(f"{crowd}/{CROWDS} with three at once and one of them killed end right")
        print(f"{roots}/{ROOTS} killed fetches give the same tree ({stops} SIGKILLs)")
    assert (right, crowd, roots) == (DOWNLOADS, CROWDS, ROOTS)
