"""The rivals: shapes, invariants, their equations by hand in float64, their seat in the loop."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from tests.tiny_parts import TINY, double, wakened
from tvnet.course.figures.rivals import common_words, comprehend, draw_graph, draw_types
from tvnet.data import refer
from tvnet.evaluation.ablation import row_costs, run
from tvnet.model.backbone import DeepLab
from tvnet.model.blocks import l2_normalize, upsample
from tvnet.model.expression import Expression, WordStates
from tvnet.model.fusion import coordinates
from tvnet.model.method import METHODS, build
from tvnet.model.rivals import cmpc, lstm_cnn
from tvnet.model.rivals.cmpc import CMPCTrace, Perception, RelationGraph, WordParser
from tvnet.model.rivals.lstm_cnn import LSTMCNNTrace
from tvnet.model.trace import LEVELS
from tvnet.retrieval.build import build as build_neighbours
from tvnet.rows import RIVALS, TABLE1, row_settings
from tvnet.saved_model import load, save
from tvnet.settings import CHOICES, settings
from tvnet.training.loop import parameter_groups, train
from tvnet.training.setup import prepare

SMOKE = settings("smoke")
TRACES = {"CMPC": CMPCTrace, "LSTM-CNN": LSTMCNNTrace}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def inputs(batch, size, backbone=SMOKE.backbone):
    maps = DeepLab(backbone).freeze()(torch.randint(0, 256, (batch, 3, size, size)).byte())
    lengths = torch.randint(1, 6, (batch,))
    lengths[0] = 5
    return maps, None, torch.randint(4, 10, (batch, 5)), lengths


def test_every_method_of_the_settings_is_registered():
    assert tuple(METHODS) == CHOICES["method"]
    for row in RIVALS:
        chosen = row_settings(SMOKE, row)
        assert type(build(chosen, 30)).__name__ == METHODS[chosen.model.method][1]
        assert chosen.training == replace(SMOKE.training)  # from scratch


@pytest.mark.parametrize("row", RIVALS)
@pytest.mark.parametrize("batch, size", [(1, 96), (3, 64), (2, 97)])
def test_every_tensor_has_the_shape_of_its_table(row, batch, size):
    chosen, trace = row_settings(SMOKE, row), TRACES[row]()
    logits = build(chosen, 30)(*inputs(batch, size), size=size, trace=trace)
    if row == "CMPC":
        table = cmpc.expected_shapes(chosen, batch, size, words=5)
    else:
        table = lstm_cnn.expected_shapes(chosen, batch, size)
    assert trace.shapes() == table and table["logits"] == (batch, 1, size, size)
    assert torch.isfinite(logits).all()


def test_cmpc_at_the_papers_size_has_prior_codes_widths():
    """40x40 cells of 1000 numbers; 15 products, 2 rounds and 3008 channels before the last conv."""
    with torch.device("meta"):
        model = build(row_settings(settings("paper"), "CMPC"), 12112)
    table = cmpc.expected_shapes(model.settings, 1, 320, words=20)
    assert table["M[5]"] == (1, 1000, 40, 40) and table["to_words[3]"] == (1, 1600, 20)
    assert table["X[4]"] == (1, 500, 40, 40)

    def count(module):
        return sum(p.numel() for p in module.parameters())

    mutans = [count(part.mutan) for part in model.perception.values()]
    assert sum(mutans) == pytest.approx(30.15e6, rel=1e-3)
    assert count(model.exchange) == pytest.approx(15.0e6, rel=0.01)
    assert model.fuse["3"].weight.shape == (500, 3008, 1, 1)


def test_each_cell_spends_all_its_weight_in_the_relation_graph():
    trace = CMPCTrace()
    maps, _, words, lengths = inputs(3, 96)
    wakened(model := build(row_settings(SMOKE, "CMPC"), 30)).float()
    model(maps, None, words, lengths, trace=trace)
    for n in LEVELS:
        adjacency = trace.to_words[n] @ trace.to_cells[n]
        assert torch.allclose(adjacency.sum(-1), torch.ones(()), atol=1e-5)
        assert (adjacency >= 0).all()
    types, pad = trace.types, torch.arange(5) >= lengths[:, None]
    assert torch.allclose(types.sum(-1), (~pad).float(), atol=1e-6)
    assert trace.to_words[4].transpose(1, 2)[pad].abs().max() == 0  # no weight goes to a pad


@pytest.mark.parametrize("row", RIVALS)
def test_what_stands_in_a_pad_changes_nothing(row):
    maps, _, words, lengths = inputs(3, 64)
    lengths[1:] = torch.tensor([2, 3])
    model = wakened(build(row_settings(SMOKE, row), 30)).float()
    other = words.masked_fill(torch.arange(5) >= lengths[:, None], 7)
    before, after = (model(maps, None, w, lengths, size=64) for w in (words, other))
    assert not torch.equal(words, other) and torch.equal(before, after)
    alone = model({name: V[1:2] for name, V in maps.items()}, None, words[1:2], lengths[1:2])
    assert torch.allclose(alone[..., ::96], model(maps, None, words, lengths)[1:2, ..., ::96],
                          rtol=1e-3, atol=1e-3)  # fmt: skip


def layer_norm(x, norm):
    """Over all of a sample's numbers, with one gain and offset a channel."""
    scaled = F.layer_norm(x, x.shape[1:], eps=norm.eps)
    return scaled * norm.weight[:, None, None] + norm.bias[:, None, None]


