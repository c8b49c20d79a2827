"""LSCM: the tree of a sentence, the word graph by hand, an edge that the tree does not have."""

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from tests.model.rivals.tiny import SMALL, inputs, small, traced
from tests.tiny_parts import double, wakened
from tvnet.data import word_kinds
from tvnet.model.rivals import lscm, tree
from tvnet.model.rivals.lscm import WordGraph, WordNorm


def kinds_of(sentence):
    return torch.tensor([word_kinds.word_kinds(sentence.split())])


def links(sentence, more_pads=0, rule="rules"):
    """The linked pairs of a sentence, as words in their order."""
    kinds, words = kinds_of(sentence), sentence.split()
    pad = torch.zeros_like(kinds, dtype=torch.bool)
    if more_pads:
        kinds = F.pad(kinds, (0, more_pads), value=tree.RELATION)
        pad = F.pad(pad, (0, more_pads), value=True)
    D = tree.neighbours(kinds, pad, rule)[0]
    assert torch.equal(D, D.T) and not D.diagonal().any() and not D[len(words) :].any()
    return {f"{words[i]}-{words[j]}" for i, j in D.triu().nonzero().tolist()}


@pytest.mark.parametrize(
    "sentence, expected",
    [
        ("cup", set()),
        ("red cup left", {"red-cup", "cup-left"}),
        ("the cup on table", {"the-cup", "cup-on", "on-table"}),
        ("on the left", {"on-left", "the-left"}),
        ("cup to the left of dog", {"cup-to", "to-left", "the-left", "left-of", "of-dog"}),
        ("man standing in blue", {"man-standing", "standing-in", "in-blue"}),
        ("man in red shirt and hat", {"man-in", "in-shirt", "red-shirt", "shirt-and", "and-hat"}),
        ("dog in", {"dog-in"}),
    ],
)
def test_a_sentences_tree(sentence, expected):
    assert links(sentence) == links(sentence, more_pads=3) == expected


def test_every_tree_is_connected_by_as_few_links_as_can_be():
    for T in range(1, 9):
        kinds, pad = torch.randint(0, 3, (50, T)), torch.zeros(50, T, dtype=torch.bool)
        for rule in ("rules", "chain"):
            D = tree.neighbours(kinds, pad, rule)
            assert (D.sum((1, 2)) == 2 * (T - 1)).all()
            reached = torch.matrix_power(D.double() + torch.eye(T).double(), T)
            assert (reached > 0).all()
    assert links("a b c", rule="chain") == {"a-b", "b-c"}
    assert tree.neighbours(kinds, pad, "all").all()
    names = ("NOUN", "SIDE_WORD", "RELATION")
    assert all(getattr(tree, name) == getattr(word_kinds, name) for name in names)


def norm_by_hand(x, norm):
    """Of one sentence's words (T, d), pads left out."""
    return (x - x.mean()) / (x.var(correction=0) + 1e-5) ** 0.5 * norm.gain + norm.offset


def test_gather_exchange_distribute_word_by_word():
    part, d = wakened(WordGraph(4)), 4
    M, h = double(2, d, 2, 3), F.normalize(double(2, 3, d), dim=-1)
    pad = torch.tensor([[False] * 3, [False, False, True]])
    D = torch.full((2, 3, 3), 0.1).double() + 0.9 * (double(2, 3, 3) > 0)
    G, P, A, N = part(M, h, pad, D)
    for b, T in enumerate((3, 2)):
        cells, W = M[b].flatten(1), part.cell.weight[:, :, 0, 0]
        nodes, looks = [], []
        for t in range(T):
            word = part.word(h[b, t])
            match = torch.stack([(W @ cells[:, i] + part.cell.bias) @ word / d**0.5
                                 for i in range(6)]).exp()  # fmt: skip
            looks.append(match / match.sum())
            node = sum(looks[t][i] * cells[:, i] for i in range(6))
            nodes.append(node / node.norm())
        n = torch.stack(nodes)
        S = (part.query(n) @ part.key(n).T / d**0.5).exp()
        graph = S / S.sum(1, keepdim=True) * D[b, :T, :T]
        n = torch.relu(n + norm_by_hand(graph @ n, part.exchanged))
        n = torch.relu(norm_by_hand(part.update(n), part.updated))
        back = torch.stack([sum(looks[t][i] * n[t] for t in range(T)) for i in range(6)], 1)
        assert torch.allclose(P[b, :, :T], torch.stack(looks, 1)) and (P[b, :, T:] == 0).all()
        assert torch.allclose(A[b, :T, :T], graph) and torch.allclose(N[b, :T], n)
        assert (N[b, T:] == 0).all()
        assert torch.allclose(G[b].flatten(1), F.normalize(back, dim=0))


