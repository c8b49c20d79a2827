"""CMPC and LSTM-CNN: invariants, their equations by hand in float64, what the course shows."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from tests.model.rivals.tiny import SMOKE, inputs
from tests.tiny_parts import TINY, double, wakened
from tvnet.course.table2 import common_words
from tvnet.data import refer
from tvnet.evaluation.ablation import row_costs, run
from tvnet.model.blocks import l2_normalize, upsample
from tvnet.model.expression import Expression, WordStates
from tvnet.model.fusion import coordinates
from tvnet.model.method import build
from tvnet.model.rivals import cmpc
from tvnet.model.rivals.cmpc import CMPCTrace, Perception, RelationGraph, WordParser
from tvnet.model.rivals.lstm_cnn import LSTMCNNTrace
from tvnet.model.trace import LEVELS
from tvnet.retrieval.build import build as build_neighbours
from tvnet.rows import BEST, row_settings
from tvnet.settings import settings
from tvnet.training.setup import prepare


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
def test_a_trained_cmpc_says_of_which_types_its_words_are(tiny_root, tmp_path):
    short = replace(SMOKE, training=replace(SMOKE.training, steps=2, batch=2))
    run(short, "CMPC", 0, tiny_root, tmp_path)
    shares = common_words(short, 0, tiny_root, tmp_path, count=3)
    assert list(shares)[0] == "all" and len(shares) == 4
    assert all(types.sum() == pytest.approx(1, abs=1e-4) for types in shares.values())


@pytest.mark.slow
def test_costs_are_counted_and_measured(tiny_root, tmp_path):
    build_neighbours(SMOKE, refer.read(tiny_root, "unc+"), tmp_path)
    rows = ["LSTM-CNN", "CMPC", "Baseline", BEST]
    found = row_costs(SMOKE, tiny_root, tmp_path, steps=5, rows=rows)
    assert list(found) == rows
    for row, cost in found.items():
        words = len(prepare(row_settings(SMOKE, row), tiny_root, tmp_path).vocabulary)
        assert cost["parameters"] == build(row_settings(SMOKE, row), words).count_parameters()
    assert 0 < found["LSTM-CNN"]["step"] < found[BEST]["step"]
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
