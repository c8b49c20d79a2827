"""The model: shapes over variants, batch sizes and odd sizes, and the invariants of each part."""

from dataclasses import replace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from tvnet.model.backbone import DeepLab
from tvnet.model.method import build
from tvnet.model.trace import Trace, expected_shapes
from tvnet.model.tvnet import TVNet
from tvnet.rows import EVERY, ORACLES, row_settings
from tvnet.settings import CHOICES, ModelSettings, settings
from tvnet.training.loop import loss_of

SMOKE = settings("smoke")
VARIANTS = [(False, "none"), (True, "none"), (True, "cct"), (True, "amf"), (False, "amf")]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def variant(enrichment, high_resolution, base=SMOKE):
    model = replace(base.model, enrichment=enrichment, high_resolution=high_resolution)
    return replace(base, model=model)


def inputs(chosen, batch, size):
    backbone = DeepLab(chosen.backbone).freeze()
    image, similar = torch.randint(0, 256, (2, batch, 3, size, size), dtype=torch.uint8)
    words = torch.randint(4, 30, (batch, 5))
    return backbone(image), backbone(similar), words, torch.randint(1, 6, (batch,))


@pytest.mark.parametrize("enrichment, high_resolution", VARIANTS)
@pytest.mark.parametrize("batch, size", [(1, 96), (3, 64), (2, 97), (2, 91), (1, 108)])
def test_every_tensor_has_the_shape_of_the_table(enrichment, high_resolution, batch, size):
    chosen = variant(enrichment, high_resolution)
    trace = Trace()
    logits = TVNet(chosen, 30)(*inputs(chosen, batch, size), size=size, trace=trace)
    assert logits.shape == (batch, 1, size, size)
    assert trace.shapes() == expected_shapes(chosen, batch, size)
    assert torch.isfinite(logits).all()


def test_the_papers_size_gives_the_papers_maps():
    """Shapes only, on the meta device: 320 px, 80x80 and 40x40 (P4.1)."""
    chosen = settings("paper")
    with torch.device("meta"):
        model, backbone = TVNet(chosen, 12112), DeepLab(chosen.backbone)
        maps = backbone(torch.zeros(1, 3, 320, 320, dtype=torch.uint8))
    assert {name: tuple(V.shape[1:]) for name, V in maps.items()} == {
        "V2": (256, 80, 80),
        "V3": (512, 40, 40),
        "V4": (1024, 40, 40),
        "V5": (2048, 40, 40),
    }
    table = expected_shapes(chosen, 2, 320)
    assert table["A[5]"] == (2, 1600, 1600)
    assert table["M_fine_prime"] == (2, 500, 80, 80)
    assert 45e6 < sum(p.numel() for p in model.parameters()) < 60e6


def test_variants_differ_in_exactly_their_part():
    def parts(enrichment, high_resolution):
        return {n for n, _ in TVNet(variant(enrichment, high_resolution), 30).named_parameters()}

    base = parts(False, "none")
    assert {n.split(".")[0] for n in parts(True, "none") - base} == {"enrichment"}
    assert {n.split(".")[0] for n in parts(False, "amf") - base} == {"high_resolution"}
    assert base < parts(True, "none") < parts(True, "amf")


# Every open choice of the spec: the other values, the parts whose weights may change with them,
# and whether the logits must.
SWITCHES = [
    ({"upsampling": "half_pixel"}, set()),
    ({"gate": "position"}, {"enrichment"}),
    ({"scale_attention": False}, set()),
    ({"inner": "full"}, {"enrichment"}),
    ({"W3": "bottleneck"}, {"enrichment"}),
    ({"shared_enrichment": True}, {"enrichment", "bilinear"}),
    ({"mask_padding": False}, set()),
    ({"unit_length": False}, set()),
    ({"rank": 5, "tanh": True}, {"bilinear"}),
    ({"tanh": True}, set()),
    ({"d_m": 24}, {"bilinear", "exchange", "conv_lstm", "high_resolution", "head"}),
    ({"lateral_kernel": 3}, {"bilinear"}),
    ({"exchange_rounds": 2}, {"exchange"}),
    ({"gate_text": "words"}, {"expression"}),
    ({"conv_lstm": "plain"}, {"conv_lstm"}),
    ({"level_order": (5, 4, 3)}, set()),
    ({"peephole_elsewhere": "off"}, set()),
    ({"d_hr": 8}, {"high_resolution"}),
    ({"amf_kernel": 1}, {"high_resolution"}),
    ({"amf_norm": "batch"}, {"high_resolution"}),
    ({"amf_norm": "instance"}, set()),
    ({"norm_groups": 1}, set()),
    ({"compare_at": "low"}, set()),
    ({"amf_gate": "stack"}, {"high_resolution"}),
    ({"V2_input": "unit"}, set()),
    ({"V2_input": "reduced"}, {"high_resolution"}),
    ({"d_fine": 20}, {"high_resolution", "head"}),
    ({"score_kernel": 1}, {"head"}),
    ({"head": "conv"}, set()),
    ({"head": "x2 conv x2 conv"}, {"head"}),
]


