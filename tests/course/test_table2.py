"""What notebook 12 and the README say of the published Table 2 holds."""

from tvnet.course.paper import load
from tvnet.course.table2 import published_table2
from tvnet.evaluation.metrics import figures
from tvnet.rows import TABLE2

BEST, COLUMN = "Baseline+RES+AMF", "unc+ val"
OTHERS = ("unc val", "unc testA", "unc testB", "gref val", "referit test")


def measured():
    """{(row, "data set split"): its figures}, refined rows as well."""
    two = published_table2()
    return {
        (t["row"], f"{t['dataset']} {t['split']}"): figures(t["metrics"]["clean"]["all"])
        for t in two.tests + two.refined
    }


def test_the_order_on_other_data_sets():
    ours = measured()
    fourth = set()
    for column in (COLUMN, *OTHERS):
        order = sorted(TABLE2, key=lambda row: -ours[row, column]["overall_iou"])
        assert set(order[:4]) == {BEST, "STEP", "CMPC", "LSCM"}
        assert set(order[4:6]) == {"DMN", "BRINet"}
        assert order[0] == ("STEP" if column == "unc testA" else BEST)
        fourth.add(order[3])
        place = order.index("LSTM-CNN")
        if column == COLUMN:
            assert set(order[place + 1 :]) == {"RMI", "KWA", "MAttNet"}
        else:
            assert place >= 10
    assert len(fourth) > 1  # the order turns
    hits = {key: found["prec_0.5"] for key, found in ours.items()}  # what a star is given for
    stars = {(r, c) for r in TABLE2 for c in OTHERS if hits[r, c] < hits["LSTM-CNN", c]}
    assert stars == {("MAttNet", "referit test")}
    for column, place in (("gref val", 4), ("referit test", 5)):
        assert sorted(TABLE2, key=lambda r: -hits[r, column])[place - 1] == BEST


def test_the_order_of_refined_rows():
    """In notebook 12 of overall IoU, in the README of Prec@0.8."""
    found = measured()
    columns = [column for row, column in found if row == "CMPC+DCRF"]
    assert set(columns) == {COLUMN, "gref val", "referit test"}
    for column in columns:
        rival, best = found["CMPC+DCRF", column], found[BEST, column]
        assert rival["overall_iou"] > best["overall_iou"]
        assert rival["prec_0.8"] > best["prec_0.8"]
        if column == COLUMN:
            assert rival["overall_iou"] - best["overall_iou"] < 0.5  # "a fraction of a point"
    refined = {row for row, column in found if row.endswith("+DCRF") and column == "gref val"}
    assert len(refined) > len(TABLE2) / 2
    iou = {row: found[row, "gref val"]["overall_iou"] for row, c in found if c == "gref val"}
    for row in ("STEP", "CMPC"):
        assert 0.5 < iou[f"{row}+DCRF"] - iou[f"{BEST}+DCRF"] < 1.5  # "about a point"
        assert iou[f"{row}+DCRF"] - iou[row] > iou[f"{BEST}+DCRF"] - iou[BEST]


def test_to_read_the_fine_map_is_not_enough():
    sharp = {
        row: found["prec_0.8"] for (row, column), found in measured().items() if column == COLUMN
    }
    levels = {s["row"]: s["levels"] for s in load("systems")}
    for row in ("DMN", "LSCM"):
        assert 2 in levels[row] and 2 not in levels["STEP"] and sharp[row] < sharp["STEP"]
