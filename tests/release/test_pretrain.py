"""MiniVOC, what its labels say, and the backbone's training on it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from data_setup.miniref import minivoc as drawer
from data_setup.miniref.scenes import scene_seed
from tvnet.model.backbone import DeepLab
from tvnet.model.blocks import upsample
from tvnet.release.minivoc import NEEDED, STUFF, read
from tvnet.release.pretrain import Heads, augmented, half_precision, outlines, pretrain, schedule
from tvnet.settings import settings

PICTURES = 24
FEW = NEEDED | {"pictures": PICTURES}
TINY = replace(settings("laptop").backbone, width=4, weights="random")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("voc") / "minivoc"
    assert drawer.write_minivoc(root, PICTURES, processes=1)
    return root


@pytest.fixture(scope="module")
def data(root):
    return read(root, 96, FEW)


def test_no_picture_of_minivoc_is_one_of_miniref():
    """Scenes follow from their seed alone, and worlds below a million pictures share none."""
    miniref = {scene_seed(0, number) for number in range(1, 100_001)}
    assert miniref.isdisjoint(scene_seed(drawer.SEED, number) for number in range(1, 100_001))


def test_it_is_drawn_once_and_another_is_refused(root):
    assert not drawer.write_minivoc(root, PICTURES)
    with pytest.raises(ValueError, match=r"already holds another MiniVOC \(pictures 24"):
        drawer.write_minivoc(root, PICTURES + 1)


def test_the_reader_takes_the_world_that_the_drawer_makes(root, tmp_path):
    assert NEEDED == {
        "world": "MiniVOC", "version": drawer.VERSION, "pictures": 10_000, "seed": drawer.SEED
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"'pictures': 24.*10000.* is needed: .*--pictures 10000"):
        read(root, 96)
    with pytest.raises(FileNotFoundError, match="holds no MiniVOC: draw it with"):
        read(tmp_path, 96)


def test_labels_say_what_the_drawer_drew(root, data):
    things = json.loads((root / drawer.THINGS).read_text())
    labels = data.labels(torch.arange(PICTURES), data.objects)
    for n in (0, 7):
        image = Image.open(root / "SegmentationObject" / f"{n + 1:06d}.png")
        assert set(np.unique(image)) <= set(range(len(things[n]) + 1))
        for y, x in ((48, 48), (60, 20), (40, 70)):
            number = int(data.objects[n, y, x])
            for question, words in data.classes.items():
                found = int(labels[question][n, y, x])
                if number == 0:
                    assert found == (0 if question == "category" else STUFF)
                else:
                    assert words[found] == things[n][number - 1].get(question, "none")
    assert data.classes["category"][0] == "none" and "red" in data.classes["colour"]


def test_outlines_lie_where_objects_meet():
    objects = torch.zeros(1, 4, 4, dtype=torch.uint8)
    objects[0, :2, :2] = 1
    edge = outlines(objects)[0]
    assert edge.nonzero().tolist() == [[0, 1], [1, 0], [1, 1]]


def test_a_picture_and_its_objects_move_together(data):
    """Painted with its own numbers, a picture stays equal to them wherever it is moved."""
    painted = data.objects[:8, None].expand(-1, 3, -1, -1)
    seen, moved = augmented(painted, data.objects[:8], torch.Generator().manual_seed(0))
    inside = seen[:, 0] == seen[:, 0].round()  # no blend of two objects
    assert inside.float().mean() > 0.7
    assert (seen[:, 0] == moved)[inside].float().mean() > 0.9
    assert not torch.equal(moved, data.objects[:8])


def test_every_pixel_is_asked_in_four_steps(data):
    """The category loss of four steps in a row is that of all pixels."""
    torch.manual_seed(0)
    heads = Heads(TINY.channels, data.classes)
    maps = {"V2": torch.randn(2, 4, 24, 24)}
    maps |= {f"V{k}": torch.randn(2, TINY.channels[f"V{k}"], 12, 12) for k in (3, 4, 5)}
    labels = data.labels(torch.arange(2), data.objects[:2])
    heads.meaning.clear()
    heads.edges.clear()
    weight = torch.ones(heads.sizes[0])
    weight[0] = 0.3
    few = torch.stack([heads.loss(maps, data.objects[:2], labels, step) for step in range(4)])
    truth = labels["category"]
    share = torch.stack([weight[truth[:, k % 2 :: 2, k // 2 :: 2]].sum() for k in range(4)])
    whole = F.cross_entropy(upsample(heads.category(maps), 96), truth, weight)
    assert torch.isclose((few * share).sum() / share.sum(), whole)


def test_the_learning_rate_rises_then_falls_to_nothing():
    assert schedule(0) == 0 and schedule(0.1) == 1 and abs(schedule(1)) < 1e-9
    assert schedule(0.05) == 0.5 and schedule(0.55) == pytest.approx(0.5)


def test_what_ships_is_finite():
    backbone = DeepLab(TINY)
    backbone.stem_norm.running_var.fill_(1e5)  # of pixels, which are not scaled to 1
    assert all(t.isfinite().all() for t in half_precision(backbone).values())


@pytest.mark.slow
def test_a_stopped_training_goes_on_and_ends_as_the_others_do(data, tmp_path, monkeypatch):
    monkeypatch.setattr("tvnet.release.pretrain.HELD_OUT", 8)

    def train(folder, steps=6):
        return pretrain(TINY, data, tmp_path / folder, steps, "float32", batch=4)

    whole, report = train("whole")
    assert report["steps"] == 6 and 0 <= report["category mIoU held out"] <= 100
    assert not any(p.requires_grad for p in whole.parameters())
    stop = iter(range(10))

    def asked(checkpoints, step, last, *rest):
        if next(stop) == 3:
            checkpoints.save(step, *rest)
            raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr("tvnet.training.checkpoint.Checkpoints.after", asked)
        with pytest.raises(SystemExit):
            train("stopped")
    again, _ = train("stopped")
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    with pytest.raises(ValueError, match="holds another run: steps"):
        train("stopped", steps=7)
