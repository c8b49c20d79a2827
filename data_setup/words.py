"""Where words begin and end: for a data sheet, for training, and for what is asked of a model."""

import unicodedata
from collections.abc import Iterable

import regex

# Unicode's properties, in the words of `regex`: N is numbers, M the marks on a letter before them,
# which are part of the word that it stands in, as the vowels of Hindi are.
BETWEEN = regex.compile(r"((?:[^\w\p{N}]\p{M}*)+)")
INVISIBLE = regex.compile(r"[\p{DI}\p{Cf}\p{Cs}]")  # soft hyphens, turns of direction, ...
# Scripts whose sentences show no words: Thai, Lao, Khmer, Burmese (SA), Chinese, Japanese.
UNSPACED = regex.compile(r"[\p{LB=SA}\p{Han}\p{Hiragana}\p{Katakana}]")
LONGEST_WORD = 4  # letters; more of those scripts without a blank are a sentence


def lower_nfc(text: str) -> str:
    """Lower case in Unicode's form NFC, without blanks around it or what nobody can see.

    The dot that lower case leaves on a Turkish İ goes too: "İstanbul" is "istanbul".
    """
    if not text.isascii():
        text = INVISIBLE.sub("", text)
    return unicodedata.normalize("NFC", text.lower().replace("i\u0307", "i")).strip()


def pieces(text: str) -> list[str]:
    """Words and runs of punctuation, lower case, without blanks around them."""
    return [piece.strip() for piece in BETWEEN.split(lower_nfc(text)) if piece.strip()]


def unspaced(text: str) -> str | None:
    """All that a text holds of scripts written without spaces, where no blank parts it."""
    parts = [part for part in text.split() if UNSPACED.search(part)]
    return parts[0] if len(parts) == 1 else None


def without_spaces(texts: Iterable[str]) -> list[str]:
    """What is `unspaced` of those texts that show no words."""
    runs = (run for run in map(unspaced, texts) if run)
    return [run for run in runs if sum(map(str.isalpha, run)) > LONGEST_WORD]
