"""The language side of Fig. 2: words -> embedding -> LSTM -> the sentence vector s."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tvnet.model.blocks import linear, to_float32
from tvnet.settings import ModelSettings


class Expression(nn.Module):
    """Words (B, T) and their lengths (B) -> s (B, d_s), the last hidden state, of length 1, and
    t (B, d_s), the sentence vector of the exchange: s, or the weighted words (D12).

    Words are padded on the right. A state does not depend on later words, so the state at the
    last word equals that of prior code, which pads on the left and skips those steps.
    """

    def __init__(self, vocabulary_size: int, settings: ModelSettings):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, settings.d_words)
        nn.init.normal_(self.embedding.weight, std=0.6)  # LSCM's rule for words without a GloVe row
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
        s = h[torch.arange(len(h), device=h.device), lengths - 1]
        if self.weigh is None:
            return s, s
        weights = to_float32(self.weigh(h)[..., 0]).masked_fill(pad, float("-inf")).softmax(1)
        return s, F.normalize(torch.einsum("bt,btd->bd", weights, h), dim=-1)

    def read(self, words: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The LSTM's states h (B, T, d_s), of length 1 or, at a pad, 0; the pads (B, T)."""
        with torch.autocast(words.device.type, enabled=False):  # cheap, so kept in float32
            states, _ = self.lstm(self.embedding(words))
        pad = torch.arange(words.shape[1], device=words.device) >= lengths[:, None]
        return F.normalize(states, dim=-1).masked_fill(pad[..., None], 0.0), pad


class WordStates(Expression):
    """Words (B, T) and their lengths (B) -> h (B, T, d_s), each word's state, of length 1 or, for
    a pad, 0; and which words are pads (B, T)."""

    def forward(self, words: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return self.read(words, lengths)
