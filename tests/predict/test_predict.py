"""One picture, one expression: against the evaluator, with every neighbour, and with bad input."""

import json
import pickle
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import tvnet
from tests.test_saved_model import hash_again
from tvnet.data import refer
from tvnet.data.cache import TrainingCache
from tvnet.data.dataset import ReferDataset, collate
from tvnet.data.images import open_image, placement
from tvnet.data.masks import store
from tvnet.data.words import Vocabulary
from tvnet.evaluation.evaluate import clean
from tvnet.model.method import build as build_model
from tvnet.model.pretrained import load_backbone
from tvnet.model.trace import expected_shapes
from tvnet.prediction import NEIGHBOURS
from tvnet.predictor import load
from tvnet.retrieval.build import build
from tvnet.retrieval.online import Retriever
from tvnet.rows import RIVALS, ROWS, row_settings
from tvnet.saved_model import save
from tvnet.settings import settings
from tvnet.training.features import LiveFeatures
from tvnet.training.loop import logits_of

SMOKE = settings("smoke")
SMALL = replace(SMOKE, data=replace(SMOKE.data, size=64), retrieval=replace(SMOKE.retrieval, k=3))
QUERY = 8  # a val picture of the tiny root


def wakened_model(chosen, words):
    """No branch of it is at zero, so that whatever enriches can be seen in the mask."""
    torch.manual_seed(1)
    model = build_model(chosen, words)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


@pytest.fixture(scope="module")
def models(tiny_root, tmp_path_factory):
    """{row or rival: a checkpoint folder} on the tiny root's words."""
    vocabulary = Vocabulary.build(s.text for s in refer.read(tiny_root, "unc+").samples("train"))
    folder = tmp_path_factory.mktemp("models")
    for row in ROWS | RIVALS:
        chosen = row_settings(SMALL, row)
        save(folder / row, wakened_model(chosen, len(vocabulary)), vocabulary, None)
    return {row: folder / row for row in ROWS | RIVALS}


@pytest.fixture(scope="module")
def predictor(models, tiny_root):
    return load(models["Baseline+RES+AMF"], tiny_root)


@pytest.fixture(scope="module")
def photo(predictor):
    return predictor.retriever.data.pictures[QUERY].path


def test_a_mask_is_the_evaluators_with_the_neighbour_of_the_build(predictor, tiny_root, tmp_path):
    """Two ways to one mask: sentences of a split by the neighbours file, and typed ones."""
    data, chosen = predictor.retriever.data, predictor.model.settings
    neighbours = build(chosen, data, tmp_path)
    cache = TrainingCache(data, 64, store(data, tmp_path / "masks.safetensors"), tmp_path / "cache")
    dataset = ReferDataset(data, "val", predictor.vocabulary, 20, cache, neighbours)
    features = LiveFeatures(predictor.retriever.backbone, data, 64)
    for i, sample in enumerate(dataset.samples):
        found = predictor(data.pictures[sample.image_id].path, sample.text)
        line = np.searchsorted(neighbours.sent_id, sample.sent_id)
        assert [c.image_id for c in found.candidates] == neighbours.candidates[line].tolist()
        assert found.neighbour_id == neighbours.similar_id[line]
        for side in ("text", "image"):
            output = [getattr(c, f"{side}_similarity") for c in found.candidates]
            stored = getattr(neighbours, f"{side}_similarity")[line]
            np.testing.assert_allclose(output, stored, atol=2e-6)
        with torch.no_grad():
            logits = logits_of(predictor.model, features, collate([dataset[i]]))
        place = placement(data.pictures[sample.image_id].height, 64, 64)
        assert (found.mask == clean(logits, place)).all()
        assert ((found.probability > 0.5) == found.mask).all()
        inside = found.probability[found.mask]
        assert found.score == (pytest.approx(inside.mean()) if inside.size else 0)
        assert found.trace.shapes() == expected_shapes(chosen, 1, 64)


