"""The page beside a trained model: data, figures, limits, settings, hashes; never typed."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open

from tvnet.files import read_json, sha256_of, write_text
from tvnet.model.pretrained import LEAK
from tvnet.saved_model import AGAIN, BACKBONE, FILES

CARD = "model_card.md"
DRAWN = ("minivoc",)  # weights of the backbone that have seen drawn pictures only


@dataclass(frozen=True)
class Figure:
    """One measure of a model on one split, in per cent, with its 95 % interval (nan: unknown)."""

    split: str
    sentences: int
    measure: str
    value: float
    interval: tuple[float, float]


def write_card(folder: Path, figures: list[Figure], origin: dict[str, str]) -> None:
    """Write the page of the model in a folder beside it."""
    write_text(folder / CARD, card(folder, figures, origin))


def card(
    folder: Path, figures: list[Figure] | None = None, origin: dict[str, str] | None = None
) -> str:
    """The page in Markdown, from the files that `saved_model.save` wrote.

    origin: what is known of where it comes from, by name: row, seed, data, commit, ...
    """
    figures, origin = figures or [], origin or {}
    settings = read_json(folder / "settings.json", dict, AGAIN)
    data, model, weights = settings["data"], settings["model"], settings["backbone"]["weights"]
    words = len(read_json(folder / "vocabulary.json", list, AGAIN))
    with safe_open(folder / "model.safetensors", "np") as tensors:
        shapes = [tensors.get_slice(name).get_shape() for name in tensors.keys()]
    count = sum(math.prod(shape) for shape in shapes)
    about = {
        "what it does": "marks what a sentence refers to in a picture",
        "method": _method(model),
        "parameters": f"{count:,}, without the backbone",
        "input": f"a picture, padded to {data['size']} x {data['size']} pixels, and at most "
        f"{data['max_words']} words of the {words:,} that it has learned",
        "trained on": f"{data['dataset']}, split {data['train_split']}",
        "backbone": f"{weights}; {LEAK.get(weights, 'unknown')}",
        **origin,
    }
    files = [name for name in (*FILES, BACKBONE) if (folder / name).is_file()]
    hashes = {name: sha256_of(folder / name) for name in files}
    parts = [
        f"# Model card of {folder.name}",
        "This page is generated from the files beside it.",
        "\n".join(f"- {name}: {value}" for name, value in about.items()),
        "## Figures\n\n" + _figures(figures),
        "## Limits\n\n" + "\n".join(f"- {limit}" for limit in _limits(settings, figures)),
        "## Settings\n\n```json\n" + json.dumps(settings, indent=1) + "\n```",
        "## sha256\n\n" + "\n".join(f"- `{name}`: `{value}`" for name, value in hashes.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _method(model: dict) -> str:
    if model["method"] != "tvnet":
        return model["method"]
    parts = ["Baseline"] + ["RES"] * model["enrichment"]
    parts += {"amf": ["AMF"], "cct": ["Cct"]}.get(model["high_resolution"], [])
    return "TV-Net, " + "+".join(parts)


def _figures(figures: list[Figure]) -> str:
    if not figures:
        return "Not measured: no result was known when this page was written."
    lines = ["| split | sentences | measure | per cent | 95 % interval |", "|---|---|---|---|---|"]
    for f in figures:
        low, high = f.interval
        interval = "too few pictures" if math.isnan(low) else f"{low:.1f} to {high:.1f}"
        measure = f.measure.replace("prec_", "Prec@").replace("_iou", " IoU")
        lines.append(f"| {f.split} | {f.sentences:,} | {measure} | {f.value:.1f} | {interval} |")
    note = "Evaluator clean. An interval is that of resampled pictures, and speaks of this network."
    return "\n".join(lines) + "\n\n" + note


def _limits(settings: dict, figures: list[Figure]) -> list[str]:
    """What follows from the settings."""
    limits = [
        "It does not say that a sentence fits nothing in the picture; the score is the mean "
        "probability inside the mask and was not calibrated.",
        "A word that training never showed is read as unknown.",
    ]
    if settings["backbone"]["weights"] in DRAWN:
        limits.append("Its backbone has seen drawn pictures only: expect little of photographs.")
    if settings["model"]["enrichment"]:
        limits.append(
            f"It retrieves from the split {settings['data']['train_split']} of its data set, which "
            "has to be there to predict."
        )
    if not any(figure.split.startswith("test") for figure in figures):
        limits.append("No test split has been measured.")
    return limits
