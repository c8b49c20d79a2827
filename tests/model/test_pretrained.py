"""The backbone: frozen for good, aligned; its weights checked by hash, name, shape and value."""

import hashlib
import pickle
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from tvnet.model import pretrained, weights_file
from tvnet.model.backbone import CAFFE, TORCHVISION, DeepLab, TorchvisionResNet101
from tvnet.model.pretrained import LEAK, PRETRAINED, SHIPPED_WEIGHTS, load_backbone
from tvnet.settings import BackboneSettings, settings

SMOKE = settings("smoke")
SLIM = BackboneSettings(width=4, expansion=2, blocks=(2, 1, 2, 1), weights="deeplab-voc")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_backbone_stays_frozen_whatever_train_is_called():
    backbone = DeepLab(SMOKE.backbone).freeze()
    backbone.train()
    before = {name: t.clone() for name, t in backbone.state_dict().items()}
    maps = backbone(torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8))
    assert not any(V.requires_grad for V in maps.values())
    assert all(torch.equal(before[name], t) for name, t in backbone.state_dict().items())


def test_backbone_cell_i_looks_at_pixel_8i():
    """Symmetric padding centres V3's cell i on pixel 8i, which `upsample` relies on (D38)."""
    backbone = DeepLab(BackboneSettings(width=4, expansion=1, blocks=(1, 1, 1, 1)))
    backbone.freeze()
    images = torch.randint(0, 256, (1, 3, 129, 129)).repeat(130, 1, 1, 1)
    rows = torch.arange(129)
    images[rows, :, rows] = 255 - images[rows, :, rows]  # image r differs in row r alone
    V3 = backbone(images.byte())["V3"][:, :, 8, 8]
    seen = (V3[:129] != V3[129]).any(1).nonzero()
    assert (seen.min() + seen.max()) / 2 == 64


@pytest.mark.parametrize("start, count", [("res3", 3), ("res5", 1)])
def test_train_from_opens_the_kernels_of_late_stages_and_no_norm(start, count):
    backbone = DeepLab(SLIM).freeze(start).train()
    trained = {name for name, p in backbone.named_parameters() if p.requires_grad}
    assert {name.split(".")[1] for name in trained} == {str(3 - k) for k in range(count)}
    assert trained and not any("norm" in name or "shortcut.1" in name for name in trained)
    before = {name: t.clone() for name, t in backbone.named_buffers()}
    backbone(torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8))["V5"].sum().backward()
    assert all(torch.equal(before[name], t) for name, t in backbone.named_buffers())


def foreign_state(chosen, prefix="base.", shortcut="shortcut"):
    """Random tensors under deeplab-pytorch's names, as its checkpoints hold them."""
    state, d_in = {}, chosen.width

    def unit(name, out, given, kernel):
        state[f"{name}.conv.weight"] = torch.randn(out, given, kernel, kernel) / (
            given**0.5 * kernel
        )
        for key, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0)):
            state[f"{name}.bn.{key}"] = value + 0.1 * torch.randn(out)
        state[f"{name}.bn.running_var"] = 0.5 + torch.rand(out)
        state[f"{name}.bn.num_batches_tracked"] = torch.tensor(7)

    unit(f"{prefix}layer1.conv1", chosen.width, 3, 7)
    for stage, count in enumerate(chosen.blocks):
        inner, d_out = chosen.width * 2**stage, list(chosen.channels.values())[stage]
        for block in range(1, count + 1):
            name = f"{prefix}layer{stage + 2}.block{block}"
            unit(f"{name}.reduce", inner, d_in, 1)
            unit(f"{name}.conv3x3", inner, inner, 3)
            unit(f"{name}.increase", d_out, inner, 1)
            if block == 1:
                unit(f"{name}.{shortcut}", d_out, d_in, 1)
            d_in = d_out
    for k in range(4):
        state[f"{prefix}aspp.c{k}.weight"] = torch.randn(21, d_in, 3, 3)
        state[f"{prefix}aspp.c{k}.bias"] = torch.randn(21)
    return state


