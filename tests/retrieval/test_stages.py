"""Retrieval over a data set: own images, pools, controls, the file; stage 2; the offline pair."""

import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from tvnet.course.retrieval_report import quality
from tvnet.data import refer
from tvnet.data.images import BLANK
from tvnet.data.neighbours import Neighbours
from tvnet.data.records import ReferData
from tvnet.retrieval import build as stage_one
from tvnet.retrieval.encoders import PooledBackbone, Tfidf
from tvnet.retrieval.ranking import hashes, most_similar
from tvnet.settings import settings

SMOKE = settings("smoke")


def unit(rng, n, d):
    rows = rng.normal(size=(n, d)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_ties_favour_no_id_and_stay_the_same():
    ids = np.arange(1000)
    ties = hashes(ids, 0)
    assert np.array_equal(ties, hashes(ids, 0)) and not np.array_equal(ties, hashes(ids, 1))
    winners = [ids[np.argsort(hashes(ids, s))[:20]].mean() for s in range(30)]
    assert 430 < np.mean(winners) < 570


def test_stage_two_takes_the_most_similar_candidate():
    rng = np.random.default_rng(0)
    ids, features = np.array([3, 5, 8, 9]), unit(rng, 4, 7)
    own, found = np.array([3, 9]), np.array([[5, 8, 9], [5, BLANK, BLANK]])
    column, similarity = most_similar(own, found, ids, features)
    assert column.tolist() == [int(np.argmax(features[1:] @ features[0])), 0]
    assert similarity[0] == pytest.approx(features[1:] @ features[0], abs=1e-5)
    assert np.isneginf(similarity[1, 1:]).all()


class Colours:
    """An image encoder for tests: the mean colour of the picture's name."""

    name, about = "colours", None

    def encode(self, data, image_ids):
        return unit(np.random.default_rng(0), len(image_ids), 4)


@pytest.fixture(scope="module")
def data(tiny_root):
    return refer.read(tiny_root, "unc+")


def retrieve(data, k=20):
    chosen = replace(SMOKE, retrieval=replace(SMOKE.retrieval, k=k))
    pool = [s.text for s in data.samples("train")]
    return stage_one.retrieve(data, chosen, Tfidf(pool), Colours())


def image_of_sentence(data):
    return {s.sent_id: s.image_id for split in data.splits for s in data.samples(split)}


def test_no_own_image_and_nothing_of_val_is_ever_retrieved(data):
    found, own = retrieve(data), image_of_sentence(data)
    val = {s.image_id for s in data.samples("val")}
    for sent_id, similar, line in zip(
        found.sent_id, found.similar_id, found.candidates, strict=True
    ):
        assert similar != own[sent_id] and own[sent_id] not in line
        assert not val & set(line.tolist())
    assert len(found.sent_id) == len(own)


def copied(root, source, target):
    """The data of a root in which the picture `target` holds the bytes of `source`."""
    pictures = refer.read(root, "unc+").pictures
    shutil.copyfile(pictures[source].path, pictures[target].path)
    return refer.read(root, "unc+")


def test_a_copy_of_the_querys_picture_is_never_retrieved(tiny_copy):
    data = copied(tiny_copy, 1, 4)
    assert data.originals == {i: 1 if i == 4 else i for i in data.pictures}
    found, own = retrieve(data), image_of_sentence(data)
    for sent_id, line in zip(found.sent_id, found.candidates, strict=True):
        assert not {1, 4} & set(line.tolist()) or own[sent_id] not in (1, 4)
    assert 1 in found.candidates and 4 not in found.candidates
    assert len(found.sent_id) == len(own)


def test_a_copy_of_a_picture_of_val_stays_out_of_the_pool(tiny_copy):
    data = copied(tiny_copy, 7, 2)
    assert not {2, 7} & set(retrieve(data).candidates.ravel().tolist())


def test_copies_in_a_zip_are_known_too(tiny_copy):
    data = copied(tiny_copy, 1, 4)
    images = data.pictures[1].path.parent
    with zipfile.ZipFile(images.with_name("train2014.zip"), "w") as archive:
        for path in sorted(images.iterdir()):
            archive.write(path, f"train2014/{path.name}")
    inside = {
        i: replace(p, path=images.with_name("train2014.zip") / "train2014" / p.path.name)
        for i, p in data.pictures.items()
    }
    assert replace(data, pictures=inside).originals == data.originals
    gone = {i: replace(p, path=images / "gone" / p.path.name) for i, p in data.pictures.items()}
    assert replace(data, pictures=gone).originals == {i: i for i in data.pictures}


def test_images_that_train_shares_with_val_stay_out_of_the_pool(data):
    """G-Ref google splits by object: a training image may hold a referent of val."""
    shared = replace(data.referents[0], split="val")
    mixed = ReferData(
        "gref", data.pictures, (shared, *data.referents[1:]), data.segmentations, data.categories
    )
    found = retrieve(mixed)
    assert shared.image_id not in found.candidates
    assert shared.image_id in retrieve(data).candidates


def test_controls_replace_the_image_and_nothing_else(data, tmp_path, monkeypatch):
    def build(control, out=tmp_path):
        chosen = replace(SMOKE, retrieval=replace(SMOKE.retrieval, control=control))
        return stage_one.build(chosen, data, out)

    # A control that is asked for first leaves the true neighbours to find beside it.
    own, drawn, true = image_of_sentence(data), build("random"), build("none")
    queries = np.array([own[s] for s in true.sent_id])
    monkeypatch.setattr(stage_one, "encoders", None)  # the controls need no retrieval of their own
    assert np.array_equal(build("self").similar_id, queries)
    assert (build("black").similar_id == BLANK).all()
    assert (drawn.similar_id != queries).all() and len(set(drawn.similar_id)) > 3
    assert np.array_equal(drawn.candidates, true.candidates) and (drawn.chosen == -1).all()
    assert drawn.settings["control"] == "random" and true.settings["control"] == "none"
    monkeypatch.undo()
    assert np.array_equal(drawn.similar_id, build("random", tmp_path / "again").similar_id)


def test_tfidf_knows_equal_texts_and_only_the_pools_words():
    encoder = Tfidf(["red cup", "blue cup", "red dog"])
    rows = encoder.encode(["red cup", "red cup", "green whale"]).toarray()
    assert rows[0] @ rows[1] == pytest.approx(1.0)
    assert not rows[2].any()


def test_pooled_features_leave_the_padding_out(data):
    """A picture and the same map with other padding must give the same vector."""

    class Painted:
        def __call__(self, pixels):
            V5 = torch.nn.functional.avg_pool2d(pixels.float(), 8)
            empty = (pixels.amax(1, keepdim=True) == 0).float()
            return {"V5": V5 + 1e4 * torch.nn.functional.avg_pool2d(empty, 8).floor()}

    rows = PooledBackbone(Painted(), 64).encode(data, np.array([1, 2]))
    assert rows.shape == (2, 3) and np.linalg.norm(rows, axis=1) == pytest.approx(1)
    assert rows.std() > 1e-3  # the grey of the padding would make all rows alike


def test_the_file_is_made_once_and_its_name_changes_with_every_setting(data, tmp_path, monkeypatch):
    texts = [s.text for s in data.samples("train")]
    monkeypatch.setattr(stage_one, "encoders", lambda *_: (Tfidf(texts), Colours()))
    first = stage_one.build(SMOKE, data, tmp_path)
    path = stage_one.neighbours_path(SMOKE, data, tmp_path)
    monkeypatch.setattr(stage_one, "retrieve", None)  # a second build must not retrieve
    assert np.array_equal(stage_one.build(SMOKE, data, tmp_path).similar_id, first.similar_id)
    names = {path.name}
    for change in ({"k": 3}, {"text": "distilbert"}, {"image": "vgg16"}, {"control": "black"}):
        other = replace(SMOKE, retrieval=replace(SMOKE.retrieval, **change))
        names.add(stage_one.neighbours_path(other, data, tmp_path).name)
    other = replace(SMOKE, data=replace(SMOKE.data, size=64))
    names.add(stage_one.neighbours_path(other, data, tmp_path).name)
    assert len(names) == 6
    with pytest.raises(ValueError, match="made for other settings .*k is 20 there, 3 here"):
        Neighbours.load(path, stage_one.identity(SMOKE, data) | {"k": 3})


def test_quality_counts_what_it_says(data):
    true, own = retrieve(data), image_of_sentence(data)
    same = replace(true, similar_id=np.array([own[s] for s in true.sent_id]))
    report = quality(same, data)
    assert report["the query's own image, per cent"] == 100
    assert report["same category as the referent, per cent"] == 100
    assert quality(true, data)["the query's own image, per cent"] == 0


def test_the_command_tells_what_is_missing(tmp_path, capsys):
    assert stage_one.main(["--data", str(tmp_path / "none")]) == 2
    assert "There is no data at" in capsys.readouterr().err
    assert stage_one.main(["--profile", "huge"]) == 2
    error = capsys.readouterr().err
    assert (
        "There is no profile 'huge': choose one of smoke, laptop, evening, photos, paper." in error
    )
