"""Segmentations before anything decodes them: what is malformed or empty is named."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from data_setup.convert.segmentations import decode, fault, unpack
from data_setup.convert.validate import Findings, annotations, pictures

FLOATS = st.floats(allow_subnormal=False)  # the tests flush them to zero

# segmentations of an image of 64x48
SIX = [1, 1, 9, 1, 9, 9]
MALFORMED = [
    None, 7, "text", [], {}, [[]], [[1, 2, 3, 4]], [[1, 2, 3, 4, 5, 6, 7]], [SIX, []],
    [["1"] * 6], [[None] * 6], [[True] * 6], [[float("nan")] * 6], [[float("inf"), 1, 2, 3, 4, 5]],
    [[1e9, 1, 2, 3, 4, 5]], [[1e300, 1, 2, 3, 4, 5]], [[10**400, 1, 2, 3, 4, 5]],
    [[-65, 1, 2, 3, 4, 5]], [[1, 97, 2, 3, 4, 5]], [[1, -49, 2, 3, 4, 5]], [[[1, 2], [3, 4]]],
    {"size": [48, 64]}, {"counts": [3072]}, {"size": [64, 48], "counts": [3072]},
    {"size": [48, 64], "counts": [3071]}, {"size": [48, 64], "counts": [3073]},
    {"size": [48, 64], "counts": [-1, 3073]}, {"size": [48, 64], "counts": [1.0, 3071]},
    {"size": [48, 64], "counts": []}, {"size": [48, 64], "counts": "~~~~"},
    {"size": [48, 64], "counts": "o" * 200}, {"size": [48, 64], "counts": "\0\0"},
    {"size": [48, 64], "counts": "é"}, {"size": [48, 64], "counts": {"a": 1}},
    {"size": "48x64", "counts": [3072]}, {"size": [True, 64], "counts": [3072]},
    [SIX, {"size": [48, 64], "counts": [1]}],
]  # fmt: skip


def test_malformed_segmentations_are_refused_with_their_id():
    assert len(MALFORMED) >= 30
    findings = Findings()
    sizes = pictures([{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}], "f", findings)
    entries = [{"id": k, "image_id": 1, "segmentation": s} for k, s in enumerate(MALFORMED)]
    found = annotations(entries, set(range(len(entries))), sizes, "f", findings)
    assert found == {}
    output = [problem["record"] for problem in findings.problems]
    assert output == [f"annotation {k}" for k in range(len(MALFORMED))]
    json.dumps(findings.problems)


def test_good_segmentations_pass():
    counts = {"size": [48, 64], "counts": [3000, 72]}
    for good in ([SIX], [SIX, SIX], counts, [counts], [SIX, counts], [[-3.5, 1, 70, 2, 5, 50]]):
        assert fault(good, 48, 64) == ""


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 600), min_size=1, max_size=20))
def test_run_lengths_pass_if_and_only_if_they_fill_the_image(runs):
    part = {"size": [48, 64], "counts": runs}
    assert (fault(part, 48, 64) == "") == (sum(runs) == 48 * 64)
    if sum(runs) < 48 * 64:
        part["counts"] = [*runs, 48 * 64 - sum(runs)]
        assert fault(part, 48, 64) == "" and decode(part, 48, 64).shape == (48, 64)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.floats(0, 1, allow_subnormal=False))
def test_packed_runs_are_read_as_pycocotools_reads_them(seed, share):
    mask = np.random.default_rng(seed).random((48, 64)) < share
    packed = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    part = {"size": [48, 64], "counts": packed["counts"].decode()}
    runs = unpack(part["counts"])
    assert fault(part, 48, 64) == "" and sum(runs) == 48 * 64 and sum(runs[1::2]) == mask.sum()
    assert np.array_equal(decode(part, 48, 64), mask)
    assert np.array_equal(decode(part | {"counts": runs}, 48, 64), mask)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(FLOATS, st.integers(-500, 500)), max_size=12))
def test_what_passes_decodes(points):
    if fault([points], 48, 64) == "":
        mask = decode([points], 48, 64)
        assert mask.shape == (48, 64) and mask.dtype == np.bool_


EMPTY = {
    "line": [[1, 1, 9, 1, 5, 1]],
    "point": [[5.0, 5.0] * 3],
    "outside": [[-60, -40, -50, -40, -50, -30]],
    "zeros": {"size": [48, 64], "counts": [48 * 64]},
    "packed zeros": {"size": [48, 64], "counts": "PP3"},
    "a line and zeros": [[1, 1, 9, 1, 5, 1], {"size": [48, 64], "counts": [48 * 64]}],
}


@pytest.mark.parametrize("case", EMPTY)
def test_an_empty_mask_that_is_referred_to_is_told(case):
    findings = Findings()
    sizes = pictures([{"id": 1, "file_name": "a", "width": 64, "height": 48}], "f", findings)
    entries = [{"id": k, "image_id": 1, "segmentation": EMPTY[case]} for k in (5, 6)]
    assert annotations(entries, {5}, sizes, "f", findings) == {}
    output = {"file": "f", "record": "annotation 5"}
    assert findings.problems == [
        output | {"reason": "has an empty mask: its segmentation covers no pixel"}
    ]