def restated(state, chosen, pixels, prefix="base.", shortcut="shortcut", ceil=False):
    """That network again, as plain calls on the foreign names."""

    def unit(x, name, stride=1, padding=0, dilation=1):
        x = F.conv2d(x, state[f"{name}.conv.weight"], None, stride, padding, dilation)
        keys = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(state[f"{name}.bn.{key}"] for key in keys))

    mean = torch.tensor([104.008, 116.669, 122.675]).view(1, 3, 1, 1)
    x = F.relu(unit(pixels[:, [2, 1, 0]].float() - mean, f"{prefix}layer1.conv1", 2, 3))
    x, maps = F.max_pool2d(x, 3, 2, 1, ceil_mode=ceil), []
    for stage, count in enumerate(chosen.blocks):
        dilation = (1, 1, 2, 4)[stage]
        for block in range(1, count + 1):
            name, stride = f"{prefix}layer{stage + 2}.block{block}", 2 if stage == 1 == block else 1
            y = F.relu(unit(x, f"{name}.reduce", stride))
            y = F.relu(unit(y, f"{name}.conv3x3", 1, dilation, dilation))
            y = unit(y, f"{name}.increase")
            x = F.relu(y + (unit(x, f"{name}.{shortcut}", stride) if block == 1 else x))
        maps.append(x)
    return maps


def put(state, folder, name="deeplab-voc", recorded=True):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / PRETRAINED[name].file
    torch.save(state, path)
    if recorded:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        path.with_name(path.name + ".sha256").write_text(f"{digest}  {path.name}\n")
    return path


@pytest.mark.parametrize("names", [("base.", "shortcut"), ("scale.", "proj"), ("", "shortcut")])
def test_deeplab_pytorchs_weights_give_that_networks_maps(tmp_path, names):
    state = foreign_state(SLIM, *names)
    put(state, tmp_path)
    pixels = torch.randint(0, 256, (2, 3, 96, 96), dtype=torch.uint8)
    maps = load_backbone(SLIM, tmp_path)(pixels)
    assert [V.shape[-1] for V in maps.values()] == [24, 12, 12, 12]
    for V, expected in zip(maps.values(), restated(state, SLIM, pixels, *names), strict=True):
        assert (V - expected).abs().max() < 1e-4 * expected.abs().max()


@pytest.mark.parametrize("size", [96, 90])
def test_ceil_pools_as_that_network_does_and_keeps_the_grid(tmp_path, size):
    """D52: the row and the column of cells that it adds are cut off after they were seen."""
    state = foreign_state(SLIM)
    put(state, tmp_path)
    pixels = torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8)
    floor = load_backbone(SLIM, tmp_path)(pixels)
    ceil = load_backbone(replace(SLIM, pool="ceil"), tmp_path)(pixels)
    theirs = restated(state, SLIM, pixels, ceil=True)
    assert [V.shape[-1] for V in theirs] == {96: [25, 13, 13, 13], 90: [23, 12, 12, 12]}[size]
    for mine, ours, V in zip(floor.values(), ceil.values(), theirs, strict=True):
        assert mine.shape == ours.shape
        V = V[..., : ours.shape[-1], : ours.shape[-1]]
        assert (ours - V).abs().max() < 1e-4 * V.abs().max()
        assert ((mine - ours).abs().max() > 0.01 * V.abs().max()) == (size == 96)
    with pytest.raises(ValueError, match="pool is 'round': choose one of 'floor', 'ceil'"):
        replace(SLIM, pool="round")


