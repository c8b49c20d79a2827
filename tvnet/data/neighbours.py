"""The file between the two stages: which image was retrieved for each sentence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tvnet.data.arrays import load_arrays, save_arrays
from tvnet.settings_checks import differences

COMMAND = "python -m tvnet.retrieval.build"


@dataclass
class Neighbours:
    """One line a sentence. Candidates come best text first; BLANK fills what a pool lacks."""

    sent_id: np.ndarray  # (N,) ascending
    similar_id: np.ndarray  # (N,) the image that enriches; BLANK is the all-black picture
    candidates: np.ndarray  # (N, k) image ids
    text_similarity: np.ndarray  # (N, k)
    image_similarity: np.ndarray  # (N, k)
    chosen: np.ndarray  # (N,) column of similar_id in candidates, -1 where a control chose it
    settings: dict  # what it was made with

    def of(self, sent_ids: np.ndarray) -> np.ndarray:
        """Retrieved image ids of the sentences; ValueError names the first one without a line."""
        missing = ~np.isin(sent_ids, self.sent_id)
        if missing.any():
            raise ValueError(
                f"The neighbours hold no line for sentence {np.asarray(sent_ids)[missing][0]}: "
                f"they were made for other data, run `{COMMAND}` again."
            )
        return self.similar_id[np.searchsorted(self.sent_id, sent_ids)]

    def save(self, path: Path) -> None:
        """Written whole."""
        arrays = {name: value for name, value in vars(self).items() if name != "settings"}
        save_arrays(path, arrays, self.settings)

    @classmethod
    def load(cls, path: Path, expected: dict | None = None) -> Neighbours:
        """Read a neighbours file; with `expected`, refuse one that was made for other settings."""
        if not path.is_file():
            raise FileNotFoundError(f"There are no neighbours at {path}: run `{COMMAND}` first.")
        try:
            arrays, settings = load_arrays(path)
            found = cls(**arrays, settings=settings)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{path} is not a neighbours file ({error}): delete it and run `{COMMAND}`."
            ) from error
        if expected is not None and found.settings != expected:
            differing = "; ".join(differences(settings, expected))
            raise ValueError(
                f"The neighbours at {path} were made for other settings ({differing}): run "
                f"`{COMMAND}` with yours."
            )
        return found