def test_the_norm_sees_no_pad():
    part, x = wakened(WordNorm(3)), double(1, 4, 3)
    pad = torch.tensor([[False, False, True, True]])
    found = part(x, pad)[0, :2]
    assert torch.allclose(found, part(x[:, :2], pad[:, :2])[0])
    assert torch.allclose(found, norm_by_hand(x[0, :2], part))


def test_an_edge_outside_the_tree_is_damped_and_none_is_cut():
    """A word reaches another in one exchange also along an edge of a tenth; without it, not."""
    part, M = wakened(WordGraph(4)), double(1, 4, 2, 2)
    part.exchanged.register_forward_hook(lambda module, given, out: given[0])  # no common mean
    part.updated.register_forward_hook(lambda module, given, out: given[0])
    h, pad = F.normalize(double(1, 3, 4), dim=-1), torch.zeros(1, 3, dtype=torch.bool)
    link = tree.neighbours(torch.zeros(1, 3, dtype=torch.long), pad, "chain").double()
    for floor, reached in [(0.1, True), (0.0, False)]:
        A = part(M, h, pad, link + floor * (1 - link))[2]
        whole = part(M, h, pad, torch.ones(1, 3, 3).double())[2]
        assert (A <= whole).all() and torch.allclose(whole.sum(2), torch.ones(1, 3).double())
        assert bool(A[0, 0, 2] > 0) == reached and A[0, 0, 1] == whole[0, 0, 1]


def test_levels_are_read_down_to_V2_and_up_again():
    maps, _, words, lengths = inputs(2, 64, SMALL.backbone)
    model, seen = small("LSCM"), []
    model.conv_lstm.register_forward_pre_hook(lambda module, given: seen.extend(given[0]))
    trace = traced("LSCM", model, maps, words, lengths)
    assert lscm.DOWN_AND_UP == lscm.DOWN_AND_UP[::-1] and lscm.DOWN_AND_UP[3] == 2
    assert all(x is trace.X[n] for x, n in zip(seen, lscm.DOWN_AND_UP, strict=True))
    read = model.expression(words, lengths)
    for b in range(2):
        q = read.states[b, : lengths[b]].amax(0)
        assert torch.allclose(trace.q[b], q / q.norm())


def test_the_vocabularys_kinds_make_the_tree_of_the_ids():
    maps, _, words, lengths = inputs(2, 64, SMALL.backbone)
    model = small("LSCM")
    kinds = [k % 3 for k in range(30)]
    model.take_kinds(kinds)
    trace = traced("LSCM", model, maps, words, lengths)
    pad = torch.arange(5) >= lengths[:, None]
    expected = tree.neighbours(words % 3, pad).double()
    assert torch.allclose(trace.D, expected + 0.1 * (1 - expected))
    assert "kinds" in model.state_dict()


def test_gradients_of_the_word_graph():
    part, pad = wakened(WordGraph(3)), torch.tensor([[False, False, True]])
    D = torch.rand(1, 3, 3, dtype=torch.float64)
    given = [double(1, 3, 2, 2).requires_grad_(), double(1, 3, 3).requires_grad_()]
    assert gradcheck(lambda M, h: part(M, h, pad, D)[0], given, atol=1e-4)
