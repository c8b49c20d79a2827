"""One picture and one expression -> a mask, what was retrieved for it, and every tensor between.

tvnet.predict("photo.jpg", "left dog").mask
python -m tvnet.predict photo.jpg "left dog" --out mask.png
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from PIL import Image

from tvnet.data.images import crop_and_resize
from tvnet.data.photo import FRAMES, Photo
from tvnet.data.words import UNK, Vocabulary, tokenise
from tvnet.experiment.ablation import ROWS
from tvnet.experiment.checkpoint import load as load_checkpoint
from tvnet.experiment.ship import BEST, MODELS
from tvnet.model.method import Method
from tvnet.model.pretrained import check_hash, fill, load_backbone, read_tensors
from tvnet.model.trace import Trace
from tvnet.retrieval.build import WEIGHTS
from tvnet.retrieval.online import Candidate
from tvnet.retrieval.sight import Seen, Sight

POOL = Path(__file__).parent / "pool"  # a part of MiniRef that ships
NEIGHBOURS = ("retrieved", "none", "random", "self")


@dataclass(frozen=True, eq=False)
class Prediction:
    """A mask and where it comes from."""

    mask: np.ndarray  # (H, W) bool: probability above one half
    probability: np.ndarray  # (H, W) float32
    score: float  # mean probability inside the mask, 0 where it is empty
    words: tuple[str, ...]  # that were read, at most T
    unknown_words: tuple[str, ...]  # those among them that training never showed
    left_out: int  # words after the first T
    candidates: tuple[Candidate, ...]  # of stage 1, best text first; () without RES
    neighbour: str  # one of NEIGHBOURS, "pool" or "picture"
    neighbour_id: int | None  # its image id, where it is one of the pool's
    seen: Seen  # the picture itself
    similar: Seen | None  # the picture that enriched
    trace: Trace  # a rival fills the symbols that it shares

    @property
    def remarks(self) -> list[str]:
        """What a reader should be told, as sentences."""
        told = []
        if self.left_out:
            count = len(self.words) + self.left_out
            told.append(f"Only the first {len(self.words)} of {count} words are read.")
        if frames := self.seen.picture.info.get(FRAMES):
            told.append(f"The file holds {frames} pictures: only the first is looked at.")
        if unknown := self.unknown_words:
            more = f" and {len(unknown) - 8} more" if len(unknown) > 8 else ""
            listed = ", ".join(f"'{word.strip():.30}'" for word in unknown[:8])
            told.append(f"The model does not know {listed}{more}: it never saw them in training.")
            if len(unknown) == len(set(self.words)):
                told.append("It knows no word here, so the mask follows from the picture alone.")
        if not self.mask.any():
            told.append("The mask is empty: no pixel is more likely inside than outside.")
        return told


@dataclass(frozen=True, eq=False)
class WithoutWord:
    """The prediction for an expression that lacks one of its words."""

    word: str
    mask: np.ndarray  # (H, W) bool
    probability: np.ndarray  # (H, W) float32
    iou: float  # of this mask with that of the whole expression; 1 where both are empty


class Predictor:
    """A trained model with its words and its sight; `predictor(image, expression)`."""

    def __init__(self, model: Method, vocabulary: Vocabulary, sight: Sight):
        self.model, self.vocabulary, self.sight = model, vocabulary, sight
        self.see = sight.see

    def __call__(
        self,
        image: Photo | Seen,
        expression: str,
        neighbour: str | int | Photo | Seen = "retrieved",
    ) -> Prediction:
        """A picture, or one that was `see`n before, and an expression.

        neighbour enriches: "retrieved" by the two stages; "none", V' = V_in (Eq. 2 without its
        second term, as no network was trained); "random", drawn from the pool by the expression;
        "self", the picture itself; an image id of the pool; or another picture, its file given as
        a Path. A model without RES has no use for any. Raises FileNotFoundError or ValueError.
        """
        words = self._words(expression)
        seen = image if isinstance(image, Seen) else self.see(image)
        candidates: tuple[Candidate, ...] = ()
        kind, image_id, similar = "none", None, None
        if self.model.settings.model.enrichment:
            candidates = self.sight.retrieve(seen, expression)
            kind, image_id, similar = self._neighbour(neighbour, seen, expression, candidates)
        trace = Trace()
        read = words[: self.model.settings.data.max_words]
        probability, mask = self._masks(seen, similar, [read], trace)
        return Prediction(
            mask=mask[0],
            probability=probability[0],
            score=float(probability[0][mask[0]].mean()) if mask[0].any() else 0.0,
            words=tuple(read),
            unknown_words=tuple(
                dict.fromkeys(word for word in read if word not in self.vocabulary.ids)
            ),
            left_out=len(words) - len(read),
            candidates=candidates,
            neighbour=kind,
            neighbour_id=image_id,
            seen=seen,
            similar=similar,
            trace=trace,
        )

    def without_each_word(self, whole: Prediction) -> list[WithoutWord]:
        """The mask of each expression that lacks one word of `whole`'s, everything else equal."""
        shorter = [whole.words[:k] + whole.words[k + 1 :] for k in range(len(whole.words))]
        probability, mask = self._masks(whole.seen, whole.similar, shorter)
        found = []
        for word, p, m in zip(whole.words, probability, mask, strict=True):
            union = np.count_nonzero(m | whole.mask)
            iou = np.count_nonzero(m & whole.mask) / union if union else 1.0
            found.append(WithoutWord(word, m, p, iou))
        return found

    def _words(self, expression: str) -> list[str]:
        if not isinstance(expression, str):
            raise ValueError(
                f"An expression of type {type(expression).__name__} cannot be read: give a text."
            )
        words = tokenise(self.sight.typed(expression))
        if not words:
            raise ValueError(
                f"The expression '{expression.strip():.40}' holds no word: say what to look for, "
                "as in 'left dog'."
            )
        return words

    def _neighbour(
        self,
        asked: str | int | Photo | Seen,
        seen: Seen,
        expression: str,
        candidates: tuple[Candidate, ...],
    ) -> tuple[str, int | None, Seen | None]:
        """Kind, image id and the picture that enriches."""
        if isinstance(asked, Seen):
            return "picture", None, asked
        if isinstance(asked, str):
            if asked not in NEIGHBOURS:
                raise ValueError(
                    f"There is no neighbour '{asked}': choose one of {', '.join(NEIGHBOURS)}; an "
                    "image id of the pool is an int, a file is a Path."
                )
            if asked == "self":
                return asked, None, seen
            if asked == "none" or not candidates:
                return "none", None, None
            if asked == "random":
                image_id = self.sight.random(seen, expression)
            else:
                image_id = min(candidates, key=lambda c: c.final_rank).image_id
            return asked, image_id, self.sight.from_pool(image_id)
        if isinstance(asked, int | np.integer):
            return "pool", int(asked), self.sight.from_pool(int(asked))
        return "picture", None, self.see(asked)

    @torch.no_grad()
    def _masks(
        self,
        seen: Seen,
        similar: Seen | None,
        texts: list[tuple[str, ...] | list[str]],
        trace: Trace | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities (B, H, W) float32 and masks (B, H, W) bool of B lists of words."""
        ids = [[self.vocabulary.ids.get(word, UNK) for word in text] or [UNK] for text in texts]
        lengths = torch.tensor([len(line) for line in ids])
        words = torch.nn.utils.rnn.pad_sequence([torch.tensor(line) for line in ids], True)
        n = len(ids)
        V_in = {name: V.expand(n, -1, -1, -1) for name, V in seen.maps.items()}
        V_sim = valid = None
        if similar is not None:
            V_sim = {name: V.expand(n, -1, -1, -1) for name, V in similar.maps.items()}
            valid = similar.valid.expand(n, -1, -1)
        logits = self.model(V_in, V_sim, words, lengths, valid, trace=trace)
        at_size = crop_and_resize(logits, seen.place)[:, 0]
        mask = (at_size > 0).numpy()
        return at_size.sigmoid_().numpy(), mask


def load(
    model: str | Path = BEST,
    pool: Path | str = POOL,
    weights: Path | str = WEIGHTS,
    sight: Sight | None = None,
) -> Predictor:
    """A predictor of a shipped model (a row of Table 1) or of a folder that training wrote.

    pool: a data root with the model's data set, of whose training split images are retrieved.
    weights: where the backbone and the encoders of the paper profile lie. sight: another
    predictor's, to share what it has computed. Raises FileNotFoundError or ValueError.
    """
    shipped = model in ROWS
    folder = MODELS / model.lower() if shipped else Path(model)
    network, vocabulary = load_checkpoint(folder)
    if shipped:
        digests = json.loads((MODELS / "shipped.json").read_text("utf-8"))["rows"][model]["sha256"]
        for name, digest in digests.items():
            check_hash(folder / name, digest)
    chosen = network.settings
    if sight is None:
        name = chosen.data.dataset
        if Path(pool) == POOL and not (POOL / "index" / f"{name}.json").is_file():
            raise ValueError(
                f"The pool that ships holds no '{name}', which the model in {folder} was trained "
                "on: name a data root that does as its pool."
            )
        backbone = load_backbone(chosen.backbone, Path(weights))
        if chosen.backbone.train_from != "none":
            fill(backbone, read_tensors(folder / "backbone.safetensors"), folder)
        sight = Sight(chosen, backbone, Path(pool), Path(weights))
    for part in ("data", "backbone", "retrieval"):
        if getattr(sight.chosen, part) != getattr(chosen, part):
            raise ValueError(
                f"The model in {folder} was made with other settings of '{part}' than this sight: "
                "load it without one."
            )
    return Predictor(network, vocabulary, sight)


@lru_cache(maxsize=len(ROWS))
def _shipped(row: str) -> Predictor:
    return load(row)


def predict(
    image: Photo,
    expression: str,
    neighbour: str | int | Photo = "retrieved",
    model: str | Path = BEST,
    pool: Path | str = POOL,
) -> Prediction:
    """One picture and one expression: what `load` and `Predictor` do, in one call."""
    own = model not in ROWS or Path(pool) != POOL
    predictor = load(model, pool) if own else _shipped(model)
    return predictor(image, expression, neighbour)


class _Callable(ModuleType):
    """`tvnet.predict` is this module, and can be called like the function in it."""

    __call__ = staticmethod(predict)


sys.modules[__name__].__class__ = _Callable


def write_mask(mask: np.ndarray, path: Path) -> None:
    """A PNG, white where the referent is, written aside and renamed."""
    part = path.with_suffix(f".part{os.getpid()}")
    try:
        Image.fromarray(mask.astype(np.uint8) * 255).save(part, "PNG")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _told(found: Prediction) -> list[str]:
    """A prediction in sentences."""
    share = 100 * found.mask.mean()
    lines = [f"{share:.1f} % of the picture, score {found.score:.2f}.", *found.remarks]
    for c in found.candidates:
        if c.image_id == found.neighbour_id:
            lines.append(
                f"Enriched by picture {c.image_id}, '{c.expression}': text {c.text_similarity:.2f} "
                f"(rank {c.text_rank}), image {c.image_similarity:.2f} (rank {c.image_rank} of "
                f"{len(found.candidates)})."
            )
    return lines


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tvnet.predict", description=__doc__.split("\n")[0]
    )
    parser.add_argument("image", help="a JPEG, PNG or the like")
    parser.add_argument("expression", help="what to look for, as in 'left dog'")
    parser.add_argument("--out", type=Path, help="the mask as a PNG")
    parser.add_argument("--model", default=BEST, help=f"{', '.join(ROWS)}, or a folder")
    parser.add_argument("--pool", type=Path, default=POOL, help="a data root to retrieve from")
    parser.add_argument("--neighbour", default="retrieved", help=", ".join(NEIGHBOURS))
    options = parser.parse_args(arguments)
    try:
        if options.out and options.out.suffix.lower() != ".png":
            raise ValueError(f"The mask is a PNG: name it {options.out.with_suffix('.png')}.")
        if options.out and not options.out.absolute().parent.is_dir():
            raise FileNotFoundError(f"There is no folder {options.out.parent}: make it first.")
        found = predict(
            options.image, options.expression, options.neighbour, options.model, options.pool
        )
        if options.out:
            write_mask(found.mask, options.out)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(*_told(found), sep="\n")
    if options.out:
        print(f"The mask is {options.out}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
