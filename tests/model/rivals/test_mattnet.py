"""MAttNet: phrases, boxes, modules and the choice by hand; what each score may depend on."""

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from tests.model.rivals.tiny import SMALL, inputs, small, traced
from tests.tiny_parts import double, wakened
from tvnet.model.rivals.mattnet_modules import Match, Phrases, Subject
from tvnet.model.rivals.objects import boxes, nearest, offsets, pick, read_regions

# left, top, right, bottom in pixels of 64, and the category
OBJECTS = [((0, 0, 16, 16), 1), ((24, 0, 40, 16), 2), ((0, 24, 16, 56), 1), ((48, 40, 64, 64), 3)]


def pictured(objects=OBJECTS, rows=8):
    """Maps with the objects' masks and categories, twice, and two sentences."""
    maps, _, words, lengths = inputs(2, 64, SMALL.backbone)
    masks, kinds = torch.zeros(2, rows, 64, 64, dtype=torch.bool), torch.zeros(2, rows).long()
    for k, ((x, y, right, bottom), kind) in enumerate(objects):
        masks[:, k, y:bottom, x:right], kinds[:, k] = True, kind
    return (
        {name: V.double() for name, V in maps.items()}
        | {
            "objects": masks,
            "categories": kinds,
        },
        words,
        lengths,
    )


def oracle():
    return small("MAttNet", "-oracle")


def seen(model, objects=OBJECTS):
    torch.manual_seed(1)
    maps, words, lengths = pictured(objects)
    return traced("MAttNet", model, maps, words, lengths)


def test_the_phrases_word_by_word():
    part = wakened(Phrases(4, 5))
    e, states = double(2, 3, 4), double(2, 3, 5)
    pad, lengths = torch.tensor([[False] * 3, [False, True, True]]), torch.tensor([3, 1])
    e, states = (x.masked_fill(pad[..., None], 0) for x in (e, states))
    h, w, a, q = part(e, states, pad, lengths)
    for b, T in enumerate((3, 1)):
        back = part.backwards(e[b : b + 1, :T].flip(1))[0][0].flip(0)
        joined = torch.cat([states[b, :T], back], 1)
        assert torch.allclose(h[b, :T], joined) and (h[b, T:] == 0).all()
        ends = part.weigh(torch.cat([states[b, T - 1], back[0]])).exp()
        assert torch.allclose(w[b], ends / ends.sum())
        for k in range(3):
            share = torch.stack([part.attend[k](word)[0] for word in joined]).exp()
            share = share / share.sum()
            assert torch.allclose(a[k][b, :T], share) and (a[k][b, T:] == 0).all()
            assert torch.allclose(q[k][b], sum(share[t] * e[b, t] for t in range(T)))


def test_the_box_of_a_rectangle_is_its_own_and_a_region_is_read_between_cells():
    maps, _, _ = pictured()
    box = boxes(maps["objects"].double())[0]
    for k, (corners, _) in enumerate(OBJECTS):
        expected = torch.tensor(corners).double() / 64 - 0.5 / 64  # pixel i lies at i / 64
        assert torch.allclose(box[k], expected)
    V = torch.arange(64).double().view(1, 1, 8, 8)  # linear: 8 y + x, in cells
    read = read_regions(V, torch.tensor([[[0.125, 0.25, 0.5, 0.625]]]).double())[0, 0, :, 0]
    xs, ys = [1.5, 2.5, 3.5], [2.5, 3.5, 4.5]
    assert torch.allclose(read, torch.tensor([8 * y + x for y in ys for x in xs]).double())


def test_neighbours_are_the_nearest_of_those_allowed():
    maps, _, _ = pictured()
    box, kinds = boxes(maps["objects"].double())[:1], maps["categories"][:1]
    real = maps["objects"].flatten(2).any(2)[:1]
    other = real[:, :, None] & real[:, None] & ~torch.eye(8).bool()
    alike = kinds[:, :, None] == kinds[:, None]
    near, exist = nearest(box, other, alike)
    assert near[0, 0, :3].tolist() == [1, 3, 2]  # of other kinds first, then the same kind
    assert exist[0, 0].tolist() == [True] * 3 + [False] * 2 and not exist[0, 4:].any()
    same, exist = nearest(box, other & alike, alike)
    assert same[0, 0, 0] == 2 and exist[0, :4].sum(1).tolist() == [1, 0, 1, 0]
    found = offsets(box, near, exist)
    assert (found[0, 0, 1:] == 0).all()
    x, y, right, bottom = 24 / 16, 0, 24 / 16, 0  # of object 1 from object 0, over 16 x 16
    assert torch.allclose(found[0, 0, 0], torch.tensor([x, y, right, bottom, 1.0]).double())