@pytest.mark.parametrize("ties", ["hash", "all"])
def test_every_sentence_finds_online_what_the_build_found(ties, tiny_root, tmp_path):
    """Pictures of the pool among them: they are known by their pixels."""
    chosen = replace(SMALL, retrieval=replace(SMALL.retrieval, k=2, ties=ties))
    retriever = Retriever(chosen, load_backbone(chosen.backbone), tiny_root)
    neighbours = build(chosen, retriever.data, tmp_path)
    seen = {
        i: retriever.encode_image(picture.path) for i, picture in retriever.data.pictures.items()
    }
    samples = [s for split in retriever.data.splits for s in retriever.data.samples(split)]
    for sample in samples:
        found = retriever.retrieve(seen[sample.image_id], sample.text)
        line = np.searchsorted(neighbours.sent_id, sample.sent_id)
        assert [c.image_id for c in found] == neighbours.candidates[line].tolist()
        best = min(found, key=lambda c: c.final_rank)
        assert best.image_id == neighbours.similar_id[line]


def test_ranks_are_those_of_the_similarities(predictor, photo):
    found = predictor(photo, "the red square").candidates
    for side in ("text", "image"):
        values = [getattr(c, f"{side}_similarity") for c in found]
        ranks = [getattr(c, f"{side}_rank") for c in found]
        assert ranks == [1 + sum(other > value for other in values) for value in values]
    assert sorted(c.final_rank for c in found) == [1, 2, 3]
    best = min(found, key=lambda c: c.final_rank)
    assert best.image_rank == 1 and best.image_id == predictor(photo, "red square").neighbour_id
    assert all("red square" == c.expression for c in found)


def test_of_several_frames_it_says_that_the_first_was_looked_at(predictor, photo, tmp_path):
    with Image.open(photo) as first:
        first.save(tmp_path / "many.gif", save_all=True, append_images=[first.rotate(180)])
    assert "holds 2 pictures: only the first" in predictor(tmp_path / "many.gif", "red").remarks[0]


def test_every_neighbour_is_what_it_says(predictor, photo, tiny_root):
    data = predictor.retriever.data
    seen = predictor.encode_image(photo)
    found = {kind: predictor(seen, "red square", kind) for kind in NEIGHBOURS}
    assert found["self"].similar is seen and found["none"].similar is None
    assert found["none"].trace.V_prime[4] is found["none"].trace.V_in[4]  # V' = V_in
    assert found["random"].neighbour_id in predictor.retriever.pool.image
    assert predictor(seen, "red square", "random").neighbour_id == found["random"].neighbour_id
    candidate = found["retrieved"].candidates[-1].image_id
    by_id = predictor(seen, "red square", candidate)
    by_path = predictor(photo, "red square", data.pictures[candidate].path)
    assert (by_id.neighbour, by_id.neighbour_id) == ("pool", candidate)
    assert (by_path.neighbour, by_path.neighbour_id) == ("picture", None)
    assert (by_id.probability == by_path.probability).all()
    by_seen = predictor(seen, "red square", by_path.similar)
    assert (by_seen.neighbour, by_seen.similar) == ("picture", by_path.similar)
    assert (by_seen.probability == by_path.probability).all()
    assert not np.allclose(by_id.probability, found["none"].probability)
    assert not np.allclose(found["self"].probability, found["none"].probability)


def test_a_picture_of_the_pool_never_retrieves_itself(predictor):
    """Not even without its name: its pixels are known."""
    picture = open_image(predictor.retriever.data, 1)
    for k in range(1, 6):
        found = predictor(picture, f"the red one of picture {k}")
        assert 1 not in {c.image_id for c in found.candidates}
        assert len(found.candidates) == 3
    retriever, draws = predictor.retriever, [f"words {k}" for k in range(30)]
    own, foreign = map(retriever.encode_image, (picture, Image.new("RGB", (9, 9), "red")))
    assert {retriever.random(own, words) for words in draws} == {2, 3, 4, 5, 6}
    assert {retriever.random(foreign, words) for words in draws} == {1, 2, 3, 4, 5, 6}
    other = predictor(open_image(predictor.retriever.data, QUERY), "the red one of picture 1")
    assert other.candidates[0].image_id == 1


