"""The tokeniser of prior code, and a vocabulary that every run builds the same."""

import json
import re
import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.real_root import REASON, real_samples
from tvnet.data import refer
from tvnet.data.words import PAD, SPECIAL, UNK, Vocabulary, normalise_text, tokenise, unspaced
from tvnet.predictor import POOL
from tvnet.retrieval.encoders import Tfidf


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


def as_prior_code(text):
    """CMPC's rule, which knows no script but ours."""
    words = [w.lower() for w in re.split(r"(\W+)", text.strip()) if w.strip()]
    return words[:-1] if words and words[-1] == "." else words


def as_sent(text):
    """The form of the field `sent`, letter by letter."""
    dropped = {"Cf": "", "Cs": ""}
    kinds = [(c, unicodedata.category(c)) for c in text]
    blank = [k == "Cc" or k[0] == "P" and c not in "'-" for c, k in kinds]
    kept = [" " if b else dropped.get(k, c) for (c, k), b in zip(kinds, blank, strict=True)]
    return " ".join("".join(kept).lower().split())


@given(st.text(string.printable + "éüß™🐻½²"))
def test_english_is_cut_as_in_prior_code(text):
    assert tokenise(text) == as_prior_code(text)
    assert normalise_text(text) == as_sent(text)


def test_sentences_of_miniref_are_cut_as_in_prior_code():
    texts = [
        s.text
        for name in ("unc", "unc+", "gref")
        for r in refer.read(POOL, name).referents
        for s in r.sentences
    ]
    assert len(texts) > 1000
    assert [tokenise(t) for t in texts] == [as_prior_code(t) for t in texts]
    assert [normalise_text(t) for t in texts] == [as_sent(t) for t in texts]


@pytest.mark.slow
@pytest.mark.skipif(real_samples() is None, reason=REASON)
def test_real_sentences_are_cut_as_in_prior_code():
    """RefCOCO's and ReferIt's: 130,915, and some hold ™, ☠ and accents."""
    lines = (real_samples() / "refcoco_unc_val" / "refcoco_unc_val.jsonl").read_text().splitlines()
    texts = [s["sent"] for line in lines for s in json.loads(line)["sentences"]]
    asked = json.loads((real_samples() / "referit_lists" / "referit_query_all.json").read_text())
    texts += [text for some in asked.values() for text in some]
    assert len(texts) == 130_915
    assert [tokenise(t) for t in texts] == [as_prior_code(t) for t in texts]
    assert [normalise_text(t) for t in texts] == [as_sent(t) for t in texts]
    Vocabulary.build(texts)  # and none is taken for a script without spaces


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("बाईं ओर का कुत्ता", ["बाईं", "ओर", "का", "कुत्ता"]),
        ("இடது நாய்", ["இடது", "நாய்"]),
        ("الكَلْبُ الأحمر", ["الكَلْبُ", "الأحمر"]),
        ("הַכֶּלֶב", ["הַכֶּלֶב"]),
        ("หมา สีแดง", ["หมา", "สีแดง"]),
        ("cafe\u0301", ["caf\u00e9"]),
        ("İstanbul", ["istanbul"]),
        ("re\u200bd so\u00adfa \ufeffdog", ["red", "sofa", "dog"]),
        ("red ❤\ufe0f", ["red", " ❤"]),
        ("1\ufe0f\u20e3 dog", ["1\u20e3", "dog"]),
        ("~\u0301 dog", ["~\u0301 ", "dog"]),  # a mark belongs to what it stands on
    ],
)
def test_words_of_other_languages_stay_whole(text, words):
    words = [unicodedata.normalize("NFC", word) for word in words]
    assert tokenise(text) == words
    assert tokenise(unicodedata.normalize("NFD", text)) == words
    assert [w.strip() for w in tokenise(normalise_text(text, "unc"))] == [
        w.strip() for w in words if normalise_text(w, "unc")
    ]


def test_retrieval_sees_one_form_too():
    encoder = Tfidf(["le caf\u00e9", "le bar"])
    one, other = encoder.encode(["Le cafe\u0301", "le caf\u00e9"]).toarray()
    assert (one == other).all() and one.any()


@pytest.mark.parametrize(
    ("text", "run"),
    [
        ("左边的狗", "左边的狗"),
        ("หมาตัวซ้าย", "หมาตัวซ้าย"),
        ("the 左边的狗，红色", "左边的狗，红色"),
        ("左边 的 狗", None),
        ("왼쪽 개", None),
        ("left dog", None),
        ("", None),
    ],
)
def test_a_script_without_spaces_is_known(text, run):
    assert unspaced(text) == run


def test_a_vocabulary_of_sentences_without_spaces_is_refused():
    with pytest.raises(
        ValueError, match="2 of 3 sentences show no words, as '左边的红色小狗': put a space"
    ):
        Vocabulary.build(["左边的红色小狗", "右边的大狗", "狗"])
    words = Vocabulary.build(["左边 的 红色 小狗", "右边 的 大狗", "狗", "斑马"]).words
    assert "小狗" in words and "斑马" in words


def test_what_is_typed_has_the_form_that_training_read():
    text = " The cup,  on the left."
    assert normalise_text(text, "unc+") == normalise_text(text) == "the cup on the left"
    for raw in ("referit", "my own"):  # no field `sent`: punctuation is part of the expression
        assert tokenise(normalise_text(text, raw)) == tokenise("the cup, on the left.")


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
    with pytest.raises(FileNotFoundError, match="words.json is missing: build the vocabulary"):
        Vocabulary.load(path)
    path.write_text('["a", ')
    with pytest.raises(ValueError, match="words.json is damaged"):
        Vocabulary.load(path)
    for content in ('{"a": 1}', '["a", "a"]', '["<unk>"]', "[1]"):
        path.write_text(content)
        with pytest.raises(ValueError, match="words.json is (no list of diff|damaged .*not list)"):
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
    assert normalise_text(typed) == form
