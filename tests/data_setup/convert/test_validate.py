"""Annotations before anything decodes them: what is odd is named, what is true passes."""

import json
import os
import pickle
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_setup.convert import validate
from data_setup.convert.annotations import refer_index
from data_setup.convert.folders import index_folders
from data_setup.convert.unpickle import MOST_TEXT, checked
from data_setup.convert.validate import Findings, annotations, is_plain, pictures
from data_setup.fetch.sources import ContentError
from tests.real_root import REASON, real_samples

FLOATS = st.floats(allow_subnormal=False)  # the tests flush them to zero


def test_names_that_leave_their_folder():
    for name in [
        "../a",
        "/etc/a",
        "..",
        "a/..",
        "a\\b",
        "C:a",
        "//a",
        "a:b",
        "",
        "a\0b",
        "a\nb",
        "con?",
        "a*",
        "..\\a",
    ]:
        assert not is_plain(name), name
    for name in ("a.jpg", "19/images/19579.jpg", "données 数据.jpg"):
        assert is_plain(name)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=20))
def test_a_plain_name_stays_in_its_folder(name):
    if is_plain(name):
        inside = os.path.normpath(os.path.join("/root/images", name))
        assert inside.startswith("/root/images/") and "\\" not in name


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), FLOATS, st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["id", "image_id", "file_name", "width", "height", "name",
                                         "segmentation", "counts", "size"]), inner, max_size=5),
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=12, deadline=None)
@given(JSON, JSON, JSON)
def test_no_index_crashes_the_checks(images, things, kinds):
    findings = Findings()
    content = json.dumps({"images": images, "annotations": things, "categories": kinds}).encode()
    refs = pickle.dumps([])
    index = refer_index("any", {"instances.json": content, "refs.p": refs}, findings)
    assert index.referents == [] and isinstance(findings.summary(), str)


SENTENCE = st.fixed_dictionaries({"sent_id": st.integers(0, 99), "sent": st.text(max_size=9)})
REFERENT = st.fixed_dictionaries(
    {
        "ref_id": st.integers(0, 9),
        "ann_id": st.integers(0, 5),
        "image_id": st.integers(0, 5),
        "category_id": st.integers(),
        "split": st.text(max_size=6),
        "sentences": st.lists(SENTENCE, max_size=3),
    }
)


def test_a_sentence_of_two_referents_is_told_also_where_its_id_is_0():
    entry = {"ann_id": 0, "image_id": 0, "category_id": 0, "split": "train"}
    entry["sentences"] = [{"sent_id": 0, "sent": "dog"}]
    found = checked([entry | {"ref_id": 1}, entry | {"ref_id": 2}])
    assert found["problems"] == [[2, "its sentence 0 stands twice"]]


@settings(max_examples=100, deadline=None)
@given(st.lists(REFERENT, max_size=6))
def test_every_referent_is_kept_or_told(entries):
    found = checked(entries)
    assert len(found["refs"]) + len(found["problems"]) == len(entries)
    ids = [ref[0] for ref in found["refs"]]
    sentences = [s for ref in found["refs"] for s, _ in ref[5]]
    assert len(set(ids)) == len(ids) and len(set(sentences)) == len(sentences)
    counted = validate.counts(found["refs"])
    assert sum(refs for refs, _, _ in counted.values()) == len(ids)
    assert sum(texts for _, _, texts in counted.values()) == len(sentences)
    assert MOST_TEXT == 10_000


FAULTS = {
    "annotation gone": ("annotations", lambda x: x["annotations"].pop(0), "annotation 10, which"),
    "image gone": ("images", lambda x: x["images"].pop(0), "annotation 10 lies in no known image"),
    "category gone": ("categories", lambda x: x["categories"].pop(0), "points to category 1"),
    "image double": ("images", lambda x: x["images"].append(x["images"][0]), "image 1 stands"),
    "annotation double": (
        "annotations", lambda x: x["annotations"].append(x["annotations"][0]),
        "annotation 10 stands twice",
    ),
    "list gone": ("images", lambda x: x.pop("images"), "instances.json: image has no list"),
    "no segmentation": (
        "annotations", lambda x: x["annotations"][0].pop("segmentation"), "annotation 10 has a pol",
    ),
    "no width": ("images", lambda x: x["images"][0].pop("width"), "image 1 is Nonex48 pixels"),
    "giant": ("images", lambda x: x["images"][0].update(width=10**6), "image 1 is 1000000x48"),
    "other folder": (
        "images", lambda x: x["images"][0].update(file_name="../../a.jpg"),
        "image 1 has the file name '../../a.jpg'",
    ),
    "odd polygon": (
        "annotations", lambda x: x["annotations"][0].update(segmentation=[[1] * 7]),
        "annotation 10 has a polygon of 7 numbers",
    ),
    "other image": (
        "refs", lambda x: x[0].update(image_id=2),
        "referent 10 points to annotation 10 in image 1, not 2",
    ),
    "referent double": ("refs", lambda x: x[1].update(ref_id=10), "referent 10 stands twice"),
    "sentence double": (
        "refs", lambda x: x[1]["sentences"][0].update(sent_id=20), "11 its sentence 20 stands",
    ),
    "no sentence": (
        "refs", lambda x: x[0]["sentences"][0].pop("sent"), "no usable 'sent' in its sentence 20",
    ),
    "text as id": ("refs", lambda x: x[0].update(ref_id="10"), "entry 0 has no usable 'ref_id'"),
    "no split": ("refs", lambda x: x[0].update(split=None), "referent 10 has no usable 'split'"),
}  # fmt: skip


