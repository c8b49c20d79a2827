"""Expressions as word ids: the tokeniser of prior code and a vocabulary of the training split."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import regex

from data_setup.words import BETWEEN, lower_nfc, unspaced, without_spaces
from tvnet.files import read_json, write_text

SPECIAL = ("<pad>", "<go>", "<eos>", "<unk>")
PAD, GO, EOS, UNK = range(4)
PUNCTUATION = regex.compile(r"(?V1)[\p{Cc}\p{P}--['\-]]")


def tokenise(text: str) -> list[str]:
    """Words and runs of punctuation, lower case, without a closing full stop (CMPC).

    A run of punctuation keeps its blanks, as in prior code: ", " is one piece.
    """
    words = [piece for piece in BETWEEN.split(lower_nfc(text)) if piece.strip()]
    return words[:-1] if words and words[-1] == "." else words


def normalise_text(text: str, dataset: str = "unc") -> str:
    """A text in the form that a data set's expressions have (D31): in lower case.

    Those of the field `sent` have no punctuation but apostrophes and hyphens; emoji stay, as words
    that nobody knows.
    """
    text = lower_nfc(text)
    if dataset in ("unc", "unc+", "gref"):
        text = PUNCTUATION.sub(" ", text)
    return " ".join(text.split())


class Vocabulary:
    """Word -> id. The first four ids are those of the prior code's files."""

    def __init__(self, words: Iterable[str]):
        self.words = [*SPECIAL, *words]
        self.ids = {word: k for k, word in enumerate(self.words)}

    @classmethod
    def build(cls, texts: Iterable[str]) -> Vocabulary:
        """From the texts of the training split: frequent words first, equals by the alphabet.

        Raises ValueError where most texts are sentences without spaces: each would be one word.
        """
        texts = list(texts)
        runs = without_spaces(texts)
        if 2 * len(runs) > len(texts):
            raise ValueError(
                f"{len(runs)} of {len(texts)} sentences show no words, as '{runs[0]:.40}': put a "
                "space between the words of every sentence, though their script has none."
            )
        counts = Counter(word for text in texts for word in tokenise(text))
        return cls(sorted(counts, key=lambda word: (-counts[word], word)))

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, text: str, max_words: int) -> list[int]:
        """The ids of the first max_words words; an unknown word, or no word at all, is <unk>.

        Not padded: prior code pads on the left and skips the pads, which gives the same states.
        """
        return [self.ids.get(word, UNK) for word in tokenise(text)[:max_words]] or [UNK]

    def words_of(self, expression: str, dataset: str) -> list[str]:
        """The words of an expression that somebody typed, in the form of a data set's.

        Raises ValueError where it is no text, holds no word, or its script shows none.
        """
        if not isinstance(expression, str):
            raise ValueError(
                f"An expression of type {type(expression).__name__} cannot be read: give a text."
            )
        words = tokenise(normalise_text(expression, dataset))
        run = unspaced(expression)
        if run and not self.ids.keys() & {*tokenise(normalise_text(run, dataset))}:
            raise ValueError(
                f"The model does not know '{run:.40}' as a word: put a space between the words of "
                "the expression, though its script has none."
            )
        if not words:
            raise ValueError(
                f"The expression '{expression.strip():.40}' holds no word: say what to look for, "
                "as in 'left dog'."
            )
        return words

    def unknown(self, texts: Iterable[str]) -> tuple[float, float]:
        """Shares of words that the vocabulary lacks, and of texts that hold such a word."""
        texts = [tokenise(text) for text in texts]
        lacking = [sum(word not in self.ids for word in words) for words in texts]
        count = sum(len(words) for words in texts)
        return sum(lacking) / max(1, count), sum(n > 0 for n in lacking) / max(1, len(texts))

    def save(self, path: Path) -> None:
        """A JSON list of the words after the first four."""
        write_text(path, json.dumps(self.words[len(SPECIAL) :]))

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """What `save` wrote. Raises FileNotFoundError or ValueError naming the file."""
        words = read_json(path, list, "build the vocabulary and save it again")
        whole = all(isinstance(word, str) for word in words)
        if not whole or len({*SPECIAL, *words}) != len(SPECIAL) + len(words):
            raise ValueError(f"The vocabulary {path} is no list of different words: save it again.")
        return cls(words)
