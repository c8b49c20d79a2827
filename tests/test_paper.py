"""What is quoted of the paper agrees with itself; every claim points to an existing section."""

import re
from pathlib import Path

import pytest

from tvnet.course.paper import load, published
from tvnet.course.table1 import HEADINGS, STEPS, claim_verdict, directions
from tvnet.experiment.ablation import RIVALS

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


def test_the_tables_agree_where_they_overlap():
    tables = load("paper_tables")
    table2 = {(r["method"], r["crf"]): r["values"] for r in tables["table2"]["rows"]}
    columns = tables["table2"]["columns"]
    at = columns.index("unc+ val")
    assert table2["TV-Net", False][at] == tables["table1"]["all"]["Baseline+RES+AMF"][-1]
    assert table2["CMPC", True][at] == tables["table1"]["all"]["CMPC"][-1]
    small = tables["table3"]["rows"]["unc+ val"]
    assert small[0] == tables["table1"]["small"]["CMPC"][-1]
    assert small[2] == tables["table1"]["small"]["Baseline+RES+AMF"][-1]
    assert list(tables["table3"]["rows"]) == columns
    rows = tables["table2"]["rows"] + tables["table2"]["updated"]
    assert len(rows) == 15 and all(len(r["values"]) == len(columns) for r in rows)


def test_sums_of_the_printed_columns():
    """One checksum a table, so that a slipped digit shows."""
    tables = load("paper_tables")
    rows = [r["values"] for r in tables["table2"]["rows"]]
    assert sum(v for row in rows for v in row if v) == pytest.approx(4600.62, abs=0.005)
    assert sum(map(sum, tables["table3"]["rows"].values())) == pytest.approx(828.32, abs=0.005)


def test_every_claim_points_to_a_section_that_exists():
    for claim in load("claims"):
        assert set(claim) in ({"claim", "where", "verdict"}, {"claim", "where", "step", "columns"})
        number, section = re.fullmatch(r"(\d\d), section (\d+)", claim["where"]).groups()
        (path,) = NOTEBOOKS.glob(f"{number}_*.ipynb")
        assert f'"## {section} ' in path.read_text()


def test_a_claim_about_table_1_is_judged_by_the_published_counters():
    runs = published()["runs"]
    for claim in load("claims"):
        if "step" in claim:
            assert tuple(claim["step"]) in STEPS
            told = claim_verdict(claim, runs)
            for d in directions(runs, claim["columns"]):
                if list(d.step) == claim["step"]:
                    assert f"{HEADINGS[d.column]} of {d.size}: {d.verdict}" in told


def test_the_eleven_systems_of_table_2_are_described():
    systems, rows = load("systems"), load("paper_tables")["table2"]["rows"]
    others = dict.fromkeys(r["method"] for r in rows if r["method"] != "TV-Net")
    assert [s["method"] for s in systems] == list(others) and len(systems) == 11
    assert {s["row"] for s in systems} == {*RIVALS, None}
    for s in systems:
        assert set(s) == {"method", "year", "does", "expression", "row"}
        assert s["does"].endswith(".") and ". " not in s["does"]  # one sentence
        assert "|" not in s["expression"]  # it stands in a table


def test_the_published_counters_are_there():
    assert {r["seed"] for r in published()["runs"]} == {0, 1, 2}
