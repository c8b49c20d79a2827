"""The language side of Fig. 2: words -> embedding -> LSTM -> the sentence vector s."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from tvnet.model.blocks import linear, wide
from tvnet.settings import ModelSettings


class Expression(nn.Module):
    """Words (B, T) and their lengths (B) -> s (B, d_s), the last hidden state, of length 1, and
    t (B, d_s), what the exchange is told: s again, or weighted words (D12).

    Words are padded on the right and the pads never enter the LSTM, which leaves the same last
    state as prior code's left padding with skipped steps.
    """

    def __init__(self, vocabulary_size: int, settings: ModelSettings):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, settings.d_words)
        nn.init.normal_(self.embedding.weight, std=0.6)  # LSCM's rule for words without GloVe row
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
        states, s = self.read(words, lengths)
        if self.weigh is None:
            return s, s
        h, pad = unpacked(states, lengths)
        weights = wide(self.weigh(h)[..., 0]).masked_fill(pad, float("-inf")).softmax(1)
        return s, F.normalize(torch.einsum("bt,btd->bd", weights, h), dim=-1)

    def read(self, words: Tensor, lengths: Tensor) -> tuple[PackedSequence, Tensor]:
        """The LSTM's states, packed, and s."""
        embedded = self.embedding(words)  # (B, T, d_words)
        packed = pack_padded_sequence(
            embedded, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        with torch.autocast(words.device.type, enabled=False):  # little work: kept in float32
            states, (last, _) = self.lstm(packed)
        return states, F.normalize(last[-1], dim=-1)


class WordStates(Expression):
    """Words (B, T) and their lengths (B) -> h (B, T, d_s), each word's state, of length 1 or, for
    a pad, 0; and which words are pads (B, T)."""

    def forward(self, words: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return unpacked(self.read(words, lengths)[0], lengths)


def unpacked(states: PackedSequence, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """States of length 1 (B, T, d_s), zero at the pads, and which words are pads (B, T)."""
    h = F.normalize(pad_packed_sequence(states, batch_first=True)[0], dim=-1)
    return h, torch.arange(h.shape[1], device=h.device) >= lengths[:, None]