def test_the_subject_module_point_by_point():
    part = wakened(Subject(3, 4, 5, 6))
    R4, R5, q = double(1, 2, 9, 3), double(1, 2, 9, 4), double(1, 5)
    x, look = part(R4, R5, q)

    def unit(v, scale):
        return v / v.norm() * scale.scale

    for j in range(2):
        cells, scores = [], []
        for p in range(9):
            four, five = unit(R4[0, j, p], part.four), unit(R5[0, j, p], part.five)
            attributes = torch.relu(part.attributes(torch.cat([four, five])))
            cells.append(torch.cat([five, unit(attributes, part.all)]))
            hidden = part.cell(torch.cat([cells[-1], unit(q[0], part.phrase)])).tanh()
            scores.append(part.look(hidden)[0])
        share = torch.stack(scores).exp() / torch.stack(scores).exp().sum()
        assert torch.allclose(look[0, j], share)
        assert torch.allclose(x[0, j], sum(share[p] * cells[p] for p in range(9)))


def test_the_scores_are_cosines_and_their_sum_decides():
    model = oracle()
    for mode in (model.train(), model.eval()):
        trace = seen(mode)
        assert all((S.abs() <= 1).all() for S in trace.S.values())
        total = sum(trace.w[:, k, None] * trace.S[k] for k in range(3))[:, :4]
        if mode.training:
            assert torch.allclose(trace.choice[:, :4], (total / 0.1).softmax(1))
        else:  # an oracle's mask is exact: only the choice can be wrong
            best = total.argmax(1)
            truth = pictured()[0]["objects"][range(2), best]
            assert torch.equal(trace.logits[:, 0] > 0, truth)
        assert trace.choice[:, 4:].max() < 1e-12  # there is no such object
    x, q = double(2, 3, 5), double(2, 4)
    match = wakened(Match(5, 4, 6))
    one, other = match.object(x)[1, 2], match.phrase(q)[1]
    assert torch.allclose(match(x, q)[1, 2], one @ other / one.norm() / other.norm())


def test_the_order_of_the_objects_does_not_count():
    model, order = oracle(), [2, 0, 3, 1]
    trace, turned = seen(model), seen(model, [OBJECTS[k] for k in order])
    for k in range(3):
        assert torch.allclose(turned.S[k][:, :4], trace.S[k][:, order])
    assert torch.allclose(turned.logits, trace.logits)


def test_what_an_object_of_another_kind_can_change():
    """Not how the others' subjects are seen, nor, among their own kind, where they lie."""
    model = oracle()
    trace, fewer = seen(model), seen(model, OBJECTS[:3])
    for k in (0, 1):
        assert torch.allclose(fewer.S[k][:, :3], trace.S[k][:, :3])
    assert (fewer.S[2][:, :3] <= trace.S[2][:, :3] + 1e-12).all()  # one more to be related to
    assert (seen(model, OBJECTS[:1]).S[2][:, 0] == 0).all()  # nobody to be related to


def test_the_relation_is_the_best_of_the_neighbours():
    model = oracle()
    trace = seen(model)
    torch.manual_seed(1)
    maps, _, _ = pictured()
    R5 = read_regions(maps["V5"], trace.box).mean(2)
    exist = torch.zeros(2, 8, 5, dtype=torch.bool)
    exist[:, :4, :3] = True
    x = model.relation(pick(R5, trace.near), offsets(trace.box, trace.near, exist))
    S = F.cosine_similarity(
        model.match[2].object(x), model.match[2].phrase(trace.q[2])[:, None, None], dim=-1
    )
    assert torch.allclose(trace.S[2][:, :4], S[:, :4, :3].amax(2).clamp(min=0))


def test_an_oracle_without_objects_is_refused():
    maps, words, lengths = pictured()
    model = oracle()
    del maps["objects"]
    with pytest.raises(
        ValueError, match="^The oracle of MAttNet chooses among a picture's annotated obj"
    ):
        model(maps, None, words, lengths)


def test_proposals_know_no_word_and_begin_as_discs_of_their_regions():
    maps, words, lengths = pictured()
    model = small("MAttNet")
    found = [traced("MAttNet", model, maps, w, lengths).masks for w in (words, words + 1)]
    assert torch.equal(*found) and found[0].shape == (2, 25, 8, 8)
    for parameter in model.proposals.parameters():
        torch.nn.init.zeros_(parameter)
    masks = traced("MAttNet", model, maps, words, lengths).masks[0]
    assert masks[0, 0, 0] > 0.5 > masks[0, 4, 4] and masks[12].argmax() in (27, 28, 35, 36)


def test_gradients_of_a_match():
    part, given = wakened(Match(3, 2, 4)), [double(1, 2, 3), double(1, 2)]
    assert gradcheck(part, [x.requires_grad_() for x in given], atol=1e-4)
