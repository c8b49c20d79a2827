"""Predict many pairs: a mask and an overlay for each, then a table, COCO's RLE and a contact sheet.

What is found is kept picture by picture in progress.jsonl, so that the same call resumes a run that
was stopped or killed, and ends with the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco
from tqdm import tqdm

from tvnet.data.photo import check_photo
from tvnet.files import replacing, sha256_of, sole_writer
from tvnet.many.journal import Journal
from tvnet.many.pages import write_results
from tvnet.many.pairs import Pair, printable
from tvnet.overlay import overlay, write_mask
from tvnet.prediction import Prediction
from tvnet.predictor import Predictor
from tvnet.settings import as_dict

PROGRESS = "progress.jsonl"
LONGEST = 1280  # pixels of an overlay's longer side
FILES = ("mask", "overlay")  # of a record


def refuse_unknown(predictor: Predictor, sentence: str) -> None:
    """ValueError where the model has learned none of the words of a sentence that it would read."""
    words = predictor.vocabulary.words_of(sentence, predictor.retriever.data.name)
    if predictor.vocabulary.ids.keys().isdisjoint(words[: predictor.model.settings.data.max_words]):
        raise ValueError(
            f"The model knows no word of '{sentence:.40}': use words that it has learned, as in "
            "'left dog', or add --anyway for what the picture alone gives."
        )


def predict_many(
    predictor: Predictor,
    pairs: list[Pair],
    out: Path,
    neighbour: str | int | Path = "retrieved",
    skip: bool = False,
    anyway: bool = False,
    progress: bool = False,
) -> list[dict]:
    """One record a pair, in their order; files are written to the folder `out`.

    The backbone sees each picture once, however many pairs name it. A record holds the mask's file,
    score and RLE, or the `error` of a pair that was left out. neighbour: as a Predictor takes it.
    skip: leave out pairs with a bad picture or sentence, instead of raising a ValueError that names
    the first. anyway: answer also where the model knows no word. progress: show a bar. Raises
    ValueError where `out` holds anything else.
    """
    groups: dict[Path, list[int]] = {}
    for n, pair in enumerate(pairs):
        groups.setdefault(pair.path, []).append(n)
    errors = _errors(predictor, pairs, anyway)
    for pair, error in zip(pairs, errors, strict=True):
        if error and not skip:
            raise _refusal(pair, error)
    if (
        out.is_dir()
        and not (out / PROGRESS).is_file()
        and {p.name for p in out.iterdir()} - {"lock"}
    ):
        raise ValueError(f"{out} holds other files: name a new folder for the results.")
    journal = Journal(out / PROGRESS, _identity(predictor, pairs, neighbour, anyway))
    if isinstance(neighbour, Path):
        neighbour = predictor.encode_image(neighbour)
    elif isinstance(neighbour, int):  # where the pool lacks it, nothing is written
        predictor.retriever.from_pool(neighbour)
    todo = list(groups.items())

    def holds(n: int, line: dict) -> bool:
        """Whether a line of the journal is what its picture would give again."""
        return line["sha256"] == _digest(todo[n][0]) and all(
            skip if "error" in record else all((out / record[key]).is_file() for key in FILES)
            for record in line["found"]
        )

    with sole_writer(out):
        lines = journal.resume(holds)
        bar = tqdm(total=len(todo), initial=len(lines), unit="picture", disable=not progress)
        for path, numbers in todo[len(lines) :]:
            line = {"sha256": _digest(path)}
            asked = [(pairs[n], errors[n], f"{n + 1:0{len(str(len(pairs)))}}") for n in numbers]
            line["found"] = _found(predictor, asked, out, neighbour, skip)
            journal.add(line)
            lines.append(line)
            bar.update()
        bar.close()
        records: list[dict] = [{}] * len(pairs)
        for line, (_, numbers) in zip(lines, todo, strict=True):
            for n, record in zip(numbers, line["found"], strict=True):
                records[n] = record
        write_results(out, records)
    return records


def _errors(predictor: Predictor, pairs: list[Pair], anyway: bool) -> list[str | None]:
    """What is wrong with each pair, as far as it shows before its picture is decoded."""
    pictures = {path: _refused(check_photo, path) for path in {pair.path for pair in pairs}}

    def check(sentence: str) -> None:
        if anyway:
            predictor.vocabulary.words_of(sentence, predictor.retriever.data.name)
        else:
            refuse_unknown(predictor, sentence)

    return [pictures[pair.path] or _refused(check, pair.sentence) for pair in pairs]


def _refused(check: Callable[[Any], None], given: object) -> str | None:
    """The sentence with which a check refuses what it is given."""
    try:
        check(given)
    except (FileNotFoundError, ValueError) as error:
        return printable(str(error))


def _refusal(pair: Pair, error: str) -> ValueError:
    return ValueError(f"{pair.place}: {error.removesuffix('.')}, or leave it out with --skip.")


def _identity(predictor: Predictor, pairs: list[Pair], neighbour: object, anyway: bool) -> dict:
    """All that the results are a function of, beside the pictures."""
    tensors = hashlib.sha256()
    for module in (predictor.model, predictor.retriever.backbone):
        for name, tensor in module.state_dict().items():
            tensors.update(name.encode() + tensor.contiguous().numpy().tobytes())
    asked = json.dumps([(pair.image, pair.sentence) for pair in pairs]).encode()
    return {
        "pairs": hashlib.sha256(asked).hexdigest(),
        "model": tensors.hexdigest(),
        "vocabulary": hashlib.sha256(json.dumps(predictor.vocabulary.words).encode()).hexdigest(),
        "settings": as_dict(predictor.model.settings),
        "pool": predictor.retriever.data.fingerprint,
        "neighbour": sha256_of(neighbour) if isinstance(neighbour, Path) else str(neighbour),
        "anyway": anyway,
    }


def _digest(path: Path) -> str | None:
    return sha256_of(path) if path.is_file() else None


def _found(
    predictor: Predictor,
    asked: list[tuple[Pair, str | None, str]],
    out: Path,
    neighbour: object,
    skip: bool,
) -> list[dict]:
    """The records of one picture's pairs, whose files are written.

    asked: each pair, what is known to be wrong with it, and its number in the names of files.
    """
    records = [
        {"image": printable(pair.image), "sentence": printable(pair.sentence)} for pair, *_ in asked
    ]
    try:
        encoded = predictor.encode_image(asked[0][0].path)
    except (FileNotFoundError, ValueError) as error:
        if not skip:
            raise _refusal(asked[0][0], str(error)) from error
        return [record | {"error": printable(str(error))} for record in records]
    small = encoded.picture.copy()
    small.thumbnail((LONGEST, LONGEST))
    good = [pair.sentence for pair, error, _ in asked if not error]
    predictions = predictor.sentences(encoded, good, neighbour)
    for record, (pair, error, number) in zip(records, asked, strict=True):
        name = f"{number}_{re.sub(r'[^A-Za-z0-9-]+', '_', Path(pair.image).stem)[:40]}"
        record |= {"error": error} if error else _written(next(predictions), small, out, name)
    return records


def _written(found: Prediction, picture: Image.Image, out: Path, name: str) -> dict:
    """What a record says of a prediction, whose mask and overlay are written."""
    files = {"mask": f"masks/{name}.png", "overlay": f"overlays/{name}.jpg"}
    write_mask(found.mask, out / files["mask"])
    resized = np.asarray(Image.fromarray(found.mask).resize(picture.size))
    with replacing(out / files["overlay"]) as part:
        overlay(picture, resized).save(part, "JPEG", quality=90, subsampling=0)
    rle = coco.encode(np.asfortranarray(found.mask, dtype=np.uint8))
    return files | {
        "score": round(found.score, 4),
        "share": round(float(found.mask.mean()), 6),
        "neighbour": found.neighbour if found.neighbour_id is None else found.neighbour_id,
        "remarks": found.remarks,
        "area": int(coco.area(rle)),
        "bbox": coco.toBbox(rle).tolist(),
        "segmentation": {"size": rle["size"], "counts": rle["counts"].decode()},
    }
