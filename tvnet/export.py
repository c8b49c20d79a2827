"""A trained model as ONNX, checked against PyTorch by onnxruntime before it is kept.

    python -m tvnet.export --model Baseline+RES+AMF --out exported

writes backbone.onnx (pixels -> V2..V5), model.onnx (words and maps -> logits), vocabulary.json (the
place of a word is its number) and a model card. Batch and number of words are free, the side of the
padded picture is that of training. Needs `pip install '.[export]'`.
"""

from __future__ import annotations

import argparse
import copy
import sys
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tvnet.data.images import crop_and_resize, resize_and_pad
from tvnet.data.words import UNK
from tvnet.files import replacing, sha256_of, write_json, write_text
from tvnet.model.method import Method
from tvnet.model.trace import LEVELS
from tvnet.model_card import CARD, card
from tvnet.predictor import MODELS, POOL, Predictor, load
from tvnet.retrieval.online import EncodedImage
from tvnet.rows import BEST, ROWS

NEEDED = ("onnx", "onnxscript", "onnxruntime")
# Between results of the same input, in parts of the largest number. Through both files a sentence
# may differ by more: it enlarges the rounding of the maps, as PyTorch does beside its own float64.
TOLERANCE = 1e-5
SHAPES = ((1, 1), (2, 5), (3, 20))  # batch and words of the random input
SENTENCES = 12  # of the data set, the true input
MAPS = ("V2", "V3", "V4", "V5")
INPUTS = ("words", "lengths", *MAPS, "V3_sim", "V4_sim", "V5_sim", "valid")


@dataclass(frozen=True)
class Check:
    """How far onnxruntime is from PyTorch: largest differences, as parts of the largest number."""

    random: float  # of logits, for SHAPES of random input
    true: float  # of true pictures' maps, and of the logits of true sentences on PyTorch's maps
    sentences: int
    equal: int  # sentences whose mask, by both files, has the same pixels at the picture's size

    def __str__(self) -> str:
        return (
            f"maps and logits differ from PyTorch's by at most {max(self.random, self.true):.1e} "
            f"of their largest, and {self.equal} of {self.sentences} masks are the same in every "
            "pixel"
        )


class OnnxLSTM(nn.Module):
    """An nn.LSTM as ONNX's operator: torch.export would fix the batch and the number of words."""

    def __init__(self, lstm: nn.LSTM):
        super().__init__()

        def iofc(weight: Tensor) -> Tensor:
            """PyTorch's gates i, f, g, o in the order of ONNX."""
            i, f, g, o = weight.detach().chunk(4)
            return torch.cat([i, o, f, g])[None]

        self.register_buffer("W", iofc(lstm.weight_ih_l0))
        self.register_buffer("R", iofc(lstm.weight_hh_l0))
        self.register_buffer("B", torch.cat([iofc(lstm.bias_ih_l0), iofc(lstm.bias_hh_l0)], 1))
        self.d = lstm.hidden_size

    def forward(self, e: Tensor) -> tuple[Tensor, None]:
        """(B, T, d_words) -> states (B, T, d_s); values only in ONNX."""
        x = e.transpose(0, 1)
        shape = (x.shape[0], 1, x.shape[1], self.d)
        given, about = (x, self.W, self.R, self.B), {"hidden_size": self.d}
        y = torch.onnx.ops.symbolic("LSTM", given, attrs=about, dtype=x.dtype, shape=shape)
        return y[:, 0].transpose(0, 1), None


class Exportable(nn.Module):
    """A copy of a model that takes lists of tensors, as ONNX does."""

    def __init__(self, model: Method):
        super().__init__()
        self.model = copy.deepcopy(model).eval()
        self.model.expression.lstm = OnnxLSTM(self.model.expression.lstm)

    def forward(
        self, words: Tensor, lengths: Tensor, maps: list[Tensor], similar: list[Tensor]
    ) -> Tensor:
        return self.model(*arguments(words, lengths, maps, similar))


def arguments(words: Tensor, lengths: Tensor, maps: list[Tensor], similar: list[Tensor]) -> tuple:
    """Those of a Method. similar: V3, V4, V5 of the picture that enriches, `valid`; or nothing."""
    V_sim = {f"V{n}": V for n, V in zip(LEVELS, similar[:-1], strict=True)} if similar else None
    valid = similar[-1] if similar else None
    return dict(zip(MAPS, maps, strict=True)), V_sim, words, lengths, valid


def export(predictor: Predictor, out: Path) -> Check:
    """Write backbone.onnx, model.onnx and vocabulary.json to a folder: none that differs is kept.

    Raises ValueError where `out` holds a trained model, where the method or its packages do not
    allow it, or where onnxruntime's maps or logits differ from PyTorch's by more than TOLERANCE.
    """
    if (out / "model.safetensors").is_file():  # it has a vocabulary and a card of its own
        raise ValueError(f"{out} holds a trained model: name another folder for the export.")
    method = predictor.model.settings.model.method
    if method != "tvnet":
        raise ValueError(f"The method '{method}' cannot be exported: choose a row of TV-Net.")
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise ValueError(
            f"Export needs {', '.join(missing)}: run `pip install '.[export]'` in the checkout."
        )
    given = words, lengths, maps, similar = _random(predictor, 2, 3)
    batch, length = torch.export.Dim("batch"), torch.export.Dim("words")
    free = {0: batch}
    dynamic = ({0: batch, 1: length}, free, [free] * len(maps), [free] * len(similar))
    side = predictor.model.settings.data.size
    pixels = torch.zeros(2, 3, side, side, dtype=torch.uint8)
    both = out / "backbone.onnx", out / "model.onnx"
    with replacing(both[0]) as backbone_file, replacing(both[1]) as model_file:
        _write(predictor.retriever.backbone, (pixels,), backbone_file, ("pixels",), MAPS, (free,))
        names = INPUTS if similar else INPUTS[:6]
        _write(Exportable(predictor.model), given, model_file, names, ("logits",), dynamic)
        check = compare(predictor, backbone_file, model_file)
        if not max(check.random, check.true) <= TOLERANCE:
            raise ValueError(
                f"The exported model differs from PyTorch's by {max(check.random, check.true):.1e} "
                f"of the largest number, more than {TOLERANCE}: nothing is kept; report it with "
                "your versions of torch and onnxruntime."
            )
    write_json(out / "vocabulary.json", predictor.vocabulary.words)
    return check


