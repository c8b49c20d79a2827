"""What every run of an ablation found for every sentence, kept so that rows can be compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from tvnet.data.records import ReferData
from tvnet.evaluation.ablation import read_sentences, run_folder
from tvnet.evaluation.metrics import PerSentence, in_bin
from tvnet.evaluation.statistics import Row
from tvnet.files import replacing
from tvnet.settings import Settings


@dataclass(frozen=True, eq=False)  # so it may be the key of a cache
class Sentences:
    """N sentences of one split, in one order, evaluator clean.

    `share` (N,) is the part of its image that a referent fills. `runs` holds intersections and
    unions in pixels, (2, N), by row and seed.
    """

    sent_id: np.ndarray
    image_id: np.ndarray
    share: np.ndarray
    runs: dict[tuple[str, int], np.ndarray]

    def pair(self, first: str, second: str, size: str = "all") -> tuple[Row, Row, np.ndarray]:
        """Two rows on the seeds that both have, and the sentences' images, of one size bin.

        Raises ValueError where they have no seed in common.
        """
        seeds = sorted(
            {seed for row, seed in self.runs if row == first}
            & {seed for row, seed in self.runs if row == second}
        )
        if not seeds:
            raise ValueError(f"{first} and {second} have no seed in common: run both with one.")
        part = self.only(in_bin(self.share, size))
        rows = []
        for row in (first, second):
            counts = np.stack([part.runs[row, seed] for seed in seeds], axis=1)
            rows.append(Row(*counts))
        return *rows, part.image_id

    def only(self, keep: np.ndarray) -> Sentences:
        """The sentences where keep (N,) bool is True."""
        runs = {key: counts[:, keep] for key, counts in self.runs.items()}
        return Sentences(self.sent_id[keep], self.image_id[keep], self.share[keep], runs)

    def joined(self, found: dict[tuple[str, int], PerSentence]) -> Sentences:
        """With further runs beside these; ValueError where one has other sentences."""
        for (row, seed), run in found.items():
            if not np.array_equal(run.sent_id, self.sent_id):
                raise ValueError(
                    f"{row} with seed {seed} was measured on other sentences: measure all runs on "
                    "one split."
                )
        counts = {key: np.stack([run.intersection, run.union]) for key, run in found.items()}
        return replace(self, runs=self.runs | counts)

    def has(self, *rows: str) -> bool:
        """Whether all of these rows were run."""
        return set(rows) <= {row for row, _ in self.runs}

    def save(self, path: Path) -> None:
        """Write one compressed file, whole or not at all."""
        names = np.array([f"{row} {seed}" for row, seed in self.runs])
        with replacing(path) as part, open(part, "wb") as file:
            np.savez_compressed(
                file, sent_id=self.sent_id, image_id=self.image_id.astype(np.int32),
                share=self.share, names=names,
                runs=np.stack(list(self.runs.values())).astype(np.int32),
            )  # fmt: skip

    @classmethod
    def load(cls, path: Path) -> Sentences:
        """What `save` wrote. Raises ValueError where the file is damaged or of another layout."""
        try:
            with np.load(path) as found:
                names = (name.rsplit(" ", 1) for name in found["names"].tolist())
                keys = [(row, int(seed)) for row, seed in names]
                runs = dict(zip(keys, found["runs"].astype(np.int64), strict=True))
                return cls(found["sent_id"], found["image_id"], found["share"], runs)
        except (KeyError, ValueError, EOFError, BadZipFile) as error:
            raise ValueError(
                f"{path} does not hold the sentences of Table 1's runs ({error}): take it from the "
                "repository again, or run `make publish`."
            ) from error


def gather(
    settings: Settings, runs: Iterable[tuple[str, int]], data: ReferData, out_dir: Path
) -> Sentences:
    """The sentences of finished runs (row, seed) of one ablation."""
    found = {
        key: read_sentences(run_folder(settings, *key, out_dir, data.fingerprint)) for key in runs
    }
    one = next(iter(found.values()))
    image_id = np.array([sample.image_id for sample in data.samples_of(one.sent_id)])
    return Sentences(one.sent_id, image_id, one.area / one.pixels, {}).joined(found)
