"""Where words begin and end: the rule of tvnet.data.words, held equal to it by a test."""

import unicodedata

import regex

BETWEEN = regex.compile(r"((?:[^\w\p{N}]\p{M}*)+)")
INVISIBLE = regex.compile(r"[\p{DI}\p{Cf}\p{Cs}]")
UNSPACED = regex.compile(r"[\p{LB=SA}\p{Han}\p{Hiragana}\p{Katakana}]")
LONGEST_WORD = 4  # letters of a script without spaces


def pieces(text: str) -> list[str]:
    """Words and runs of punctuation, lower case, without blanks around them."""
    if not text.isascii():
        text = INVISIBLE.sub("", text)
    text = unicodedata.normalize("NFC", text.lower().replace("i\u0307", "i"))
    return [piece.strip() for piece in BETWEEN.split(text) if piece.strip()]


def without_spaces(texts: list[str]) -> list[str]:
    """Those that show no words, as their script has no spaces between them."""
    found = []
    for text in texts:
        parts = [part for part in text.split() if UNSPACED.search(part)]
        if len(parts) == 1 and sum(map(str.isalpha, parts[0])) > LONGEST_WORD:
            found.append(text)
    return found