@pytest.mark.parametrize("case", FAULTS)
def test_dangling_double_and_malformed_entries_are_named(tiny_copy, case):
    part, alter, words = FAULTS[case]
    path = tiny_copy / "refcoco" / ("refs(unc).p" if part == "refs" else "instances.json")
    if part == "refs":
        content = pickle.loads(path.read_bytes())
        alter(content)
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        content = json.loads(path.read_text())
        alter(content)
        path.write_text(json.dumps(content))
    with pytest.raises(ContentError) as error:
        index_folders(tiny_copy)
    assert words in str(error.value) and "unc has " in str(error.value)


def test_a_category_that_differs_from_the_annotation_is_remarked_upon(tiny_copy, capsys):
    path = tiny_copy / "refcoco" / "instances.json"
    content = json.loads(path.read_text())
    for annotation in content["annotations"][:2]:
        annotation["category_id"] += 1
    path.write_text(json.dumps(content))
    index_folders(tiny_copy)
    output = capsys.readouterr().out
    assert "unc is taken with 2 remarks." in output
    assert re.search(
        r"referent 1\d has category 1, its annotation 2 \(and 1 more like it\)", output
    )


def test_no_number_is_too_large_to_be_told():
    huge = 10**400
    findings = Findings()
    sizes = pictures([{"id": 1, "file_name": "a", "width": 64, "height": 48}], "f", findings)
    entries = [
        {"id": 1, "image_id": 1, "segmentation": {"size": [48, 64], "counts": [huge, 1]}},
        {"id": 2, "image_id": 1, "segmentation": [[1, 1, 9, huge, 9, 9]]},
        {"id": 3, "image_id": huge, "segmentation": [[1, 1, 9, 1, 9, 9]]},
        {"id": huge, "image_id": 1, "segmentation": [[1, 1, 9, 1, 9, 9]]},
    ]
    assert annotations(entries, {1, 2, 3, huge}, sizes, "f", findings) == {}
    assert len(findings.problems) == 4 and len(findings.summary()) < 1000


def test_control_characters_of_sentences_become_blanks_and_are_told():
    findings = Findings()
    texts = [[5, "left\0dog"], [6, "\x1b[2Jred"], [7, "\ud800"], [8, "caf\u00e9"]]
    rows = [[1, 2, 3, 4, "val", texts]]
    masks = {2: {"image_id": 3, "category_id": 4}}
    validate.referents(rows, {3: [3, "a", 9, 9]}, {4: "dog"}, masks, "f", findings)
    assert texts == [[5, "left dog"], [6, " [2Jred"], [7, " "], [8, "caf\u00e9"]]
    assert findings.problems == []
    assert [(r["record"], r["reason"]) for r in findings.remarks] == [
        ("sentence 5", "holds U+0000, now blank"),
        ("sentence 6", "holds U+001B, now blank"),
        ("sentence 7", "holds U+D800, now blank"),
        ("sentence 7", "is empty and becomes <unk>"),
    ]


def test_what_nothing_refers_to_is_only_remarked_upon():
    findings = Findings()
    sizes = pictures([{"id": 1, "file_name": "a", "width": 9, "height": 9}], "f", findings)
    odd = {"id": 5, "image_id": 1, "segmentation": []}
    assert annotations([odd], {7}, sizes, "f", findings) == {}
    assert findings.problems == [] and findings.remarks[0]["record"] == "annotation 5"


# ---- true samples ----

real = pytest.mark.skipif(real_samples() is None, reason=REASON)


@real
def test_no_true_annotation_is_refused():
    folder = real_samples() / "coco_instances"
    index = json.loads((folder / "instances_val2017.json").read_text())
    findings = Findings()
    sizes = pictures(index["images"], "f", findings)
    wanted = {a["id"] for a in index["annotations"]}
    found = annotations(index["annotations"], wanted, sizes, "f", findings)
    assert len(found) == len(index["annotations"]) == 382 and findings.problems == []
    crowds = sum(a["iscrowd"] for a in index["annotations"])
    assert len(findings.remarks) == crowds > 0


@real
def test_the_true_unc_val_sentences_are_counted_to_the_unit():
    """3,811 referents, 1,500 images and 10,834 sentences go through the checks unchanged."""
    lines = (real_samples() / "refcoco_unc_val" / "refcoco_unc_val.jsonl").read_text().splitlines()
    entries = [json.loads(line) | {"ann_id": k} for k, line in enumerate(lines)]
    found = checked(entries)
    assert found["problems"] == []
    assert validate.counts(found["refs"]) == {"val": [3811, 1500, 10834]}
    texts = Counter(s["sent"] for e in entries for s in e["sentences"])
    assert texts == Counter(text for ref in found["refs"] for _, text in ref[5])
