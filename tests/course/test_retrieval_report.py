"""The report on a neighbours file, and the pictures that show it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tvnet.course.retrieval_report import retrieval_report
from tvnet.data import refer
from tvnet.data.images import BLANK
from tvnet.data.neighbours import Neighbours


@pytest.fixture(scope="module")
def data(tiny_root):
    return refer.read(tiny_root, "unc+")


@pytest.fixture
def neighbours(data):
    """Three candidates each; half of the first have the very text, the image prefers the last."""
    ids = np.array(sorted(s.sent_id for split in data.splits for s in data.samples(split)))
    n = len(ids)
    exact = np.arange(n) % 2 == 0
    text = np.stack([np.where(exact, 1.0, 0.9), np.full(n, 0.5), np.full(n, 0.4)], axis=1)
    image = np.tile([0.1, 0.2, 0.3], (n, 1))
    candidates = np.tile([1, 2, 3], (n, 1))
    return Neighbours(
        ids, candidates[:, 2], candidates, text.astype(np.float32), image.astype(np.float32),
        np.full(n, 2), {"pool": "train"},
    )  # fmt: skip


def test_the_report_counts_what_it_says(data, neighbours):
    report = retrieval_report(neighbours, data)
    assert report["sentences"] == len(neighbours.sent_id)
    ties = report["exact-text ties"]
    assert ties["sentences with one, per cent"] == 50
    assert ties["sentences with nothing else, per cent"] == 0
    stages = report["agreement of the stages"]
    assert stages["the text's first is the image's first, per cent"] == 0
    assert stages["by chance, per cent"] == pytest.approx(100 / 3)
    assert stages["text rank of the chosen, counts"] == [0, 0, len(neighbours.sent_id)]
    assert [line["k"] for line in report["effect of k"]] == [1, 2]
    assert report["effect of k"][1]["mean image similarity"] == pytest.approx(0.2)
    assert report["effect of k"][0]["mean text similarity"] == pytest.approx(0.95)
    for histogram in (*report["text similarity"].values(), *report["image similarity"].values()):
        assert len(histogram["edges"]) == len(histogram["counts"]) + 1
    assert sum(report["image similarity"]["of the chosen"]["counts"]) == len(neighbours.sent_id)
    shares = report["same category under the controls, per cent"]
    assert shares["self"] == 100 and shares["black"] == 0


def test_every_k_is_what_a_build_with_that_k_would_say(data, neighbours):
    """The first candidates of a longer list are the shorter list."""
    neighbours.candidates[:, 0] = BLANK  # an image of no category, were it ever chosen
    neighbours.image_similarity[:, 0] = -np.inf
    report = retrieval_report(neighbours, data)
    assert report["effect of k"][0]["same category, per cent"] == 0
    assert report["effect of k"][1]["same category, per cent"] == 100


def test_a_report_is_plain_json_even_where_there_is_nothing_to_count(data, neighbours):
    nobody = replace(neighbours, chosen=np.full(len(neighbours.sent_id), -1))
    report = retrieval_report(nobody, data)
    assert report["quality"]["mean text similarity"] is None
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_a_card_shows_the_query_its_candidates_and_the_chosen_one(data, neighbours):
    from tvnet.course.figures.retrieval import retrieval_card

    sent_id = int(neighbours.sent_id[5])
    figure = retrieval_card(data, neighbours, sent_id)
    shown = [ax for ax in figure.axes if ax.images]
    titles = [ax.get_title().split(":")[0] for ax in shown]
    (query,) = data.samples_of([sent_id])
    category = data.categories[query.category_id]
    assert titles == [f"the query,\n{category}", "1", "2", "3"]
    held = {(r.image_id, r.category_id) for r in data.referents}
    lacks = [f"no {category}" in ax.get_title() for ax in shown[1:]]
    assert lacks == [(i, query.category_id) not in held for i in neighbours.candidates[5]]
    assert [ax.get_frame_on() for ax in shown] == [False, False, False, True]
    text = next(s.text for r in data.referents for s in r.sentences if s.sent_id == sent_id)
    assert text in figure.get_suptitle()
    with pytest.raises(ValueError, match="hold no line for sentence 99999"):
        retrieval_card(data, neighbours, 99999)


def test_a_dollar_in_a_sentence_is_no_formula(data, neighbours):
    import matplotlib.pyplot as plt

    from tvnet.course.figures import panel
    from tvnet.course.figures.retrieval import retrieval_card

    text = r"the $\frac$ dog"
    first, *others = data.referents
    sentence = replace(first.sentences[0], text=text)
    odd = replace(data, referents=(replace(first, sentences=(sentence,)), *others))
    card = retrieval_card(odd, neighbours, sentence.sent_id)
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    drawn = panel([(text, image, {"mask": np.ones((8, 8), dtype=bool)})])
    for figure in (card, drawn):
        figure.canvas.draw()
        plt.close(figure)
    assert text in card.get_suptitle() and text in drawn.axes[0].get_title(loc="left")


def test_the_report_is_drawn(data, neighbours):
    from tvnet.course.figures.retrieval import plot_retrieval_report

    report = retrieval_report(neighbours, data)
    axes = plot_retrieval_report(report).axes
    assert [bar.get_height() for bar in axes[2].patches] == [0, 0, report["sentences"]]
    assert axes[3].lines[0].get_xdata().tolist() == [1, 2]
