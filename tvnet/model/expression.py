"""The language side of Fig. 2: words -> embedding -> LSTM -> the sentence vector s."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tvnet.model.blocks import linear, masked_softmax
from tvnet.settings import ModelSettings


class WordsRead(NamedTuple):
    """What a recurrent network makes of every word: 0 at a pad."""

    e: Tensor  # (B, T, d_words), the embeddings
    states: Tensor  # (B, T, d_s), not normalised
    pad: Tensor  # (B, T)

    @property
    def h(self) -> Tensor:
        """The states, of length 1 or, at a pad, 0: (B, T, d_s)."""
        return F.normalize(self.states, dim=-1)


class Embedding(nn.Module):
    """Words (B, T) and their lengths (B) -> e (B, T, d_words), each word by itself, 0 at a pad; and
    which words are pads (B, T)."""

    def __init__(self, vocabulary_size: int, settings: ModelSettings):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, settings.d_words)
        nn.init.normal_(self.embedding.weight, std=0.6)  # LSCM's rule for words without a GloVe row

    def forward(self, words: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        pad = torch.arange(words.shape[1], device=words.device) >= lengths[:, None]
        return self.embedding(words).masked_fill(pad[..., None], 0.0), pad


class Expression(Embedding):
    """Words (B, T) and their lengths (B) -> s (B, d_s), the last hidden state, of length 1, and
    t (B, d_s), the sentence vector of the exchange: s, or the weighted words (D12).

    Words are padded on the right. A state does not depend on later words, so the state at the
    last word equals that of prior code, which pads on the left and skips those steps.
    """

    def __init__(self, vocabulary_size: int, settings: ModelSettings):
        super().__init__(vocabulary_size, settings)
        self.lstm = nn.LSTM(settings.d_words, settings.d_s, batch_first=True)
        d_s = settings.d_s
        bound = (6 / (settings.d_words + d_s + 4 * d_s)) ** 0.5  # Glorot over [word; state]
        nn.init.uniform_(self.lstm.weight_ih_l0, -bound, bound)
        nn.init.uniform_(self.lstm.weight_hh_l0, -bound, bound)
        nn.init.zeros_(self.lstm.bias_hh_l0)
        nn.init.zeros_(self.lstm.bias_ih_l0)
        with torch.no_grad():
            self.lstm.bias_ih_l0[d_s : 2 * d_s] = 1.0  # forget gate, as in TF's BasicLSTMCell
        self.weigh = linear(d_s, 1) if settings.gate_text == "words" else None

    def forward(self, words: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        h, pad = self.read(words, lengths)
        s = h[torch.arange(h.shape[0], device=h.device), lengths - 1]
        if self.weigh is None:
            return s, s
        weights = masked_softmax(self.weigh(h)[..., 0], pad)
        return s, F.normalize(torch.einsum("bt,btd->bd", weights, h), dim=-1)

    def read(self, words: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The LSTM's states h (B, T, d_s), of length 1 or, at a pad, 0; the pads (B, T)."""
        found = self.word_states(words, lengths)
        return found.h, found.pad

    def word_states(self, words: Tensor, lengths: Tensor) -> WordsRead:
        """The embeddings and the LSTM's states as they are, both 0 at a pad."""
        e, pad = Embedding.forward(self, words, lengths)
        with torch.autocast(words.device.type, enabled=False):  # cheap, so kept in float32
            states, _ = self.lstm(e)
        return WordsRead(e, states.masked_fill(pad[..., None], 0.0), pad)


class Words(Expression):
    """Words (B, T) and their lengths (B) -> `WordsRead`: each word alone and in its place."""

    def forward(self, words: Tensor, lengths: Tensor) -> WordsRead:
        return self.word_states(words, lengths)


class WordStates(Expression):
    """Words (B, T) and their lengths (B) -> h (B, T, d_s), each word's state, of length 1 or, for
    a pad, 0; and which words are pads (B, T)."""

    def forward(self, words: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return self.read(words, lengths)
