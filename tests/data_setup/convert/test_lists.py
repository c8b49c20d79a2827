"""ReferIt's lists and masks from an archive that nobody trusts."""

import io
import json

import numpy as np
import pytest
import scipy.sparse
from scipy.io import savemat

from data_setup.convert.referit import apart, lists_index
from data_setup.convert.validate import Findings

GOOD = np.ones((12, 9), np.uint8)
GOOD[2:5, 3:6] = 0


def matlab(values, **options):
    out = io.BytesIO()
    savemat(out, {"segimg_t": values}, **options)
    return out.getvalue()


def crashing():
    """A mask whose kind of numbers is none: scipy follows a pointer that is not there."""
    content = bytearray(matlab(GOOD))
    assert content[184] == 2
    content[184] = 0
    return bytes(content)


def members(mask=None, texts=("left",), more=()):
    mask = matlab(GOOD) if mask is None else mask
    return [
        ("a/referit_imsize.json", json.dumps({"1.jpg": [9, 12]}).encode()),
        ("a/referit_query_trainval.json", json.dumps({"1_1": texts}).encode()),
        ("a/referit_query_test.json", b"{}"),
        ("a/mask/1_1.mat", mask),
        ("a/readme.txt", b"what nobody reads"),
        *more,
    ]


def output(*arguments, read=None, **keywords):
    findings = Findings()
    lists_index("referit", members(*arguments, **keywords), "a.tar", findings, read)
    return findings.summary()


def test_good_masks_of_every_kind_are_read():
    for content in (matlab(GOOD), matlab(GOOD > 0), matlab(GOOD * 1.0, do_compression=True)):
        assert output(content) == ""


MASKS = {
    "sparse": (matlab(scipy.sparse.csc_matrix(GOOD * 1.0)), "holds 0 dimensions of object"),
    "empty": (matlab(GOOD * 0 + 1), "is empty: it holds no 0"),
    "complex": (matlab(GOOD * 1j), "holds 2 dimensions of complex128"),
    "cut": (matlab(GOOD)[:200], "cannot be read"),
}


@pytest.mark.parametrize("case", MASKS)
def test_odd_masks_are_told(case):
    content, words = MASKS[case]
    assert output(content).startswith(f"  1_1.mat: region 1_1 has a mask that {words}")


def test_a_mask_that_crashes_its_reader_is_told_and_the_next_is_read():
    with apart() as read:
        found = output(crashing(), read=read)
        assert found == (
            "  1_1.mat: region 1_1 has a mask that cannot be read (its reader crashes)"
        )
        assert output(read=read) == ""


def test_what_is_there_twice_is_told_where_it_differs():
    assert output(more=[("b/mask/1_1.mat", matlab(GOOD * 1.0))]) == ""
    assert "'b/mask/1_1.mat' is there twice, and differs" in output(
        more=[("b/mask/1_1.mat", matlab(GOOD.T))]
    )
    assert "'b/referit_imsize.json' is there twice, and differs" in output(
        more=[("b/referit_imsize.json", b"{}")]
    )


@pytest.mark.parametrize("texts", [[], ["x" * 10_001], [3], "left"], ids=str)
def test_texts_that_are_none_are_told(texts):
    assert "'1_1' is no region with its texts" in output(texts=texts)


def test_control_characters_become_blanks():
    findings = Findings()
    index = lists_index("referit", members(texts=["a\0b\x1b", " "]), "a.tar", findings)
    assert index.referents[0][5] == [[0, "a b "], [1, " "]]
    assert [r["reason"] for r in findings.remarks] == [
        "holds U+0000, U+001B, now blank", "is empty and becomes <unk>",
    ]  # fmt: skip
