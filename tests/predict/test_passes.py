"""How many forward passes of the networks an answer takes, counted, and that few give the same."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.tiny_rows import tiny_rows
from tvnet.course.explorer.view import known_query, look
from tvnet.predictor import load
from tvnet.retrieval.online import KEPT, Retriever

QUERY = 8


@contextmanager
def counted(predictors):
    """{"backbone": its calls, "head": those of all rows}, of what happens inside."""
    calls = {"backbone": 0, "head": 0}

    def count(name):
        return lambda *of: calls.update({name: calls[name] + 1})

    backbone = list(predictors.values())[-1].retriever.backbone
    hooks = [backbone.register_forward_hook(count("backbone"))]
    hooks += [p.model.register_forward_hook(count("head")) for p in predictors.values()]
    yield calls
    for hook in hooks:
        hook.remove()


@pytest.fixture(scope="module")
def rows(tiny_root, tmp_path_factory):
    return tiny_rows(tiny_root, tmp_path_factory.mktemp("models"))


@pytest.fixture
def shipped():
    """The best shipped row, which has seen no picture yet."""
    return {"best": load()}


def test_a_first_expression_takes_two_passes_and_every_layer_six_at_most(rows):
    rows["Baseline"].retriever.forget()
    rows["Baseline"].retriever.kept = {
        i: rows["Baseline"].retriever.embed(i) for i in rows["Baseline"].retriever.data.pictures
    }
    query = known_query(rows, QUERY)
    with counted(rows) as calls:
        view = look(rows, query, "red square")
        assert calls == {"backbone": 1, "head": 1}  # the neighbour, the mask
        view.complete()
        assert calls == {
            "backbone": 1,
            "head": 5,
        }  # three further rows, one batch of what is left out
        view.complete()
        look(rows, query, "blue square", view.prediction.neighbour_id)
        assert calls == {"backbone": 1, "head": 6}


def test_the_shipped_pool_embeds_no_candidate_and_no_query(shipped):
    retriever = shipped["best"].retriever
    query = retriever.encode_image(retriever.data.pictures[236].path)
    with counted(shipped) as calls:
        found = shipped["best"](query, "man left")
    assert len(found.candidates) == 20 and calls == {"backbone": 1, "head": 1}


def test_kept_rows_are_those_that_would_be_computed(shipped):
    retriever = shipped["best"].retriever
    assert retriever.kept.keys() == retriever.data.pictures.keys()
    for image_id in sorted(retriever.kept)[::30]:
        row, digest = retriever.embed(image_id)
        np.testing.assert_allclose(retriever.kept[image_id].row, row, atol=1e-6)
        assert retriever.kept[image_id].digest == digest


def test_kept_rows_belong_to_files_and_to_an_encoder(rows, tiny_copy):
    known = rows["Baseline"].retriever

    def opened(size=known.chosen.data.size):
        chosen = replace(known.chosen, data=replace(known.chosen.data, size=size))
        return Retriever(chosen, known.backbone, tiny_copy)

    assert opened().kept == {}
    opened().keep()
    found, third = opened().kept, opened().embed(3)
    assert found.keys() == opened().data.pictures.keys()
    assert (found[3].row == third.row).all() and found[3].digest == third.digest
    assert opened(size=96).kept == {}
    picture = opened().data.pictures[3].path
    picture.write_bytes(picture.read_bytes() + b"x")
    assert found.keys() - opened().kept.keys() == {3}
    path = tiny_copy / KEPT
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert opened().kept == {}


def test_a_query_is_embedded_from_its_maps(rows):
    retriever: Retriever = rows["Baseline"].retriever
    picture = Image.effect_mandelbrot((90, 60), (-2, -1, 1, 1), 40).convert("RGB")
    seen = retriever.encode_image(picture)
    with counted(rows) as calls:
        found = retriever._of_query(seen)
    assert calls["backbone"] == 0
    computed = retriever.encoders[1].encode_images([picture])[0]
    np.testing.assert_allclose(found.row, computed, atol=1e-6)


@pytest.mark.parametrize("row", ["Baseline", "Baseline+RES", "Baseline+RES+AMF"])
def test_the_batch_without_the_neighbour_is_what_the_model_gives_without_it(rows, row):
    alone = {row: rows[row]}
    query = known_query(alone, QUERY)
    view = look(alone, query, "red square")
    without = look(alone, query, "red square", "none").prediction.mask
    if row == "Baseline":
        assert view.unenriched is None
    else:
        assert (view.unenriched == without).all()