def test_the_factored_graph_is_the_dense_one():
    """The adjacency formed and applied cell by cell, as the figure draws it."""
    graph, d = wakened(RelationGraph(4)), 4
    M, h = double(2, 4, 2, 3), F.normalize(double(2, 3, 4), dim=-1)
    R, pad = double(2, 3).sigmoid(), torch.tensor([[False] * 3, [False, False, True]])
    found, _, _ = graph(M, h, R, pad)
    for b, T in enumerate((3, 2)):
        cells = M[b].reshape(d, 6)
        W, bias = graph.cell.weight[:, :, 0, 0], graph.cell.bias
        key = [W @ cells[:, i] + bias for i in range(6)]
        word = [graph.word(h[b, t]) for t in range(T)]
        B = torch.stack([torch.stack([R[b, t] * (k @ word[t]) / d**0.5 for t in range(T)])
                         for k in key])  # fmt: skip
        dense = torch.zeros(6, 6, dtype=torch.float64)
        for i in range(6):
            for j in range(6):
                for t in range(T):
                    towards = B[i, t].exp() / B[i].exp().sum()
                    dense[i, j] += towards * B[j, t].exp() / B[:, t].exp().sum()
        assert torch.allclose(dense.sum(1), torch.ones(6, dtype=torch.float64))
        along = (cells @ dense.T).reshape(1, d, 2, 3)
        G = torch.relu(M[b : b + 1] + layer_norm(along, graph.gathered))
        G = F.conv2d(G, graph.update.weight, graph.update.bias)
        G = torch.relu(layer_norm(G, graph.updated))
        assert torch.allclose(found[b : b + 1], l2_normalize(G))


def test_the_parser_and_the_perception_word_by_word():
    parser, h = wakened(WordParser(TINY)), double(1, 2, 5)
    types = parser(h, torch.tensor([[False, True]]))[0]
    hidden = torch.relu(parser.hidden.weight @ h[0, 0] + parser.hidden.bias)
    scores = (parser.types.weight @ hidden + parser.types.bias).exp()
    assert torch.allclose(types[0], scores / scores.sum()) and (types[1] == 0).all()

    part = wakened(Perception(6, replace(TINY, rank=5, tanh=True)))
    V, q, O = double(1, 6, 2, 2), double(1, 5), coordinates(2, 2, double(1))  # noqa: E741
    joined = torch.cat([l2_normalize(part.lateral(V)), O], 1)
    total = 0
    for W4, W5 in zip(part.mutan.W4, part.mutan.W5, strict=True):
        total = total + torch.tanh(W5(joined)) * torch.tanh(W4(q))[..., None, None]
    assert len(part.mutan.W4) == 5
    assert torch.allclose(part(V, q, O), l2_normalize(torch.tanh(total)))


