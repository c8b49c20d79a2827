"""The registry: what it promises of every file, and which entries it refuses."""

import re

import pytest
import yaml

from data_setup.fetch.sources import REGISTRY, NetworkError, SetupError, read_registry


def test_every_file_of_the_registry_has_an_address_a_licence_and_a_place():
    sets = read_registry()
    assert {"unc", "unc+", "gref", "referit", "weights", "glove"} <= set(sets)
    for chosen in sets.values():
        assert chosen.sources
        for source in chosen.sources:
            assert source.licence and source.folder in ("archives", "weights")
            assert source.urls or chosen.name == "referit-hu"
            assert (source.sha256 is None) == (source.stated_by == 0)
            for url in source.urls:
                assert "/main/" not in url or source.sha256, f"{url} names no revision"


def test_the_counts_add_up_to_the_published_totals():
    sets = read_registry()
    totals = {
        name: [sum(column) for column in zip(*sets[name].counts.values(), strict=True)]
        for name in ("unc", "unc+", "gref", "gref-umd")
    }
    assert totals["unc"] == [50000, 19994, 142210]
    assert totals["unc+"] == [49856, 19992, 141564]
    assert (totals["gref"][0], totals["gref"][2]) == (49822, 95010)
    assert (totals["gref-umd"][0], totals["gref-umd"][2]) == (49822, 95010)


def test_what_a_server_or_an_archive_says_does_not_reach_the_terminal_as_it_is():
    error = NetworkError("it answers 404 \x1b[2Jgone\x07 \ud800:\n  and more, caf\u00e9")
    assert str(error) == "it answers 404 \\x1b[2Jgone\\x07 \\ud800:\n  and more, caf\u00e9"


WRONG = {
    "http without a hash": (
        lambda f: f["files"]["refclef"].update(urls=["http://a.example/b.zip"]),
        "refclef has a plain http address and no sha256",
    ),
    "ftp": (
        lambda f: f["files"]["refcoco"].update(urls=["ftp://a.example/b"]),
        "refcoco has the address ftp://a.example/b, which is neither https nor http",
    ),
    "no hash": (lambda f: f["files"]["refcoco"].update(sha256="abc"), "sha256 of refcoco is no h"),
    "outside": (
        lambda f: f["files"]["refcoco"].update(name="../../x"),
        "refcoco would lie outside the data root",
    ),
    "unknown kind": (lambda f: f["sets"]["unc"].update(kind="any"), "unc is of the unknown kind"),
    "unknown file": (lambda f: f["sets"]["unc"].update(annotations="x"), "'x'"),
    "unknown field": (lambda f: f["files"]["refcoco"].update(md5="x"), "md5"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_registry_is_one_sentence(tmp_path, case):
    change, words = WRONG[case]
    found = yaml.safe_load(REGISTRY.read_text())
    change(found)
    path = tmp_path / "mirror.yaml"
    path.write_text(yaml.safe_dump(found))
    with pytest.raises(SetupError, match=f"registry .* is damaged .*{re.escape(words)}.*: mend it"):
        read_registry(path)
    path.write_text("files: [")
    with pytest.raises(SetupError, match="is damaged"):
        read_registry(path)
