"""Which recipe trains best, asked of training pictures that are held out: val is never looked at.

    python tests/benchmarks/recipe.py --data data/miniref-evening training.learning_rate=0.003

trains Baseline+AMF for 2,000 steps on nine tenths of the training pictures, evaluates it on the
rest and adds a line to recipes.jsonl beside this file. --cycle: warm-up over a tenth of the steps
and a cosine instead of the polynomial.
"""

import argparse
import json
import math
import time
from pathlib import Path

from tvnet.devices import one_thread
from tvnet.evaluation.evaluate import evaluate
from tvnet.evaluation.metrics import counters, figures
from tvnet.rows import row_settings
from tvnet.settings import TrainingSettings, settings
from tvnet.settings_checks import changed
from tvnet.training import loop
from tvnet.training.setup import prepare

FOUND = Path(__file__).with_name("recipes.jsonl")
ROW, STEPS = "Baseline+AMF", 2000


def is_held_out(image_id: int) -> bool:
    """One picture of ten, spread evenly over the numbers."""
    return (image_id * 2654435761 >> 7) % 10 == 0


def one_cycle(step: int, budget: TrainingSettings) -> float:
    """Linear warm-up over the first tenth, then half a cosine down to end_learning_rate."""
    warm = budget.steps // 10
    if step < warm:
        return budget.learning_rate * (step + 1) / warm
    left = 0.5 + 0.5 * math.cos(math.pi * (step - warm) / (budget.steps - warm))
    return budget.end_learning_rate + (budget.learning_rate - budget.end_learning_rate) * left


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("data/miniref-evening"))
    parser.add_argument("--out", type=Path, default=Path("out/evening"))
    parser.add_argument("--cycle", action="store_true")
    parser.add_argument("changes", nargs="*", metavar="part.name=value")
    options = parser.parse_args()
    one_thread()
    profile = changed(settings("evening"), [f"training.steps={STEPS}", *options.changes])
    chosen = row_settings(profile, ROW)
    ready = prepare(chosen, options.data, options.out)
    trained, held_out = (ready.dataset(chosen, chosen.data.train_split) for _ in range(2))
    trained.samples = [s for s in trained.samples if not is_held_out(s.image_id)]
    held_out.samples = [s for s in held_out.samples if is_held_out(s.image_id)]
    if options.cycle:
        loop.learning_rate = one_cycle
    began = time.process_time()
    model = loop.train(chosen, trained, ready.features, 0, ready.word_rows)
    seconds = time.process_time() - began
    found = figures(counters(evaluate(model, held_out, ready.features)["clean"]))
    line = {"cycle": options.cycle, "changes": options.changes, "sentences": len(held_out.samples)}
    line |= {name: round(value, 2) for name, value in found.items()} | {"seconds": round(seconds)}
    print(json.dumps(line))
    with open(FOUND, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
