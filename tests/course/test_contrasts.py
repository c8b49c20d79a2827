"""What is said of the differences between rows, beside the paper's."""

import numpy as np
import pytest

from tvnet.course import contrasts, tables
from tvnet.course.figures import plot_contrasts
from tvnet.evaluation.sentences import Sentences

N = 240


@pytest.fixture(scope="module")
def sentences():
    """Three seeds of four rows: RES changes nothing, AMF gains ten points of IoU."""
    dice = np.random.default_rng(0)
    base = dice.uniform(0.2, 0.8, N)
    gains = {"Baseline": 0.0, "Baseline+RES": 0.0, "Baseline+RES+Cct": 0.0, "Baseline+RES+AMF": 0.1}
    runs = {}
    for row, gain in gains.items():
        for seed in range(3):
            iou = (base + gain + dice.normal(0, 0.01, N)).clip(0, 1)
            runs[row, seed] = np.stack([(1000 * iou).astype(np.int64), np.full(N, 1000)])
    images = np.repeat(np.arange(N // 4), 4)
    return Sentences(np.arange(N), images, dice.uniform(0, 0.2, N), runs)


def test_the_fixed_contrasts_are_decided_or_bounded(sentences):
    found = {(c.step, c.measure): c for c in contrasts.fixed(sentences)}
    assert len(found) == 9  # of twelve: CMPC was not run
    res = found[("Baseline", "Baseline+RES"), "mean_iou"]
    assert res.verdict.startswith("smaller than 0.") and res.paper is None
    amf = found[("Baseline+RES", "Baseline+RES+AMF"), "mean_iou"]
    assert amf.verdict == "holds" and amf.ours.low < 10 < amf.ours.high


def test_every_step_is_shown_with_what_the_paper_prints(sentences):
    found = contrasts.every(sentences)
    assert len(found) == 4 * 3 * 2
    first = found[0]
    assert (first.step, first.measure, first.size) == (
        ("Baseline", "Baseline+RES"),
        "prec_0.5",
        "all",
    )
    assert first.paper == 0.51
    text = contrasts.markdown(found)
    assert text.count("\n") == 1 + len(found)
    assert "| all | Baseline → Baseline+RES | Prec@0.5 | +0.51 | " in text
    output = contrasts.in_words(found)
    counts = [int(line.split(" for ")[-1].split()[0]) for line in output.splitlines()]
    assert sum(counts) == len(found)


def test_a_step_whose_rows_were_not_run_is_said_to_be_missing(sentences):
    missing = contrasts.every(sentences, (("Baseline", "CMPC"),))
    assert "have not been run yet" in contrasts.markdown(missing)


def test_a_verdict_does_not_depend_on_the_columns_that_are_shown(sentences):
    alone = contrasts.every(sentences, shown=("prec_0.8",))
    among = contrasts.every(sentences, shown=tables.COLUMNS)
    assert alone == [c for c in among if c.measure == "prec_0.8"]


def test_small_referents_are_a_part_of_the_sentences(sentences):
    every, _, images = sentences.pair("Baseline", "Baseline+RES")
    small, _, few = sentences.pair("Baseline", "Baseline+RES", "small")
    assert every.union.shape == (3, N) and len(images) == N
    assert small.union.shape == (3, len(few)) and len(few) == (sentences.share < 0.05).sum()
    with pytest.raises(ValueError, match="Baseline and CMPC have no seed in common: run both"):
        sentences.pair("Baseline", "CMPC")


def test_what_is_published_comes_back(sentences, tmp_path):
    sentences.save(tmp_path / "s.npz")
    again = Sentences.load(tmp_path / "s.npz")
    assert list(again.runs) == list(sentences.runs)
    assert all(np.array_equal(again.runs[k], v) for k, v in sentences.runs.items())
    assert np.array_equal(again.sent_id, sentences.sent_id)
    assert contrasts.fixed(again) == contrasts.fixed(sentences)


@pytest.mark.parametrize("content", ["", "no archive", {"names": ["a 0"]}, {"sent_id": [1]}])
def test_a_published_file_of_another_layout_is_refused(tmp_path, content):
    path = tmp_path / "s.npz"
    path.write_text(content) if isinstance(content, str) else np.savez(path, **content)
    with pytest.raises(ValueError, match="does not hold the sentences .* run `make publish`"):
        Sentences.load(path)


def test_the_forest_plot_has_a_line_for_each(sentences):
    found = contrasts.every(sentences)
    (alone,), (both,) = (plot_contrasts(found, earlier).axes for earlier in (None, found[:5]))
    assert len(alone.get_yticklabels()) == len(found)
    assert len(both.lines) == len(alone.lines) + 2 * 5 + 1