@pytest.mark.slow
def test_the_papers_network_at_the_papers_size(tmp_path):
    """ResNet-101 at 320 px: 80x80 and 40x40 cells, where ceil_mode would make 81 and 41."""
    paper = settings("paper").backbone
    state = foreign_state(paper)
    put(state, tmp_path)
    pixels = torch.randint(0, 256, (1, 3, 320, 320), dtype=torch.uint8)
    with torch.no_grad():
        maps = load_backbone(paper, tmp_path)(pixels)
        again = restated(state, paper, pixels)
    assert [tuple(V.shape[1:]) for V in maps.values()] == [
        (256, 80, 80), (512, 40, 40), (1024, 40, 40), (2048, 40, 40),
    ]  # fmt: skip
    for V, expected in zip(maps.values(), again, strict=True):
        assert (V - expected).abs().max() < 1e-4 * expected.abs().max()


@pytest.mark.slow
@pytest.mark.parametrize("name, wrapped", [("imagenet", False), ("deeplabv3-voc", True)])
def test_torchvisions_files_load_under_their_own_names(tmp_path, monkeypatch, name, wrapped):
    from torchvision.models import resnet101

    net = resnet101(replace_stride_with_dilation=[False, True, True]).eval()
    state = net.state_dict()
    if wrapped:
        state = {f"backbone.{n}": t for n, t in state.items() if not n.startswith("fc.")}
        state |= {"classifier.4.weight": torch.zeros(21), "aux_classifier.4.bias": torch.zeros(21)}
    path = put(state, tmp_path, name)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    source = replace(PRETRAINED[name], sha256=digest[:8])
    monkeypatch.setitem(pretrained.PRETRAINED, name, source)
    chosen = replace(settings("paper").backbone, weights=name)
    backbone = load_backbone(chosen, tmp_path)
    assert isinstance(backbone, TorchvisionResNet101) and backbone.contract == TORCHVISION
    pixels = torch.randint(0, 256, (1, 3, 96, 96), dtype=torch.uint8)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    with torch.no_grad():
        x = net.maxpool(net.relu(net.bn1(net.conv1((pixels / 255 - mean) / std))))
        expected = net.layer4(net.layer3(net.layer2(net.layer1(x))))
        V5 = backbone(pixels)["V5"]
    assert V5.shape == (1, 2048, 12, 12)
    assert (V5 - expected).abs().max() < 1e-4 * expected.abs().max()


def altered(change):
    def damage(folder):
        state = foreign_state(SLIM)
        change(state)
        put(state, folder)

    return damage


def flip(folder):
    path = put(foreign_state(SLIM), folder)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage, sentence",
    [
        (lambda folder: None, "There are no backbone weights at .*: fetch them with"),
        (
            lambda folder: put(foreign_state(SLIM), folder, recorded=False),
            "Nobody publishes a hash of deeplabv2.* and none is recorded: .*sha256sum",
        ),
        (flip, "have sha256 .*, not .*: the file is damaged or another one"),
        (
            altered(lambda s: s.pop("base.layer3.block1.reduce.conv.weight")),
            "Tensors missing: stages.1.0.reduce.weight.",
        ),
        (
            altered(lambda s: s.update({"base.layer9.x": torch.zeros(1), "more": torch.zeros(1)})),
            "Tensors left over: layer9.x, more.",
        ),
        (
            altered(lambda s: s.update({"base.layer1.conv1.bn.bias": torch.zeros(9)})),
            "Tensors of another shape: stem_norm.bias.",
        ),
        (
            altered(lambda s: s["base.layer1.conv1.bn.bias"].fill_(float("nan"))),
            "Tensors not finite: stem_norm.bias.",
        ),
    ],
)
def test_weights_that_cannot_be_right_are_refused(tmp_path, damage, sentence):
    damage(tmp_path)
    with pytest.raises((FileNotFoundError, ValueError), match=sentence):
        load_backbone(SLIM, tmp_path)


def test_code_in_a_weights_file_never_runs(tmp_path):
    class Boom:
        def __reduce__(self):
            return print, ("it ran",)

    put({"base.layer1.conv1.bn.bias": Boom()}, tmp_path)
    with pytest.raises(ValueError, match="holds more than tensors, and what else it holds is not"):
        load_backbone(SLIM, tmp_path)