def test_a_copy_in_the_pool_is_never_retrieved_for_its_picture(tiny_copy):
    data = refer.read(tiny_copy, "unc+")
    for copy in (2, 5):
        shutil.copyfile(data.pictures[1].path, data.pictures[copy].path)
    retriever = Retriever(SMALL, load_backbone(SMALL.backbone), tiny_copy)
    seen = retriever.encode_image(data.pictures[5].path)
    for words in ("the red one of picture 1", "the red one of picture 2", "blue square"):
        found = {c.image_id for c in retriever.retrieve(seen, words)}
        assert found == {3, 4, 6} and retriever.random(seen, words) in found


def test_the_same_pixels_in_another_file_are_no_neighbour_either(tiny_copy):
    data = refer.read(tiny_copy, "unc+")
    for k, copy in enumerate((1, 2, 5)):
        picture = Image.open(data.pictures[1].path)
        picture.load()
        picture.save(data.pictures[copy].path, "PNG", compress_level=k)
    retriever = Retriever(SMALL, load_backbone(SMALL.backbone), tiny_copy)
    seen = retriever.encode_image(data.pictures[5].path)
    for words in ("the red one of picture 1", "blue square"):
        assert {c.image_id for c in retriever.retrieve(seen, words)} == {3, 4, 6}


def test_typed_punctuation_changes_nothing(predictor, photo):
    plain, typed = (predictor(photo, text) for text in ("the red square", " The RED, square!"))
    assert plain.candidates == typed.candidates
    assert (plain.probability == typed.probability).all()


def test_leaving_words_out_is_the_same_as_not_saying_them(predictor, photo):
    whole = predictor(photo, "the red square")
    effects, _ = predictor.without_each_part(whole)
    for effect, rest in zip(effects, ("red square", "the square", "the red"), strict=True):
        alone = predictor(whole.encoded, rest, whole.neighbour_id)
        np.testing.assert_allclose(effect.probability, alone.probability, atol=1e-5)
        both, either = (effect.mask & whole.mask).sum(), (effect.mask | whole.mask).sum()
        assert effect.iou == (both / either if either else 1)
    assert [effect.word for effect in effects] == ["the", "red", "square"]
    assert len(predictor.without_each_part(predictor(photo, "red"))[0]) == 1


def test_words_left_out_of_a_large_picture_take_little_memory(predictor):
    """48 megapixels and 20 words took 5.9 GiB: a float and a bool for every pixel and word."""
    picture = Image.new("RGB", (2000, 1000), "red")
    words = predictor.vocabulary.words[-20:]
    whole = predictor(picture, " ".join(words))
    found, _ = predictor.without_each_part(whole)
    assert [effect.word for effect in found] == list(whole.words) and len(found) > 4
    assert {effect.mask.shape for effect in found} == {(320, 640)}
    assert sum(e.mask.nbytes + e.probability.nbytes for e in found) < whole.mask.nbytes * len(found)
    alone = predictor(picture, " ".join(whole.words[1:]), whole.neighbour_id)
    both, either = (alone.mask & whole.mask).sum(), (alone.mask | whole.mask).sum()
    assert found[0].iou == pytest.approx(both / either if either else 1, abs=0.01)


def test_a_predictor_can_be_pickled(predictor, photo):
    predictor(photo, "red square")  # its caches are full
    found = pickle.loads(pickle.dumps(predictor))(photo, "red square")
    assert (found.probability == predictor(photo, "red square").probability).all()


def test_rows_share_one_sight(models, predictor, photo, tiny_root):
    seen = predictor.encode_image(photo)
    for row, folder in models.items():
        found = load(folder, retriever=predictor.retriever)(seen, "red square")
        assert bool(found.candidates) == ("RES" in row)
        assert found.neighbour == ("retrieved" if "RES" in row else "none")
    with pytest.raises(ValueError, match="other settings of 'data' than this retriever"):
        predictor.retriever.chosen, kept = SMOKE, predictor.retriever.chosen
        try:
            load(models["Baseline"], retriever=predictor.retriever)
        finally:
            predictor.retriever.chosen = kept


