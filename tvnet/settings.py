"""Every number that a run depends on, as frozen dataclasses, and the profiles smoke, laptop,
evening, photos and paper.

A profile is numbers, never a branch: the same code runs all of them. Numbers of the open choices
carry the row of the deviations ledger (D1, D2, ...) that explains them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace

from tvnet.settings_checks import CHOICES, Part, refuse_unknown


@dataclass(frozen=True)
class DataSettings(Part):
    """What is read, and at which size."""

    dataset: str = "unc+"  # "unc" | "unc+" | "gref" | "referit"
    train_split: str = "train"
    eval_split: str = "val"
    size: int = 320  # side of the padded square, in pixels
    max_words: int = 20  # D48: T; longer expressions keep their first T words


@dataclass(frozen=True)
class BackboneSettings(Part):
    """The dilated ResNet. Channels of res2..res5 are width * expansion * (1, 2, 4, 8).

    D90: with the weights "efficientnet-lite0" only train_from is read.
    """

    width: int = 64
    expansion: int = 4
    blocks: tuple[int, int, int, int] = (3, 4, 23, 3)
    weights: str = "deeplab-voc"  # D27: a name of model/pretrained.py, or "random" for tests
    train_from: str = "none"  # D26: "none" | "res3" | "res4" | "res5"
    pool: str = "floor"  # D52: "floor" | "ceil", as deeplab-pytorch pools

    def __post_init__(self):
        super().__post_init__()
        stages = ("none", "res3", "res4", "res5")
        refuse_unknown(self, {"train_from": stages, "pool": ("floor", "ceil")})

    @property
    def channels(self) -> dict[str, int]:
        """Channels of the maps V2, V3, V4, V5."""
        if self.weights == "efficientnet-lite0":
            return {"V2": 24, "V3": 40, "V4": 112, "V5": 320}
        return {f"V{i + 2}": self.width * self.expansion * 2**i for i in range(4)}


@dataclass(frozen=True)
class ModelSettings(Part):
    """Sizes and open choices of section 3 of the paper: the default first, then the others."""

    method: str = "tvnet"  # CHOICES; a rival's own options follow: "rrn:start=input"
    enrichment: bool = True  # RES, Eq. 1 and 2
    high_resolution: str = "amf"  # "none" | "cct" | "amf" (Table 1)
    upsampling: str = "legacy"  # D38: "legacy" | "half_pixel"
    # Words
    words: str = "glove"  # D41: "glove" | "random"
    d_words: int = 300
    d_s: int = 1000  # LSTM state, P4.1
    # RES
    gate: str = "channel"  # D1: "channel" | "position"
    scale_attention: bool = True  # D2
    inner: str = "half"  # D3: "half" | "full" of d_l
    W3: str = "zero"  # D4: "zero" | "glorot" | "bottleneck"
    shared_enrichment: bool = False  # D5
    mask_padding: bool = True  # D6
    # Cross-modal fusion
    unit_length: bool = True  # D7
    rank: int = 1  # D8: products that are summed; MUTAN has 5, with tanh
    tanh: bool = False  # D8
    d_m: int = 500  # D9
    lateral_kernel: int = 1  # D10: 1 | 3
    exchange_rounds: int = 1  # D11: 1 | 2
    gate_text: str = "s"  # D12: "s" | "words"
    conv_lstm: str = "cmpc"  # D13: "cmpc" | "plain"
    level_order: tuple[int, ...] = (3, 4, 5)  # D13
    peephole_elsewhere: str = "resize"  # D14: "resize" | "off"
    # AMF and Cct
    d_hr: int = 256  # D15: channels of C_HR and V2'
    amf_kernel: int = 3  # D16: 3 | 1
    amf_norm: str = "group"  # D17: "group" | "batch" | "instance"
    norm_groups: int = 32  # D17
    compare_at: str = "high"  # D18: "high" | "low" resolution inside A2
    amf_gate: str = "conv"  # D19: "conv" | "stack"
    V2_input: str = "raw"  # D20: "raw" | "unit" | "reduced"
    d_fine: int | None = None  # D21: channels of M_fine'; None: d_m
    # Head
    score_kernel: int = 3  # D22: 3 | 1
    head: str = "x2 conv"  # D23: "x2 conv" | "conv" | "x2 conv x2 conv"

    def __post_init__(self):
        super().__post_init__()
        refuse_unknown(self, CHOICES)
        if not self.level_order or set(self.level_order) - {3, 4, 5}:
            raise ValueError(f"level_order is {self.level_order}: name levels 3, 4 and 5 only.")
        grouped = self.high_resolution == "amf" and self.amf_norm == "group"
        if grouped and self.d_hr % self.norm_groups:
            raise ValueError(
                f"d_hr {self.d_hr} is no multiple of norm_groups {self.norm_groups}: change one."
            )


# What is shown instead of the retrieved picture; "oracle" is chosen by the annotations.
CONTROLS = ("none", "random", "self", "black", "oracle")


@dataclass(frozen=True)
class RetrievalSettings(Part):
    """The two offline stages of section 3.1 / 4.1."""

    k: int = 20  # candidates by text
    text: str = "tfidf"  # D39, D61, D91: the encoders; "folder:PATH" is any Hugging Face folder
    image: str = "backbone"  # D39, D62, D91
    control: str = "none"
    ties: str = "hash"  # D60: at the cut of k

    def __post_init__(self):
        super().__post_init__()
        texts = ("tfidf", "distilbert", "distilbert-cls", "minilm", "folder:PATH")
        images = ("backbone", "vgg16", "vgg16-pool5", "efficientnet-lite0")
        known = {"text": texts, "image": images, "control": CONTROLS, "ties": ("hash", "all")}
        refuse_unknown(self, known)


@dataclass(frozen=True)
class TrainingSettings(Part):
    """Adam with polynomial decay, and the budget."""

    steps: int = 700_000  # D28, D40
    batch: int = 1
    learning_rate: float = 2.5e-4  # D53
    end_learning_rate: float = 1e-5  # D29
    power: float = 0.9
    weight_decay: float = 5e-4
    ablate_input: str = "none"  # controls that lack one: "none" | "language" | "image"
    backbone_rate: float = 1.0  # D26: the trained backbone's learning rate over the others'
    precision: str = "float32"  # D37: "float32" | "bfloat16" autocast
    compile: bool = False  # D37: torch.compile, which needs a C++ compiler
    snapshot_every: int = 2000  # steps between two checkpoints, from which a run is resumed
    cache_features: bool = False  # keep the frozen backbone's maps on disk, or recompute them
    eval_every: int = 0  # D30: steps between two evaluations while it trains; 0: none
    reported: str = "last"  # D30: "last" | "best": the last step's, or the best validation's

    def __post_init__(self):
        super().__post_init__()
        known = {"precision": ("float32", "bfloat16"), "reported": ("last", "best")}
        refuse_unknown(self, known | {"ablate_input": ("none", "language", "image")})
        if self.reported == "best" and not self.eval_every:
            raise ValueError("reported is 'best' without a validation: set eval_every above 0.")

    def is_validation(self, steps: int, last: int) -> bool:
        """Whether a run that ends with step `last` is evaluated after so many steps."""
        return self.eval_every > 0 and (steps % self.eval_every == 0 or steps == last)


@dataclass(frozen=True)
class Settings(Part):
    """One run, whole."""

    profile: str
    miniref_pictures: int = 2000  # how many scenes the built-in world has
    data: DataSettings = field(default_factory=DataSettings)
    backbone: BackboneSettings = field(default_factory=BackboneSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    retrieval: RetrievalSettings = field(default_factory=RetrievalSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)


def fingerprint(values: dict) -> str:
    """Twelve hex digits that change whenever a value does; part of the names of derived files."""
    canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


_SMALL = dict(
    backbone=BackboneSettings(width=32, expansion=1, blocks=(2, 2, 2, 2), weights="minivoc"),
    model=ModelSettings(words="random", d_words=48, d_s=64, d_m=48, d_hr=16, norm_groups=4),
)

_LAPTOP = TrainingSettings(
    steps=600, batch=8, learning_rate=3e-3, snapshot_every=200, cache_features=True
)

PROFILES = {
    "smoke": Settings(
        profile="smoke",
        miniref_pictures=90,
        data=DataSettings(size=96),
        training=replace(_LAPTOP, steps=12, learning_rate=6e-3),
        **_SMALL,
    ),
    "laptop": Settings(profile="laptop", data=DataSettings(size=160), training=_LAPTOP, **_SMALL),
    "evening": Settings(
        profile="evening",
        miniref_pictures=8000,
        data=DataSettings(size=160),
        training=replace(
            _LAPTOP, steps=8000, snapshot_every=500, precision="bfloat16", compile=True
        ),
        **_SMALL,
    ),
    "photos": Settings(
        profile="photos",
        data=DataSettings(dataset="own", size=224),
        backbone=BackboneSettings(weights="efficientnet-lite0"),
        model=_SMALL["model"],
        retrieval=RetrievalSettings(text="minilm", image="efficientnet-lite0"),
        training=replace(_LAPTOP, steps=400),
    ),
    "paper": Settings(
        profile="paper", retrieval=RetrievalSettings(text="distilbert", image="vgg16")
    ),
}


def settings(profile: str) -> Settings:
    """The settings of a profile: "smoke" for CI, "laptop" for half an hour and "evening" for
    several hours of two cores, "photos" for pictures of your own, "paper" for a GPU."""
    if profile not in PROFILES:
        raise ValueError(f"There is no profile '{profile}': choose one of {', '.join(PROFILES)}.")
    return PROFILES[profile]


def as_dict(part: object) -> dict:
    """A settings dataclass as plain JSON values."""
    return json.loads(json.dumps(asdict(part)))
