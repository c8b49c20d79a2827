"""Verdicts on claims: by a step of Table 1, and by what was published of Table 2."""

import json

import numpy as np
import pytest

from tvnet.course import paper, table2
from tvnet.course.claims import claim_verdict
from tvnet.course.paper import load
from tvnet.course.table2 import Published, published_table2
from tvnet.evaluation.metrics import BINS, PerSentence, by_size
from tvnet.evaluation.sentences import Sentences
from tvnet.rows import BEST

N = 240


def drawn(gains, seeds=3):
    """Sentences of rows whose IoU is higher by these gains."""
    dice = np.random.default_rng(0)
    base, runs = dice.uniform(0.2, 0.8, N), {}
    for row, gain in gains.items():
        for seed in range(seeds):
            iou = (base + gain + dice.normal(0, 0.01, N)).clip(0, 1)
            runs[row, seed] = np.stack([(1000 * iou).astype(np.int64), np.full(N, 1000)])
    return Sentences(np.arange(N), np.repeat(np.arange(N // 4), 4), dice.uniform(0, 0.2, N), runs)


def run_of(row, iou, split="val", seed=0):
    """One run on a split, with this overall IoU in per cent."""
    one = np.array([1])
    found = PerSentence(one, one * 10 * iou, one * 1000, one * 900, one * 1000)
    metrics = by_size({"clean": found, "parity": found})
    return {"row": row, "seed": seed, "dataset": "unc+", "split": split, "metrics": metrics}


@pytest.fixture(scope="module")
def sentences():
    return drawn({"Baseline": 0.0, "Baseline+RES": 0.0, "Baseline+RES+AMF": 0.1})


@pytest.fixture(scope="module")
def measured():
    """TV-Net, clearly ahead of RRN, clearly behind STEP; RRN refined is ahead on one split."""
    tests = [
        run_of(BEST, 50),
        run_of(BEST, 52, seed=1),
        run_of(BEST, 40, "testA"),
        run_of("RRN", 45),
    ]
    refined = [run_of("RRN+DCRF", 49), run_of("RRN+DCRF", 41, "testA"), run_of(f"{BEST}+DCRF", 60)]
    about = {"dataset": "unc+", "split": "val"}
    return Published(tests, refined, drawn({BEST: 0.1, "RRN": 0.0, "STEP": 0.15}, 2), about)


def test_a_claim_is_judged_by_the_step_that_it_names(sentences):
    claim = {"step": ["Baseline+RES", "Baseline+RES+AMF"], "columns": ["overall_iou"]}
    said = claim_verdict(claim, [], sentences)
    assert said.startswith("on MiniRef, 3 seeds: overall IoU of all: holds (+")
    assert "overall IoU of small: holds (+" in said
    unknown = claim | {"step": ["CMPC", "Baseline+RES+AMF"]}
    assert claim_verdict(unknown, [], sentences) == "not measured yet"
    outside = claim | {"step": ["Baseline", "Baseline+RES+AMF, random"]}
    assert claim_verdict(outside, [], sentences) == "not measured yet"
    assert claim_verdict({"verdict": "seen"}, [], sentences) == "seen"


def test_tv_net_is_held_against_every_rival_that_was_run(measured):
    said = claim_verdict({"ahead_of": []}, [], None, measured)
    assert said.startswith("on MiniRef unc+ val, 2 seeds: holds: RRN (+10")
    assert "; opposite: STEP (-5" in said and "; not run yet: LSTM-CNN, RMI, DMN, " in said
    few = claim_verdict({"ahead_of": ["RRN", "LSCM"]}, [], None, measured)
    assert "STEP" not in few and few.endswith("; not run yet: LSCM")
    assert claim_verdict({"ahead_of": ["KWA"]}, [], None, measured) == "not measured yet"


def test_unrefined_against_refined_is_counted_split_by_split(measured):
    claim = {"unrefined": BEST}
    said = "on MiniRef: above 1 of 2 rows with it, each on the same split"
    assert claim_verdict(claim, [], None, measured) == said
    alone = Published(measured.tests, [], measured.sentences, measured.about)
    assert claim_verdict(claim, [], None, alone) == "not measured yet"


def test_what_is_counted_comes_from_the_grid():
    said = [claim_verdict(c, [], None) for c in load("claims") if "counted" in c]
    assert said == [
        "in STEP as it is built here: 3 levels, 15 steps",
        "in LSCM as it is built here: 4 levels, 7 steps",
    ]


def test_the_papers_gain_is_over_the_unrefined_row_where_it_is_printed():
    assert table2.printed_gain("BRINet", "unc val") == 0.89
    assert table2.printed_gain("CMPC", "unc+ val") == 0.74
    assert table2.printed_gain("KWA", "unc val") is table2.printed_gain("RRN", "gref test") is None


def test_refined_rows_stand_in_lines_of_their_own(measured):
    lines = table2.markdown(measured.tests, measured.refined).splitlines()
    rrn = [line for line in lines if line.startswith("| RRN")]
    assert [line.split(" | ")[:2] for line in rrn] == [
        ["| RRN+DCRF", "paper"], ["| RRN", "ours"], ["| RRN+DCRF", "ours"],
    ]  # fmt: skip
    assert rrn[1].split(" | ")[5] == "45.0" and lines[-2].split(" | ")[5] == "51.0 ± 1.4"
    assert len(table2.markdown([], []).splitlines()) == 2 + 13


def test_what_is_reached_stands_beside_the_loss_at_the_end_of_training(measured):
    runs = [run for run in measured.tests if run["split"] == "val"]
    losses = table2.last_losses(
        [
            {"row": "RRN", "loss": [9.0] * 14 + [5.0, 4.0]},
            {"row": BEST, "loss": [3.0]},
            {"row": BEST, "loss": [5.0]},
            {"row": "LSTM-CNN", "loss": [6.0]},
        ]
    )
    runs.append(run_of("LSTM-CNN", 60))
    lines = table2.reached_markdown({"runs": runs, "losses": losses}).splitlines()[2:]
    assert lines == [
        "| LSTM-CNN | V5 | 6.0 | 100.0 | 0.0 | 60.0 |",
        "| RRN* | V5, V4, V3 | 4.5 | 0.0 | 0.0 | 45.0 |",
        "| TV-Net | V5, V4, V3, V2 | 4.0 ± 1.4 | 100.0 ± 0.0 | 0.0 ± 0.0 | 51.0 ± 1.4 |",
    ]


def test_what_was_published_is_read_again(measured, tmp_path, monkeypatch):
    monkeypatch.setattr(paper, "PUBLISHED", tmp_path)
    file = tmp_path / "table2.json"
    about = measured.about | {"tests": measured.tests, "refined": measured.refined}
    file.write_text(json.dumps(about | {"runs": []}))
    measured.sentences.save(tmp_path / "table2_sentences.npz")
    again = published_table2()
    assert (
        again.tests == measured.tests
        and again.sentences.runs.keys() == measured.sentences.runs.keys()
    )
    assert set(BINS) == set(again.tests[0]["metrics"]["clean"])
    file.write_text("{}")
    with pytest.raises(ValueError, match="table2.json is damaged .*lacks 'runs'.*`make publish`"):
        published_table2()
