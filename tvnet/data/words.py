"""Expressions as word ids: the tokeniser of prior code and a vocabulary of the training split."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

SPECIAL = ("<pad>", "<go>", "<eos>", "<unk>")
PAD, GO, EOS, UNK = range(4)


def tokenise(text: str) -> list[str]:
    """Words and runs of punctuation, lower case, without a closing full stop (CMPC).

    A run of punctuation keeps its blanks, as in prior code: ", " is one piece.
    """
    pieces = re.split(r"(\W+)", text.strip())
    words = [piece.lower() for piece in pieces if piece.strip()]
    return words[:-1] if words and words[-1] == "." else words


def typed(text: str, dataset: str) -> str:
    """What somebody types, in the form that a data set's expressions have (D31)."""
    return plain(text) if dataset in ("unc", "unc+", "gref") else " ".join(text.lower().split())


def plain(text: str) -> str:
    """A text in the form of the field `sent`: lower case, no punctuation.

    Apostrophes and hyphens stay, and so do emoji, which are words that nobody knows.
    """
    kept = [
        ""
        if kind in ("Cf", "Cs")
        else " "
        if kind == "Cc" or kind[0] == "P" and c not in "'-"
        else c
        for c in text
        for kind in [unicodedata.category(c)]
    ]
    return " ".join("".join(kept).lower().split())


class Vocabulary:
    """Word -> id. The first four ids are those of the prior code's files."""

    def __init__(self, words: Iterable[str]):
        self.words = [*SPECIAL, *words]
        self.ids = {word: k for k, word in enumerate(self.words)}

    @classmethod
    def build(cls, texts: Iterable[str]) -> Vocabulary:
        """From the texts of the training split: frequent words first, equals by the alphabet."""
        counts = Counter(word for text in texts for word in tokenise(text))
        return cls(sorted(counts, key=lambda word: (-counts[word], word)))

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, text: str, max_words: int) -> list[int]:
        """The ids of the first max_words words; an unknown word, or no word at all, is <unk>.

        Not padded: prior code pads on the left and skips the pads, which gives the same states.
        """
        return [self.ids.get(word, UNK) for word in tokenise(text)[:max_words]] or [UNK]

    def unknown(self, texts: Iterable[str]) -> tuple[float, float]:
        """Shares of words that the vocabulary lacks, and of texts that hold such a word."""
        texts = [tokenise(text) for text in texts]
        lacking = [sum(word not in self.ids for word in words) for words in texts]
        count = sum(len(words) for words in texts)
        return sum(lacking) / max(1, count), sum(n > 0 for n in lacking) / max(1, len(texts))

    def save(self, path: Path) -> None:
        """Write aside, then rename: a JSON list of the words after the first four."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".part{os.getpid()}")
        part.write_text(json.dumps(self.words[len(SPECIAL) :]), "utf-8")
        os.replace(part, path)

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """What `save` wrote. Raises FileNotFoundError or ValueError naming the file."""
        if not path.is_file():
            raise FileNotFoundError(f"There is no vocabulary at {path}: build and save it first.")
        try:
            words = json.loads(path.read_text("utf-8"))
        except ValueError as error:
            raise ValueError(
                f"The vocabulary {path} is damaged ({error}): save it again."
            ) from error
        whole = isinstance(words, list) and all(isinstance(word, str) for word in words)
        if not whole or len({*SPECIAL, *words}) != len(SPECIAL) + len(words):
            raise ValueError(f"The vocabulary {path} is no list of different words: save it again.")
        return cls(words)