NOT_PLAIN = {
    "a list": [torch.zeros(1)],
    "a number": {"a": 3},
    "a dict in it": {"state_dict": {"a": torch.zeros(1)}, "epoch": 3},
    "no name": {1: torch.zeros(1)},
    "sparse": {"a": torch.ones(3, 4).to_sparse()},
    "without numbers": {"a": torch.empty(3, device="meta")},
    "one number repeated": {"a": torch.zeros(1).expand(10**6, 10**4)},  # 40 GB where it is used
}


@pytest.mark.parametrize("case", NOT_PLAIN)
def test_what_is_no_state_dict_is_reported(tmp_path, case):
    torch.save(NOT_PLAIN[case], tmp_path / "a.pth")
    with pytest.raises(ValueError, match="a.pth holds something else than named, dense tensors"):
        weights_file.read_tensors(tmp_path / "a.pth")


@pytest.mark.parametrize("content", [b"", b"<html>", pickle.dumps({"a": 1}, 2), None], ids=str)
def test_what_is_no_weights_file_is_reported(tmp_path, content):
    path = tmp_path / "a.pth"
    torch.save({"a": torch.zeros(1)}, path)
    path.write_bytes(path.read_bytes()[:-50] if content is None else content)
    with pytest.raises(ValueError, match=r"a\.pth (is no whole weights file|holds more than)"):
        weights_file.read_tensors(path)


@pytest.mark.parametrize("kind", [torch.int64, torch.bool, torch.complex64])
def test_tensors_of_another_kind_are_reported(tmp_path, kind):
    layer = torch.nn.Linear(2, 3)
    given = layer.state_dict() | {"bias": torch.ones(3, dtype=kind)}
    with pytest.raises(ValueError, match="Tensors of another kind: bias"):
        weights_file.fill(layer, given, tmp_path)


def test_not_every_odd_name_is_listed_and_none_unescaped(tmp_path):
    layer = torch.nn.Linear(2, 3)
    given = layer.state_dict() | {f"\x1b[2J{k}": torch.ones(1) for k in range(130)}
    with pytest.raises(ValueError, match=r"left over: \\x1b\[2J0, .* and 30 more") as error:
        weights_file.fill(layer, given, tmp_path)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("sidecar", ["", "\n", "9", "no hash", "9" * 63])
def test_a_recorded_hash_that_is_none_is_reported(tmp_path, sidecar):
    (tmp_path / "a").write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    (tmp_path / "a.sha256").write_text(digest[: len(sidecar)] if sidecar.isdigit() else sidecar)
    with pytest.raises(ValueError, match="a.sha256 holds no sha256: fetch or make a again"):
        weights_file.check_hash(tmp_path / "a", published="")


def test_weights_of_another_network_are_named():
    with pytest.raises(ValueError, match="no weights 'vgg': choose one of minivoc, deeplab"):
        load_backbone(replace(SLIM, weights="vgg"))
    with pytest.raises(ValueError, match="'imagenet' are those of a ResNet-101, but the settings"):
        pretrained._resnet101(replace(SLIM, weights="imagenet"))


def test_the_shipped_weights_are_small_clean_and_whole(tmp_path):
    backbone = load_backbone(SMOKE.backbone)
    assert backbone.contract == CAFFE and not any(p.requires_grad for p in backbone.parameters())
    path = SHIPPED_WEIGHTS / PRETRAINED["minivoc"].file
    assert path.stat().st_size < 4e6
    assert hashlib.sha256(path.read_bytes()).hexdigest() == PRETRAINED["minivoc"].sha256
    save_file({"a": torch.zeros(1)}, tmp_path / path.name)
    with pytest.raises(ValueError, match="have sha256"):
        weights_file.check_hash(tmp_path / path.name, PRETRAINED["minivoc"].sha256)


def test_every_source_says_whether_it_leaks():
    assert set(LEAK) == {*PRETRAINED, "random"}
    assert all(text.startswith(("clean: ", "leaky: ")) for text in LEAK.values())
