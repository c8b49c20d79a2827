"""The rows of Table 1 with random weights on the tiny root; all share one retriever."""

from tests.predict.test_predict import SMALL, wakened_model
from tvnet.data import refer
from tvnet.data.words import Vocabulary
from tvnet.predictor import load
from tvnet.rows import ROWS, row_settings
from tvnet.saved_model import save


def tiny_rows(root, folder):
    """{row: Predictor}; checkpoints are written to `folder`."""
    vocabulary = Vocabulary.build(s.text for s in refer.read(root, "unc+").samples("train"))
    retriever, made = None, {}
    for row in ROWS:
        chosen = row_settings(SMALL, row)
        save(folder / row, wakened_model(chosen, len(vocabulary)), vocabulary, None)
        made[row] = load(folder / row, root, retriever=retriever)
        retriever = made[row].retriever
    return made
