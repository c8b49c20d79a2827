"""Peak memory of a whole build at the paper's size, and of a search among a million keys.

python tests/benchmarks/bench_memory.py [--pictures 19992 --expressions 141564 --keys 1000000]

Each runs in a process of its own, with encoders that draw vectors, so that the rest is measured.
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
import zlib
from pathlib import Path

import timing  # first: it limits the threads
from synthetic import repetitions, texts

import numpy as np  # isort: skip
from tvnet.data.records import Picture, ReferData, Referent, Sentence
from tvnet.retrieval.build import retrieve
from tvnet.retrieval.ranking import Pool, candidates, hashes
from tvnet.retrieval.search import search_over
from tvnet.settings import settings

GIB = 2**30


class Drawn:
    """Random unit rows, of the paper's lengths."""

    def __init__(self, d: int):
        self.name, self.d, self.about = f"drawn {d}", d, {"encoder": "drawn", "d": d}

    def encode(self, *given) -> np.ndarray:
        rng = np.random.default_rng(zlib.crc32(str(given[-1][0]).encode()))
        rows = rng.standard_normal((len(given[-1]), self.d), dtype=np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def world(pictures: int, expressions: int) -> ReferData:
    """As many images and expressions as UNC+, 15 % of them val; nothing on disk."""
    rng = np.random.default_rng(0)
    lines = texts(int(0.522 * expressions), rng)
    which = repetitions(expressions, len(lines), rng)
    image = np.sort(rng.integers(pictures, size=expressions))
    referents = tuple(
        Referent(i, i, int(k), 0, "val" if k % 7 == 0 else "train", (Sentence(i, lines[t]),))
        for i, (k, t) in enumerate(zip(image, which, strict=True))
    )
    shown = {i: Picture(i, Path(f"{i}.jpg"), 640, 480) for i in range(pictures)}
    return ReferData("unc+", shown, referents, {r.ann_id: [] for r in referents}, {0: "thing"})


def whole_build(pictures: int, expressions: int) -> dict:
    """Embeddings, both stages and the file, for every expression."""
    data, chosen = world(pictures, expressions), settings("paper")
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        found = retrieve(data, chosen, Drawn(768), Drawn(4096), folder=Path(folder))
        found.save(Path(folder) / "neighbours.safetensors")
    return {"expressions": len(found.sent_id), "seconds": time.process_time() - start}


def many_keys(keys: int, queries: int = 512) -> dict:
    """Stage 1 among many keys."""
    rng = np.random.default_rng(0)
    rows = np.empty((keys, 768), dtype=np.float32)
    for part in np.array_split(rows, 64):
        part[:] = rng.standard_normal(part.shape, dtype=np.float32)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    ids = np.arange(keys)
    pool = Pool(rows, ids, ids // 3, hashes(ids))
    start = time.process_time()
    best = candidates(rows[:queries], pool, 20, search_over(rows))
    assert (best.image[best.start[:-1]] == ids[:queries] // 3).all()  # each finds itself first
    return {"keys": keys, "us a query": (time.process_time() - start) / queries * 1e6}


def measured(run, *given) -> None:
    """Run in a process of its own and print its result with its peak memory."""

    def child(pipe):
        result = run(*given)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        pipe.send(result | {"peak GiB": peak / GIB})

    receive, send = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=child, args=(send,))
    process.start()
    send.close()
    result = receive.recv()
    process.join()
    print(run.__name__, json.dumps(result), flush=True)
    limit = {"whole_build": 3.0, "many_keys": 8.0}[run.__name__]
    peak = result["peak GiB"]
    timing.say(f"{run.__name__}: limit / peak memory", limit / peak, 1, f"{peak:.2f} GiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pictures", type=int, default=2_000 if timing.FAST else 19_992)
    parser.add_argument("--expressions", type=int, default=14_000 if timing.FAST else 141_564)
    parser.add_argument("--keys", type=int, default=100_000 if timing.FAST else 1_000_000)
    options = parser.parse_args()
    measured(whole_build, options.pictures, options.expressions)
    measured(many_keys, options.keys)


if __name__ == "__main__":
    main()