def test_lstm_cnn_is_two_convolutions_over_words_features_and_place():
    model = wakened(build(row_settings(SMOKE, "LSTM-CNN"), 30))
    maps, _, words, lengths = inputs(2, 64)
    maps = {name: V.double() for name, V in maps.items()}
    trace = LSTMCNNTrace()
    model(maps, None, words, lengths, size=64, trace=trace)
    V5, O = maps["V5"], coordinates(8, 8, maps["V5"])[0]  # noqa: E741
    for b, y, x in [(0, 0, 0), (1, 3, 7)]:
        cell = torch.cat([trace.s[b], F.normalize(V5[b, :, y, x], dim=0), O[:, y, x]])
        hidden = torch.relu(model.classify.weight[:, :, 0, 0] @ cell + model.classify.bias)
        score = model.score.weight[0, :, 0, 0] @ hidden + model.score.bias
        assert torch.allclose(trace.score[b, :, y, x], score)


def test_word_states_are_those_of_the_sentence_vector():
    both = [cls(30, TINY) for cls in (Expression, WordStates)]
    both[1].load_state_dict(both[0].state_dict())
    words, lengths = torch.randint(4, 30, (3, 5)), torch.tensor([5, 1, 3])
    s, _ = both[0](words, lengths)
    h, pad = both[1](words, lengths)
    assert torch.allclose(h[range(3), lengths - 1], s)
    assert torch.equal(pad.sum(1), 5 - lengths) and (h[pad] == 0).all()


def test_gradients_of_the_relation_graph():
    graph = wakened(RelationGraph(3))
    pad = torch.tensor([[False, False, True]])
    given = [double(1, 3, 2, 2), double(1, 3, 3), double(1, 3)]
    given = [x.requires_grad_() for x in given]
    assert gradcheck(lambda M, h, R: graph(M, h, R, pad)[0], given, atol=1e-4)


@pytest.mark.parametrize("row", RIVALS)
def test_frozen_parts_stay_frozen_and_all_others_learn(row, ready):
    chosen = row_settings(SMOKE, row)
    budget = replace(chosen.training, steps=3, batch=4)
    chosen = replace(chosen, training=budget)
    backbone = {n: t.clone() for n, t in ready.features.backbone.state_dict().items()}
    torch.manual_seed(0)
    start = build(chosen, len(ready.vocabulary)).state_dict()
    model = train(chosen, ready.dataset(chosen, "train"), ready.features, 0)
    after = ready.features.backbone.state_dict()
    assert all(torch.equal(after[name], t) for name, t in backbone.items())
    still = {name for name, t in model.state_dict().items() if torch.equal(t, start[name])}
    assert still == set()
    groups = parameter_groups(model, ready.features.backbone, chosen.training)
    assert sum(len(g["params"]) for g in groups) == len(list(model.parameters()))


@pytest.mark.parametrize("row", RIVALS)
def test_a_saved_rival_comes_back_as_itself(row, ready, tmp_path):
    chosen = row_settings(SMOKE, row)
    model = build(chosen, len(ready.vocabulary)).eval()
    save(tmp_path, model, ready.vocabulary, ready.features.backbone)
    again, _ = load(tmp_path, chosen)
    given = inputs(2, 96)
    assert type(again) is type(model) and torch.equal(again(*given), model(*given))
    with pytest.raises(ValueError, match="model.method is '.*' there, 'tvnet' here"):
        load(tmp_path, row_settings(SMOKE, "Baseline"))


def test_cmpc_in_bfloat16_is_close():
    model, maps = wakened(build(row_settings(SMOKE, "CMPC"), 30)).float(), inputs(2, 96)
    trace = CMPCTrace()
    with torch.no_grad():
        exact = model(*maps)
        with torch.autocast("cpu", torch.bfloat16):
            low = model(*maps, trace=trace)
    assert low.dtype == trace.types.dtype == trace.to_words[3].dtype == torch.float32
    assert 0 < (low - exact).abs().max() < 0.15 * exact.abs().max()


