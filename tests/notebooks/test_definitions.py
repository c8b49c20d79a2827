"""What a notebook defines by hand is executed as it stands there and held to the package."""

import ast
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
import torch.nn.functional as F

import tvnet
from tvnet.course import reference
from tvnet.evaluation.metrics import BINS, PerSentence, counters, figures
from tvnet.model.amf import AMF
from tvnet.model.blocks import l2_normalize
from tvnet.model.conv_lstm import PlainConvLSTM
from tvnet.model.enrichment import Enrichment
from tvnet.model.expression import Expression
from tvnet.model.fusion import Bilinear, coordinates
from tvnet.retrieval.search import Faiss
from tvnet.training.loop import learning_rate, loss_of

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
TRUE = torch.ones(1)


def definitions():
    """{"04.my_enrichment": source} of every function and class that a notebook's cell defines."""
    found = {}
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        for cell in nbformat.read(path, 4).cells:
            if cell.cell_type == "code" and "colab" not in cell.metadata.get("tags", []):
                for node in ast.parse(cell.source).body:
                    if isinstance(node, ast.FunctionDef | ast.ClassDef):
                        found[f"{path.stem[:2]}.{node.name}"] = ast.unparse(node)
    return found


FOUND = definitions()


def by_hand(name):
    """The notebook's own function."""
    scope = {"torch": torch, "F": F, "np": np, "l2_normalize": l2_normalize}
    exec(FOUND[name], scope)
    return scope[name.split(".")[1]]


@pytest.fixture
def model():
    torch.manual_seed(0)
    return replace(tvnet.settings("smoke").model, d_words=5, d_s=6, d_m=8, d_hr=4, norm_groups=2)


def lstm(model):
    reader = Expression(20, model)
    s, _ = reader(torch.tensor([[7, 3, 11, 0]]), torch.tensor([3]))
    return by_hand("02.my_lstm")(reader, [7, 3, 11]), s[0]


def top_k(model):
    rows = F.normalize(torch.randn(50, 8), dim=1).numpy()
    best, _, _ = Faiss(rows).shortlist(rows[:1], 5)
    return torch.tensor(by_hand("03.top_k")(rows @ rows[0], 5)), torch.tensor(best[0][:5])


def enrichment(model):
    block = Enrichment(8, model)
    torch.nn.init.normal_(block.W3.weight)
    V_in, V_sim = torch.randn(2, 1, 8, 4, 5)
    return by_hand("04.my_enrichment")(block, V_in, V_sim), block(V_in, V_sim)


def bilinear(model):
    block, V, s = Bilinear(12, model), torch.randn(2, 12, 5, 5), torch.randn(2, 6)
    O = coordinates(5, 5, V)  # noqa: E741
    return by_hand("05.my_bilinear")(block, V, s, O), block(V, s, O)


def plain_step(model):
    cell, levels = PlainConvLSTM(model), list(torch.randn(3, 2, 8, 5, 5))
    h = c = torch.zeros_like(levels[0])
    for x in levels:
        h, c = by_hand("05.my_plain_step")(cell, x, h, c)
    return h, cell(levels)


def pixel_shuffle(model):
    x = torch.randn(2, 16, 3, 5)
    return by_hand("06.my_pixel_shuffle")(x), AMF(12, model).shuffle(x)


COMPARED = {
    "02.my_lstm": lstm,
    "03.top_k": top_k,
    "04.my_enrichment": enrichment,
    "05.my_bilinear": bilinear,
    "05.my_plain_step": plain_step,
    "06.my_pixel_shuffle": pixel_shuffle,
}
# Experiments of a notebook: the package has nothing of the kind to compare them with.
EXPERIMENTS = {
    "04.effective_cells", "04.learn", "06.on_grid", "06.best_on_grid",
    "06.iou", "06.there_and_back", "07.weight_after", "07.Two",
    "07.judge", "08.imagined", "08.disc",
    "08.perfect_logits", "08.ceiling", "08.half_logits", "08.soft_logits",
}  # fmt: skip


@pytest.mark.parametrize("name", COMPARED)
def test_by_hand_equals_the_package(name, model):
    mine, packaged = COMPARED[name](model)
    torch.testing.assert_close(mine, packaged, atol=1e-5, rtol=1e-4)


def test_every_definition_is_compared_an_exercise_or_an_experiment():
    stubs = {name for name, source in FOUND.items() if "reference." in source}
    assert set(FOUND) == stubs | set(COMPARED) | EXPERIMENTS
    assert not stubs & (set(COMPARED) | EXPERIMENTS)
    package = {p.stem for p in (NOTEBOOKS.parent / "tvnet").rglob("*.py")}
    for name in EXPERIMENTS:
        assert name.split(".")[1].removeprefix("my_") not in package | set(dir(tvnet))


def attention_and_gate(model):
    block = Enrichment(8, model)
    torch.nn.init.normal_(block.W3.weight)
    V_in, V_sim = torch.randn(2, 1, 8, 4, 5)
    valid = torch.arange(20) > 4
    a, b = V_in.flatten(2)[0].T, V_sim.flatten(2)[0].T
    A = reference.attention(block.W1(a), block.W2(b), valid)
    borrowed = (A @ block.W3(b)).T.view_as(V_in)
    mine = reference.enriched(V_in, block.gate(V_in), borrowed)
    return mine, block(V_in, V_sim, valid.view(1, 4, 5))


def eight_coordinates(model):
    cells = [[reference.coordinates_of(r, c, 3, 4) for c in range(4)] for r in range(3)]
    return torch.tensor(cells).permute(2, 0, 1)[None], coordinates(3, 4, TRUE)


def loss(model):
    logits, mask = torch.randn(3, 1, 6, 6), torch.rand(3, 1, 6, 6) < 0.3
    return reference.mask_loss(logits, mask), loss_of(logits, mask)


def rates(model):
    budget = tvnet.settings("laptop").training
    ends = budget.steps, budget.learning_rate, budget.end_learning_rate
    steps = (0, 7, 1000, budget.steps, budget.steps + 9)
    mine = [reference.rate_at(step, *ends) for step in steps]
    return torch.tensor(mine), torch.tensor([learning_rate(step, budget) for step in steps])


def measures(model):
    random = np.random.default_rng(0)
    union = random.integers(20, 90, 40)
    inside = random.integers(0, 20, 40)
    ones = np.ones(40, int)
    table = figures(counters(PerSentence(ones, inside, union, ones, ones)))
    mine = [100 * reference.overall_iou(inside, union)]
    mine += [100 * reference.precision_at(inside / union, x) for x in (0.5, 0.7)]
    return torch.tensor(mine), torch.tensor(
        [table[k] for k in ("overall_iou", "prec_0.5", "prec_0.7")]
    )


def size_bins(model):
    areas = np.array([1, 49, 50, 99, 100, 900])
    ones, pixels = np.ones(6, int), np.full(6, 1000)
    found = PerSentence(areas, ones, ones, areas, pixels)  # sent_id: the area, to tell it by
    inside = [found.within(reference.size_bin(int(a), 1000)).sent_id for a in areas]
    assert {"small", "medium", "big"} < set(BINS)
    return torch.tensor(
        [int(a in held) for a, held in zip(areas, inside, strict=True)]
    ), torch.ones(6, dtype=int)


@pytest.mark.parametrize(
    "pair", [attention_and_gate, eight_coordinates, loss, rates, measures, size_bins]
)
def test_the_exercises_answers_equal_the_package(pair, model):
    mine, packaged = pair(model)
    torch.testing.assert_close(mine, packaged, atol=1e-5, rtol=1e-4)
