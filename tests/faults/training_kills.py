"""Every figure that is promised of interrupted training; `make test-faults` prints them."""

import random

from tests.training.interrupted import flips, killed_runs
from tests.training.test_interrupted import SHORT
from tvnet.model.tvnet import TVNet

RUNS, FLIPS = 100, 3000


def test_a_hundred_runs_killed_several_times_each(ready, tmp_path, capsys):
    dataset = ready.dataset(SHORT, "train")
    right, kills = killed_runs(SHORT, dataset, ready.features, tmp_path, random.Random(1), RUNS)
    with capsys.disabled():
        print(f"\n{right}/{RUNS} killed trainings end bit for bit the same ({kills} SIGKILLs)")
    assert right == RUNS and kills >= 2 * RUNS


def test_three_thousand_wrong_bits_in_the_checkpoint_of_a_model(ready, tmp_path, capsys):
    model = TVNet(SHORT, len(ready.vocabulary))
    found = flips(tmp_path, model, random.Random(1), FLIPS)
    with capsys.disabled():
        print(f"\n{found}/{FLIPS} checkpoints with one wrong bit are refused")
    assert found == FLIPS
