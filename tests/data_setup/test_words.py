"""Words where a data set is made are the words where it is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_setup.words import pieces
from tvnet.data.words import tokenise

TEXTS = [
    "The cup,  on the left", "it's a well-known 2½ dog!?", "बाईं ओर का कुत्ता", "இடது நாய்",
    "הַכֶּלֶב", "cafe\u0301", "İstanbul", "re\u200bd so\u00adfa \ufeffdog", "red ❤\ufe0f", "左边 的 狗",
]  # fmt: skip


def cut(text):
    return [word.strip() for word in tokenise(text + " x")]  # which drops a full stop at the end


@pytest.mark.parametrize("text", TEXTS)
def test_words_are_cut_as_tvnet_cuts_them(text):
    assert pieces(text + " x") == cut(text)


@given(st.text())
def test_any_text_is_cut_as_tvnet_cuts_it(text):
    assert pieces(text + " x") == cut(text)