def test_a_trained_backbone_is_not_replaced_by_a_given_retrievers(predictor, tmp_path):
    chosen = replace(SMALL, backbone=replace(SMALL.backbone, train_from="res5"))
    model = wakened_model(row_settings(chosen, "Baseline"), 5)
    save(tmp_path, model, Vocabulary(["red"]), load_backbone(chosen.backbone))
    with pytest.raises(ValueError, match="has a trained backbone of its own, which this retriever"):
        load(tmp_path, retriever=predictor.retriever)


def test_the_package_offers_what_the_readme_says(models, tiny_root, photo):
    found = tvnet.predict(photo, "red square", model=models["Baseline"], pool=tiny_root)
    assert found.mask.shape == (48, 64)
    with pytest.raises(AttributeError, match="has no attribute 'foretell'"):
        _ = tvnet.foretell


def test_weights_are_those_of_the_data_root_that_is_the_pool(tiny_root, tmp_path):
    chosen = replace(SMALL, backbone=replace(SMALL.backbone, weights="deeplab-voc"))
    save(tmp_path, wakened_model(chosen, 5), Vocabulary(["red"]), None)
    for given, folder in ((None, tiny_root / "weights"), (tmp_path / "mine", tmp_path / "mine")):
        with pytest.raises(FileNotFoundError, match=f"no backbone weights at {folder}/deeplabv2"):
            load(tmp_path, tiny_root, given)


def test_settings_of_an_older_version_are_filled_with_defaults(models, tiny_root, photo, tmp_path):
    folder = shutil.copytree(models["Baseline+RES+AMF"], tmp_path / "model")
    stored = json.loads((folder / "settings.json").read_text())
    del stored["model"]["tanh"], stored["retrieval"]["ties"]
    (folder / "settings.json").write_text(json.dumps(stored))
    hash_again(folder)
    older, newer = load(folder, tiny_root), load(models["Baseline+RES+AMF"], tiny_root)
    assert older.model.settings == newer.model.settings
    assert (older(photo, "red").probability == newer(photo, "red").probability).all()


@pytest.mark.parametrize(
    "expression, unknown, left_out",
    [
        ("red square", (), 0),
        ("Red, SQUARE!", (), 0),
        ("red zebra zebra", ("zebra",), 0),
        ("red 🐻", (" 🐻",), 0),
        ("r" * 100_000, ("r" * 100_000,), 0),
        ("الدب الأحمر", ("الدب", "الأحمر"), 0),
        ("red \u202esquare\u202c", (), 0),
        ("red " * 1000, (), 980),
        (" ".join(f"w{k}" for k in range(1000)), tuple(f"w{k}" for k in range(20)), 980),
    ],
)
def test_any_text_is_read_and_what_is_not_known_is_named(
    predictor, photo, expression, unknown, left_out
):
    found = predictor(photo, expression)
    assert found.unknown_words == unknown and found.left_out == left_out
    output = " ".join(found.remarks)
    assert len(output) < 500
    assert all(f"'{word.strip()[:30]}'" in output for word in unknown[:8])
    assert ("It knows no word here" in output) == (len(unknown) == len(set(found.words)))
    assert ("Only the first 20 of 1000 words are read." in output) == bool(left_out)
    assert ("and 12 more" in output) == (len(unknown) == 20)


def test_what_is_no_text_is_refused(predictor, photo):
    with pytest.raises(ValueError, match="An expression of type int cannot be read: give a text"):
        predictor(photo, 7)
    with pytest.raises(ValueError, match="has no picture 99"):
        predictor(photo, "red", 99)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2)])
def test_the_smallest_pictures_have_masks(predictor, size):
    found = predictor(Image.new("RGB", size, "red"), "red square")
    assert found.mask.shape == found.probability.shape == size[::-1]
    assert np.isfinite(found.probability).all()
    enriched = predictor(Image.new("RGB", (64, 64)), "red", Image.new("RGB", size))
    assert np.isfinite(enriched.probability).all()


def test_a_picture_of_the_models_own_size_leaves_the_logits_as_they_are(predictor):
    found = predictor(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), "red")
    assert torch.equal(found.trace.logits[0, 0].sigmoid(), torch.from_numpy(found.probability))