@pytest.mark.slow
def test_a_trained_cmpc_shows_its_words_and_its_graph(tiny_root, tmp_path):
    short = replace(SMOKE, training=replace(SMOKE.training, steps=2, batch=2))
    run(short, "CMPC", 0, tiny_root, tmp_path)
    seen = comprehend(short, 0, tiny_root, tmp_path)
    assert seen.words == ["the", "red", "one", "of", "picture", "7"]  # the longest of val
    assert seen.types.shape == (6, 4) and seen.types.sum() == pytest.approx(6, abs=1e-4)
    shares = common_words(short, 0, tiny_root, tmp_path, count=3)
    assert list(shares)[0] == "all" and len(shares) == 4
    assert all(types.sum() == pytest.approx(1, abs=1e-4) for types in shares.values())
    assert len(seen.attended) == 2 and set(seen.attended) <= set(seen.words)
    for where in (*seen.attended.values(), seen.neighbours):
        assert where.shape == (12, 12) and where.sum() == pytest.approx(1, abs=1e-4)
    assert seen.mask.shape == seen.truth.shape == (96, 96) and seen.truth.any()
    assert [text.get_text() for text in draw_types(seen).axes[0].get_yticklabels()] == seen.words
    titles = [ax.get_title() for ax in draw_graph(seen).axes if ax.get_title()]
    assert titles[2:] == ["+ receives from", "CMPC's mask", "truth"]


@pytest.mark.slow
def test_costs_are_counted_and_measured(tiny_root, tmp_path):
    build_neighbours(SMOKE, refer.read(tiny_root, "unc+"), tmp_path)
    found = row_costs(SMOKE, tiny_root, tmp_path, steps=5)
    assert list(found) == list(TABLE1)
    for row, cost in found.items():
        words = len(prepare(row_settings(SMOKE, row), tiny_root, tmp_path).vocabulary)
        assert cost["parameters"] == build(row_settings(SMOKE, row), words).count_parameters()
    assert 0 < found["LSTM-CNN"]["step"] < found["Baseline+RES+AMF"]["step"]
    assert found["LSTM-CNN"]["GFLOP"] < found["Baseline"]["GFLOP"] < found["CMPC"]["GFLOP"]


def test_cmpc_gathers_words_by_type_and_fuses_what_it_found():
    """From the trace's words, types and maps to q, t, X and the logits, step by step."""
    model = wakened(build(row_settings(SMOKE, "CMPC"), 30))
    maps, _, words, lengths = inputs(2, 64)
    trace = CMPCTrace()
    maps = {name: V.double() for name, V in maps.items()}
    logits = model(maps, None, words, lengths, size=64, trace=trace)
    for b in range(2):
        q = t = 0
        for k in range(lengths[b]):
            entity, attribute, _, unnecessary = trace.types[b, k]
            q = q + (entity + attribute) * trace.h[b, k]
            t = t + (1 - unnecessary) * trace.h[b, k]
        assert torch.allclose(trace.q[b], q / q.norm()) and torch.allclose(trace.t[b], t / t.norm())
    X = {}
    for n in LEVELS:
        tiled = trace.q[:, :, None, None] + torch.zeros(2, 1, 8, 8)
        parts = [trace.M[n], trace.G[n], tiled, trace.O.repeat(2, 1, 1, 1)]
        fuse = model.fuse[str(n)]
        X[n] = torch.relu(F.conv2d(torch.cat(parts, 1), fuse.weight, fuse.bias))
        assert torch.allclose(trace.X[n], X[n])
    assert len(model.exchange) == 2
    X = model.exchange[1](model.exchange[0](X, trace.t), trace.t)
    M_fine = model.conv_lstm([X[3], X[4], X[5]])
    assert torch.allclose(upsample(model.head(M_fine), 64), logits)