def _write(
    module: nn.Module, given: tuple, path: Path, names: tuple, outputs: tuple, dynamic: tuple
) -> None:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter's own parts
        program = torch.onnx.export(
            module.eval(), given, input_names=names, output_names=outputs, dynamic_shapes=dynamic,
            dynamo=True, verbose=False,
        )  # fmt: skip
    program.save(path)


@torch.no_grad()
def _random(predictor: Predictor, batch: int, count: int) -> tuple:
    """Words, lengths, maps and those of a second picture, drawn from their shape."""
    dice = torch.Generator().manual_seed(100 * batch + count)
    side = predictor.model.settings.data.size
    words = torch.randint(0, len(predictor.vocabulary), (batch, count), generator=dice)
    lengths = torch.randint(1, count + 1, (batch,), generator=dice)
    lengths[0] = count
    pixels = torch.randint(0, 256, (2, batch, 3, side, side), generator=dice, dtype=torch.uint8)
    first, second = map(predictor.retriever.backbone, pixels)
    similar = [second[f"V{n}"] for n in LEVELS]
    valid = torch.ones(batch, *similar[0].shape[-2:], dtype=torch.bool)
    valid[:, : side // 32] = False
    enriched = predictor.model.settings.model.enrichment
    return words, lengths, [*first.values()], [*similar, valid] if enriched else []


@torch.no_grad()
def compare(predictor: Predictor, backbone_file: Path, model_file: Path) -> Check:
    """Run two files by onnxruntime beside PyTorch, on random and on true input."""
    import onnxruntime

    backbone, model = (
        onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        for path in (backbone_file, model_file)
    )
    inputs = [_random(predictor, *shape) for shape in SHAPES]
    far = [_far(_logits(model, *one), predictor.model(*arguments(*one))) for one in inputs]
    data, chosen = predictor.retriever.data, predictor.model.settings.data
    samples = data.samples(chosen.eval_split)
    samples = samples[:: max(1, len(samples) // SENTENCES)][:SENTENCES]
    true, equal = [], 0
    for sample in samples:
        found = predictor(data.pictures[sample.image_id].path, sample.text)
        encoded = [one for one in (found.encoded, found.similar) if one is not None]
        words = [predictor.vocabulary.ids.get(w, UNK) for w in found.words]
        given = torch.tensor([words]), torch.tensor([len(words)])
        maps = [_maps(backbone, one, chosen.size) for one in encoded]
        for own, one in zip(maps, encoded, strict=True):
            true += [_far(own[name], V) for name, V in one.maps.items()]
        logits = _logits(model, *given, *_as_given(encoded, [one.maps for one in encoded]))
        true.append(_far(logits, found.trace.logits))
        logits = _logits(model, *given, *_as_given(encoded, maps))
        mask = crop_and_resize(torch.from_numpy(logits), found.encoded.place)[0, 0] > 0
        equal += bool((mask.numpy() == found.mask).all())
    # NumPy's max, as Python's passes over what is not a number.
    return Check(float(np.max(far)), float(np.max(true)), len(samples), equal)


def _far(found: np.ndarray, wanted: Tensor) -> float:
    return float(np.abs(found - wanted.numpy()).max() / wanted.abs().max())


def _as_given(encoded: list[EncodedImage], maps: list[dict]) -> tuple[list, list]:
    """The maps of the picture, and what the model takes of the one that enriches."""
    first, *others = ([torch.as_tensor(V[name]) for name in MAPS] for V in maps)
    return first, [*others[0][1:], encoded[1].valid] if others else []


def _maps(session: Any, encoded: EncodedImage, side: int) -> dict[str, np.ndarray]:
    """V2..V5 of a picture."""
    square = np.ascontiguousarray(resize_and_pad(encoded.picture, side).transpose(2, 0, 1)[None])
    return dict(zip(MAPS, session.run(None, {"pixels": square}), strict=True))


def _logits(session: Any, words: Tensor, lengths: Tensor, maps: list, similar: list) -> np.ndarray:
    values = zip(INPUTS, [words, lengths, *maps, *similar], strict=False)
    known = {one.name for one in session.get_inputs()}
    feed = {name: value.contiguous().numpy() for name, value in values if name in known}
    return session.run(None, feed)[0]


def main(options: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default=BEST, help=f"{', '.join(ROWS)}, or a folder")
    parser.add_argument("--pool", type=Path, default=POOL, help="the data root of its data set")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the files")
    given = parser.parse_args(options)
    try:
        check = export(load(given.model, given.pool), given.out)
        folder = MODELS / given.model.lower() if given.model in ROWS else Path(given.model)
        page = (folder / CARD).read_text("utf-8") if (folder / CARD).is_file() else card(folder)
        files = (f"- `{p.name}`: `{sha256_of(p)}`" for p in sorted(given.out.glob("*.onnx")))
        part = f"\n## ONNX\n\nRun by onnxruntime on a CPU, {check}.\n\n" + "\n".join(files)
        write_text(given.out / CARD, f"{page}{part}\n")
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{given.out} holds backbone.onnx and model.onnx: {check}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
