"""The grid of rows and seeds, its results on disk, and what is said of them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from tests.conftest import write_root
from tvnet.course import enrichment_report, tables
from tvnet.data import refer
from tvnet.evaluation import ablation as grid
from tvnet.evaluation import statistics
from tvnet.evaluation.ablation import ablation, read_sentences, run, run_folder, table1
from tvnet.evaluation.inside_res import inside
from tvnet.evaluation.metrics import counters
from tvnet.evaluation.sentences import gather
from tvnet.evaluation.slices import slices
from tvnet.evaluation.trained import load_run, masks_of, measure_again, swap_neighbours
from tvnet.files import write_json
from tvnet.retrieval.build import build
from tvnet.rows import CONTROLS, FURTHER_ROWS, ROWS, TABLE1, on_data_set
from tvnet.settings import CONTROLS as RETRIEVED
from tvnet.settings import settings
from tvnet.training.setup import prepare

TINY = settings("smoke")
TINY = replace(TINY, training=replace(TINY.training, steps=2, batch=2))


def retrieve(data_dir, out_dir, control="none"):
    chosen = replace(TINY, retrieval=replace(TINY.retrieval, control=control))
    build(chosen, refer.read(data_dir, "unc+"), out_dir)


@pytest.fixture(scope="module")
def made(tiny_root, tmp_path_factory):
    """A whole ablation of one step a row, two seeds."""
    out = tmp_path_factory.mktemp("out")
    retrieve(tiny_root, out)
    return ablation(TINY, table1((0, 1)), tiny_root, out), out


def test_the_laptop_runs_only_what_the_papers_table_prints():
    rows = {"Baseline", "Baseline+RES", "Baseline+RES+Cct", "Baseline+RES+AMF", "CMPC"}
    assert sorted(table1([3], printed=True)) == sorted((row, 3) for row in rows)
    assert set(table1([3])) > set(table1([3], printed=True))


@pytest.mark.slow
def test_every_row_and_seed_is_there_once_with_its_counters(made, tiny_root):
    results, out = made
    assert [(r["row"], r["seed"]) for r in results] == [
        *((row, seed) for row in TABLE1 for seed in (0, 1)),
        *((control, 0) for control in CONTROLS),
    ]
    for result in results:
        count = result["metrics"]["clean"]["all"]
        assert count["n"] == 8 and len(count["hits"]) == 5
        assert torch.__version__.startswith(result["provenance"]["versions"]["torch"])
        assert len(result["loss"]) == TINY.training.steps
        folder = run(TINY, result["row"], result["seed"], tiny_root, out)
        assert counters(read_sentences(folder)) == count


@pytest.mark.slow
def test_a_finished_run_is_read_and_an_unfinished_one_made_again(made, tiny_root, monkeypatch):
    results, out = made
    monkeypatch.setattr(grid, "train", lambda *_, **__: pytest.fail("it trained again"))
    folder = run(TINY, "Baseline", 0, tiny_root, out)
    before = next(r for r in results if (r["row"], r["seed"]) == ("Baseline", 0))
    assert json.loads((folder / "result.json").read_text()) == before
    (folder / "result.json").rename(folder / "aside.json")
    with pytest.raises(pytest.fail.Exception, match="it trained again"):
        run(TINY, "Baseline", 0, tiny_root, out)
    (folder / "aside.json").rename(folder / "result.json")


@pytest.mark.slow
def test_trained_models_can_be_looked_at_again(made, tiny_root):
    _, out = made
    lines = masks_of(TINY, ("Baseline", "Baseline+RES"), 0, tiny_root, out, count=3)
    expression, image, masks = lines[0]
    assert image.shape == (48, 64, 3) and list(masks) == ["Baseline", "Baseline+RES", "truth"]
    assert all(mask.shape == (48, 64) for mask in masks.values()) and masks["truth"].any()
    again = measure_again(TINY, [("CMPC", 1), ("Baseline", 0)], tiny_root, out)
    before = {(r["row"], r["seed"]): r["metrics"] for r in made[0]}
    assert [(r["row"], r["split"]) for r in again] == [("CMPC", "val"), ("Baseline", "val")]
    assert all(r["metrics"] == before[r["row"], r["seed"]] for r in again)
    (refined,) = measure_again(TINY, [("CMPC", 1)], tiny_root, out, splits=("val",), crf=True)
    assert refined["row"] == "CMPC+DCRF" and refined["metrics"]["clean"]["all"]["n"] == 8
    gref, (alone,) = on_data_set(TINY, "gref"), [("Baseline", 0)]
    (there,) = ablation(gref, [alone], tiny_root, out)
    (measured,) = measure_again(gref, [alone], tiny_root, out)
    assert (measured["dataset"], measured["split"]) == ("gref", "val")
    assert measured["metrics"] == there["metrics"]
    with pytest.raises(FileNotFoundError, match="run the ablation with row 'Baseline' and seed 7"):
        load_run(TINY, "Baseline", 7, tiny_root, out)


@pytest.mark.slow
def test_what_the_retrieved_image_does_is_measured(made, tiny_root):
    results, out = made
    for control in RETRIEVED:
        retrieve(tiny_root, out, control)
    data, row = refer.read(tiny_root, "unc+"), "Baseline+RES"
    sentences = gather(TINY, [(r["row"], r["seed"]) for r in results], data, out)
    swapped = sentences.joined(swap_neighbours(TINY, row, (0, 1), tiny_root, out))
    assert [name for name, seed in swapped.runs if seed == 1 and name.startswith(f"{row},")] == [
        f"{row}, {control}" for control in ("random", "self", "black", "oracle")
    ]
    assert enrichment_report.swaps_markdown(swapped, row).count("\n") == 6
    parts = slices(sentences.sent_id, data, build(TINY, data, out))
    assert all(mask.shape == (8,) for mask in parts.values())
    steps = {"+RES": ("Baseline", row), "retrieved": (f"{row}, random", row)}
    assert "| all | 8 | " in enrichment_report.slices_markdown(swapped, parts, steps)
    found = inside(TINY, row, 0, tiny_root, out)
    for level in found.levels.values():
        assert 0 < level.entropy <= 1 and 0 < level.gate < 1 and 0 < level.constant <= 1
        assert level.added > 0
    assert 0 <= found.changed <= found.of_masks <= 1
    with pytest.raises(ValueError, match="Row 'Baseline' has no enrichment to look into: choose"):
        inside(TINY, "Baseline", 0, tiny_root, out)


def test_the_folder_changes_with_every_setting_and_with_the_data(tmp_path):
    def name(chosen, row="Baseline", seed=0, world="w"):
        return run_folder(chosen, row, seed, tmp_path, world).name

    other = replace(TINY, model=replace(TINY.model, d_m=8))
    longer = replace(TINY, training=replace(TINY.training, steps=3))
    names = [name(TINY), name(other), name(longer), name(TINY, "Baseline+RES"), name(TINY, seed=1)]
    assert len({*names, name(TINY, world="v")}) == 6


@pytest.mark.parametrize(
    "damage, sentence",
    [
        (
            lambda root: root.rename(root.parent / "gone"),
            "There is no data at .*data_setup miniref",
        ),
        (lambda root: next(root.rglob("*.jpg")).unlink(), "1 of 8 pictures are missing, first"),
        (lambda root: (root / "index/unc+.json").write_bytes(b"(lp0"), "unc.\\.json is damaged"),
        (lambda root: None, "There are no neighbours at .*tvnet.retrieval.build"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_trained(tmp_path, damage, sentence):
    root = tmp_path / "root"
    write_root(root)
    damage(root)
    with pytest.raises((FileNotFoundError, ValueError), match=sentence):
        prepare(TINY, root, tmp_path / "out")
    assert not (tmp_path / "out" / "cache").exists()


def result(row, seed, hits, n=100):
    count = {"n": n, "intersection": 50, "union": 100, "hits": [hits] * 5, "iou_sum": 40.0}
    metrics = {e: dict.fromkeys(("all", "small"), count) for e in ("clean", "parity")}
    return {"row": row, "seed": seed, "metrics": metrics}


def test_the_table_shows_means_spreads_and_the_paper():
    text = tables.markdown([result("Baseline", 0, 40), result("Baseline", 1, 44)])
    assert "| all | Baseline | ours | 2 | 42.0 ± 2.8 |" in text
    assert "| all | Baseline | paper | 1 | 55.19 |" in text
    assert "| all | Baseline | ours | 1 | 40.0 |" in tables.markdown([result("Baseline", 0, 40)])
    rival = tables.markdown([result("CMPC", 0, 40), result("LSTM-CNN", 0, 30)])
    assert "| small | CMPC | paper | 1 | 44.79 |" in rival
    assert "| all | LSTM-CNN | ours | 1 | 30.0 |" in rival and "LSTM-CNN | paper" not in rival


@pytest.mark.parametrize("row", FURTHER_ROWS)
def test_a_row_that_the_paper_lacks_is_shown_when_it_has_runs(row):
    ours = [result("Baseline", 0, 40), result("Baseline+RES+AMF", 0, 44)]
    assert row not in tables.markdown(ours)
    text = tables.markdown([*ours, result(row, 0, 42)])
    assert f"| all | {row} | ours | 1 | 42.0 |" in text and f"{row} | paper" not in text


def test_costs_stand_beside_the_row_and_refined_rows_apart():
    costs = {"Baseline": {"parameters": 2e6, "GFLOP": 0.5, "step": 0.2}}
    costs["CMPC"] = costs["Baseline"] | {"step": 0.5}
    text = tables.markdown([result("CMPC", 0, 40), result("image-blind", 0, 1)], costs=costs)
    assert "| 50.0 | 2.00 | 0.500 | x 2.50 |" in text and "| 50.0 |  |  |  |" in text
    assert "+DCRF" not in text
    refined = tables.refined_markdown([result("CMPC", 0, 40)], [result("CMPC+DCRF", 0, 43)])
    assert "| small | CMPC+DCRF | 0 | 43.0 (+3.0) |" in refined
    at = {"dataset": "unc+", "split": "val"}
    both = [result("CMPC", seed, 40) | at for seed in (0, 1)]
    alone = result("Baseline", 0, 40) | at | {"dataset": "referit", "split": "test"}
    text = tables.table3_markdown([alone, *both])
    assert text.startswith("| row | unc+ val | referit test |")  # the paper's order
    assert text.endswith("| Baseline |  | 50.0 |\n| CMPC | 50.0 ± 0.0 |  |")


def test_where_nothing_differs_hardly_a_table_holds_a_verdict():
    """Five rows that are the same but for chance: 2,000 tables, of which 5 % may err, not 60 %."""
    dice, wrong, alone = np.random.default_rng(0), 0, 0
    for _ in range(2000):
        p = 2 * stats.t.sf(np.abs(dice.standard_t(2, 30)), 2)
        wrong += min(statistics.holm(list(p))) < statistics.LEVEL
        alone += min(p) < statistics.LEVEL
    assert wrong / 2000 < 0.07 and alone / 2000 > 0.6


def test_p_values_are_corrected_by_holms_rule():
    """The example of his rule worked out by hand."""
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([]) == [] and statistics.holm([0.9, 0.8]) == [1.0, 1.0]


def test_the_papers_figures_are_the_printed_ones():
    paper = tables.paper_table()
    assert tuple(paper["columns"]) == tables.COLUMNS
    assert list(paper["all"]) == list(paper["small"]) == ["CMPC", *ROWS]
    assert paper["all"]["Baseline+RES+AMF"] == [58.62, 52.71, 44.26, 31.89, 10.95, 50.30]
    assert paper["small"]["Baseline"][4] == 0.82


def test_json_is_whole_or_not_there(tmp_path):
    path = tmp_path / "a" / "b.json"
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert not path.exists()
    write_json(path, {"a": 1})
    assert json.loads(path.read_text()) == {"a": 1} and list(path.parent.iterdir()) == [path]
