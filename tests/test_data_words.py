"""The tokeniser of prior code, and a vocabulary that every run builds the same."""

import pytest

from tvnet.data.words import PAD, SPECIAL, UNK, Vocabulary, plain, tokenise, typed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("left bear", ["left", "bear"]),
        ("  The LEFT Bear.  ", ["the", "left", "bear"]),
        ("man, left", ["man", ", ", "left"]),  # a run keeps its blanks, as in prior code
        ("bush/tree", ["bush", "/", "tree"]),
        ("the end...", ["the", "end", "..."]),  # one full stop is dropped, a run is not
        ("a. b.", ["a", ". ", "b"]),
        ("man's", ["man", "'", "s"]),
        ("été 数据", ["été", "数据"]),
        ("T-shirt_2", ["t", "-", "shirt_2"]),
        (".", []),
        ("", []),
        (" \t\n", []),
    ],
)
def test_tokenise(text, words):
    assert tokenise(text) == words


def test_what_is_typed_has_the_form_that_training_read():
    text = " The cup,  on the left."
    assert typed(text, "unc+") == plain(text) == "the cup on the left"
    for raw in ("referit", "my own"):  # no field `sent`: punctuation is part of the expression
        assert tokenise(typed(text, raw)) == tokenise("the cup, on the left.")


def test_frequent_words_first_and_equals_by_the_alphabet():
    vocabulary = Vocabulary.build(["b d c", "c a", "c b"])
    assert vocabulary.words == [*SPECIAL, "c", "b", "a", "d"]
    assert len(vocabulary) == 8
    assert Vocabulary.build(["c b", "b d c", "c a"]).words == vocabulary.words
    assert SPECIAL == ("<pad>", "<go>", "<eos>", "<unk>") and (PAD, UNK) == (0, 3)


def test_encode_cuts_and_names_the_unknown():
    vocabulary = Vocabulary.build(["left bear"])
    left, bear = (vocabulary.ids[word] for word in ("left", "bear"))
    assert vocabulary.encode("Left bear.", 20) == [left, bear]
    assert vocabulary.encode("left lion bear", 20) == [left, UNK, bear]
    assert vocabulary.encode("left left bear", 2) == [left, left]
    for nothing in ("", "   ", "."):
        assert vocabulary.encode(nothing, 20) == [UNK]
    # The special tokens cannot be written: the tokeniser takes the brackets off.
    assert vocabulary.encode("<pad>", 20) == [UNK, UNK, UNK]


def test_shares_of_unknown_words_and_texts():
    vocabulary = Vocabulary.build(["left bear"])
    assert vocabulary.unknown(["left bear", "right bear", "red red"]) == (3 / 6, 2 / 3)
    assert vocabulary.unknown([]) == (0, 0)


def test_saved_and_loaded_is_the_same(tmp_path):
    vocabulary = Vocabulary.build(["été, 数据 bear"])
    path = tmp_path / "cache" / "words.json"
    vocabulary.save(path)
    assert Vocabulary.load(path).ids == vocabulary.ids
    assert [p.name for p in path.parent.iterdir()] == ["words.json"]


def test_bad_files_are_named(tmp_path):
    path = tmp_path / "words.json"
    with pytest.raises(FileNotFoundError, match="no vocabulary at .*words.json: build and save"):
        Vocabulary.load(path)
    path.write_text('["a", ')
    with pytest.raises(ValueError, match="words.json is damaged"):
        Vocabulary.load(path)
    for content in ('{"a": 1}', '["a", "a"]', '["<unk>"]', "[1]"):
        path.write_text(content)
        with pytest.raises(ValueError, match="words.json is no list of different words"):
            Vocabulary.load(path)


@pytest.mark.parametrize(
    "typed, form",
    [
        ("The LEFT bear, please!", "the left bear please"),
        ("  man's t-shirt\t(red)\n", "man's t-shirt red"),
        ("red 🐻", "red 🐻"),
        ("re\u200bd \u202ebear\u202c", "red bear"),  # what has no width and turns the direction
        ("الدب، الأحمر؟", "الدب الأحمر"),
        ("red \udcff", "red"),  # what a terminal makes of bytes that are no text
        ("?!", ""),
    ],
)
def test_typed_text_gets_the_form_of_the_data_sets(typed, form):
    assert plain(typed) == form