def awake(model):
    """The model with nothing left at the zeros and identities that training starts from."""
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


@pytest.mark.parametrize(
    "change, parts", SWITCHES, ids=lambda x: str(sorted(x) if isinstance(x, set) else x)
)
def test_a_switch_changes_its_part_and_nothing_else(change, parts):
    """Weights outside the named parts keep names and shapes; logits change; shapes stay true."""
    chosen = replace(SMOKE, model=replace(SMOKE.model, **change))
    before, after = awake(TVNet(SMOKE, 30)), awake(TVNet(chosen, 30))

    def shapes(model):
        return {(name, tuple(t.shape)) for name, t in model.state_dict().items()}

    assert {name.split(".")[0] for name, _ in shapes(before) ^ shapes(after)} == parts
    same = {n: t for n, t in before.state_dict().items() if n.split(".")[0] not in parts}
    assert not after.load_state_dict(same, strict=False).unexpected_keys
    maps = inputs(chosen, 2, 104)  # not the trained size: peepholes matter
    valid = torch.ones(2, 13, 13, dtype=torch.bool)
    valid[:, :3] = False
    trace = Trace()
    with torch.no_grad():
        one = before(*maps, valid, 104)
        other = after(*maps, valid, 104, trace)
    assert trace.shapes() == expected_shapes(chosen, 2, 104)
    assert torch.isfinite(other).all() and not torch.allclose(one, other, atol=1e-4)


def test_every_named_choice_is_tested():
    tried = {(name, value) for change, _ in SWITCHES for name, value in change.items()}
    tried |= {("high_resolution", value) for _, value in VARIANTS}
    tried |= {("W3", "glorot")}  # a start, tested with the part itself
    defaults = {(name, getattr(SMOKE.model, name)) for name in CHOICES}
    for name, values in CHOICES.items():
        if name not in ("words", "method"):  # read by training, and by the registry
            assert {(name, value) for value in values} <= tried | defaults


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"high_resolution": "hr"}, "high_resolution is 'hr': choose one of 'amf', 'cct', 'none'."),
        ({"lateral_kernel": 5}, "lateral_kernel is 5: choose one of 1, 3."),
        ({"level_order": (2, 3)}, r"level_order is \(2, 3\): name levels 3, 4 and 5 only."),
        ({"d_hr": 30, "norm_groups": 4}, "d_hr 30 is no multiple of norm_groups 4: change one."),
    ],
)
def test_a_choice_that_does_not_exist_is_named(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        replace(SMOKE.model, **change)


def test_defaults_are_the_specs():
    """A change of a default is a decision: the ledger and this line change with it."""
    first = {name: values[0] for name, values in CHOICES.items()}
    assert {name: getattr(ModelSettings(), name) for name in CHOICES} == first


def test_bfloat16_is_close_and_keeps_norms_and_logits_in_float32():
    model, maps = awake(TVNet(SMOKE, 30)), inputs(SMOKE, 2, 96)
    trace = Trace()
    with torch.no_grad():
        exact = model(*maps)
        with torch.autocast("cpu", torch.bfloat16):
            low = model(*maps, trace=trace)
    assert low.dtype == trace.M_raw[3].dtype == trace.M_fine.dtype == torch.float32
    assert trace.C_LR.dtype == trace.A[3].dtype == torch.bfloat16
    assert 0 < (low - exact).abs().max() < 0.1 * exact.abs().max()


@pytest.mark.slow
@pytest.mark.parametrize("row", [row for row in EVERY if row not in ORACLES])
def test_a_step_never_asks_its_device_for_a_value(row):
    """A GPU would wait for it, and no CUDA graph could be made: tensors without values find it."""
    chosen = row_settings(SMOKE, row)
    with FakeTensorMode():
        model, side = build(chosen, 30), SMOKE.data.size
        V_in = {
            name: torch.randn(2, d, side // scale, side // scale)
            for (name, d), scale in zip(chosen.backbone.channels.items(), (4, 8, 8, 8), strict=True)
        }
        words, lengths = torch.zeros(2, 5, dtype=torch.long), torch.ones(2, dtype=torch.long)
        valid = torch.ones(2, side // 8, side // 8, dtype=torch.bool)
        logits = model(V_in, V_in, words, lengths, valid)
        loss_of(logits, torch.ones_like(logits, dtype=torch.bool)).backward()
    assert logits.shape == (2, 1, side, side)


def test_every_parameter_learns():
    chosen = variant(True, "amf")
    model = TVNet(chosen, 30)
    maps = inputs(chosen, 2, 64)
    for _ in range(3):  # what lies behind a zero wakes up once it has left zero
        model.zero_grad()
        (model(*maps, size=64) - 1).square().mean().backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= 1e-2 * p.grad
    asleep = [name for name, p in model.named_parameters() if not p.grad.abs().sum() > 0]
    assert asleep == []
