"""Two or three processes on one run: the losses and the very counters of one alone."""

import json
import os
import socket
from dataclasses import replace

import pytest
import torch
import torch.multiprocessing as mp

from tvnet.data import refer
from tvnet.experiment import distributed
from tvnet.experiment.ablation import run
from tvnet.experiment.prepare import prepare
from tvnet.experiment.progress import Progress
from tvnet.retrieval.build import build
from tvnet.settings import settings

SMOKE = settings("smoke")
SIX = replace(
    SMOKE,
    data=replace(SMOKE.data, size=64),
    training=replace(SMOKE.training, steps=20, trunk_steps=0, batch=6, learning_rate=1e-3),
)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def one_of(rank, world, port, root, out):
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= address | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    with distributed.join(torch.device("cpu")):
        run(SIX, "Baseline+RES+AMF", 0, root, out)


def result_of(world, root, out):
    data = refer.read(root, "unc+")
    build(SIX, data, out)
    prepare(SIX, root, out)  # the caches once
    if world > 1:
        mp.spawn(one_of, (world, free_port(), root, out), nprocs=world)
    folder = run(SIX, "Baseline+RES+AMF", 0, root, out)
    return json.loads((folder / "result.json").read_text()), Progress(folder, {}).losses()


@pytest.fixture(scope="module")
def one_alone(tiny_root, tmp_path_factory):
    return result_of(1, tiny_root, tmp_path_factory.mktemp("alone"))


@pytest.mark.slow
@pytest.mark.parametrize("world", [2, 3])
def test_any_number_of_processes_tells_the_same(one_alone, tiny_root, tmp_path, world):
    alone, losses = one_alone
    several, shared_losses = result_of(world, tiny_root, tmp_path / str(world))
    assert len(losses) == 20 and shared_losses == pytest.approx(losses, rel=1e-6)
    assert several["metrics"] == alone["metrics"]


def test_gathered_rows_stand_in_the_order_of_one_alone(monkeypatch):
    parts = [{"a": [0, 3, 6]}, {"a": [1, 4]}, {"a": [2, 5]}]
    monkeypatch.setattr(distributed, "share", lambda: (1, 3))
    monkeypatch.setattr(
        distributed.distributed,
        "all_gather_object",
        lambda out, mine: out.__setitem__(slice(3), parts),
    )
    assert distributed.gather(parts[1]) == {"a": [0, 1, 2, 3, 4, 5, 6]}


def test_those_that_follow_write_nothing(tmp_path):
    module = torch.nn.Linear(2, 1)
    optimiser = torch.optim.Adam(module.parameters())
    follower = Progress(tmp_path / "run", {}, every=1, writes=False)
    with follower.writing():
        follower.log(0, 1.0)
        follower.after(1, module, optimiser)
        assert follower.restore(module, optimiser) is None
        follower.clear()
    assert list(tmp_path.iterdir()) == []
