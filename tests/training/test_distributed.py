"""Two or three processes on one run: the losses and the very counters of one alone."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta

import pytest
import torch
import torch.multiprocessing as mp

from tvnet import process_group
from tvnet.data import refer
from tvnet.devices import own_device
from tvnet.evaluation.ablation import run
from tvnet.evaluation.workers import start_context
from tvnet.retrieval.build import build
from tvnet.settings import settings
from tvnet.training import __main__ as one_run
from tvnet.training import loop
from tvnet.training.setup import prepare

CONTEXT = start_context()
SMOKE = settings("smoke")
SIX = replace(
    SMOKE,
    data=replace(SMOKE.data, size=64),
    training=replace(SMOKE.training, steps=20, batch=6, learning_rate=1e-3),
)
OFTEN = replace(SIX, training=replace(SIX.training, snapshot_every=2))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def one_of(rank, world, port, root, out, chosen=SIX):
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= address | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    with process_group.join(torch.device("cpu")):
        run(chosen, "Baseline+RES+AMF", 0, root, out)


def one_of_two_that_saves(rank, port, root, out):
    """Snapshots often, and steps slow enough for a test to kill one in the middle."""
    monkey = pytest.MonkeyPatch()
    calm = loop.loss_of
    monkey.setattr(loop, "loss_of", lambda *a: time.sleep(0.2) or calm(*a))
    monkey.setattr(process_group, "TIMEOUT", timedelta(seconds=30))
    one_of(rank, 2, port, root, out, OFTEN)


def together(function, given, count=2, join=True):
    return mp.start_processes(function, given, count, join, start_method=CONTEXT.get_start_method())


def two_that_save(root, out):
    """Both of them, started."""
    port = free_port()
    given = ((rank, port, root, out) for rank in (0, 1))
    both = [CONTEXT.Process(target=one_of_two_that_saves, args=one) for one in given]
    for process in both:
        process.start()
    return both


def result_of(world, root, out):
    data = refer.read(root, "unc+")
    build(SIX, data, out)
    prepare(SIX, root, out)  # the caches once
    if world > 1:
        together(one_of, (world, free_port(), root, out), world)
    folder = run(SIX, "Baseline+RES+AMF", 0, root, out)
    return json.loads((folder / "result.json").read_text()), losses_of(folder)


def losses_of(folder):
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return list({line["step"]: line["loss"] for line in lines}.values())


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


@pytest.mark.slow
def test_a_killed_process_ends_both_and_the_next_start_goes_on(one_alone, tiny_root, tmp_path):
    build(OFTEN, refer.read(tiny_root, "unc+"), tmp_path)
    prepare(OFTEN, tiny_root, tmp_path)
    both = two_that_save(tiny_root, tmp_path)
    end = time.monotonic() + 90
    while len(list(tmp_path.glob("runs/*/0*.pt"))) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    both[1].kill()
    for process in both:
        process.join(60)
    assert both[1].exitcode == -signal.SIGKILL and both[0].exitcode not in (0, None)
    (folder,) = tmp_path.glob("runs/*")
    done = len(losses_of(folder))
    assert 4 <= done < 20, "it was killed too late to tell anything"
    together(one_of, (2, free_port(), tiny_root, tmp_path, OFTEN))
    folder = run(OFTEN, "Baseline+RES+AMF", 0, tiny_root, tmp_path)
    result = json.loads((folder / "result.json").read_text())
    assert losses_of(folder) == pytest.approx(one_alone[1], rel=1e-6)
    assert result["metrics"] == one_alone[0]["metrics"]


def two_groups(rank, port, out):
    """As under torchrun, whose store outlives a group: the build has one, the training another."""
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= address | {"RANK": str(rank), "LOCAL_RANK": "0", "WORLD_SIZE": "2"}
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "True"
    for k in range(6):
        with process_group.join(torch.device("cpu")):
            time.sleep(0.05 * (rank == k % 2))
            assert process_group.any_rank(rank == 1)
            assert not process_group.any_rank(False)
            try:
                process_group.same_step(10 + rank)
            except ValueError as error:
                (out / f"{rank}").write_text(str(error))
            process_group.same_step(7)


@pytest.mark.slow
def test_groups_one_after_another_meet_and_agree(tmp_path):
    # held here, as torchrun's agent holds it: a process that ended would take it from the other
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    context = together(two_groups, (store.port, tmp_path), join=False)
    end = time.monotonic() + 90
    while not context.join(1):
        assert time.monotonic() < end, "they wait for each other"
    output = "Process 1 would continue from step 11, process 0 from 10: give all of them one"
    assert (tmp_path / "0").read_text().startswith(output)


@pytest.mark.slow
def test_a_signal_to_one_of_two_saves_and_ends_both(tiny_root, tmp_path):
    build(OFTEN, refer.read(tiny_root, "unc+"), tmp_path)
    prepare(OFTEN, tiny_root, tmp_path)
    both = two_that_save(tiny_root, tmp_path)
    end = time.monotonic() + 90
    while not list(tmp_path.glob("runs/*/0*.pt")) and time.monotonic() < end:
        time.sleep(0.05)
    both[1].terminate()  # the one that does not write
    for process in both:
        process.join(60)
        assert process.exitcode == 1  # SystemExit's, and of no signal
    (folder,) = tmp_path.glob("runs/*")
    saved = max(int(path.name[:8]) for path in folder.glob("0*.pt"))
    assert saved == len(losses_of(folder)) < 20


@pytest.mark.slow
def test_a_notebook_cell_can_start_two_processes(tiny_root, tmp_path):
    """accelerate's launcher forks, so the cell is played by a python of its own."""
    cell = f"""
import torch
from accelerate import notebook_launcher
from tvnet.training import __main__ as one_run
torch.set_num_threads(1)
options = ["--data", {str(tiny_root)!r}, "--out", {str(tmp_path)!r}, "--profile", "smoke",
           "--row", "Baseline", "--device", "cpu"]
notebook_launcher(one_run.main, (options,), num_processes=2)
"""
    subprocess.run([sys.executable, "-c", cell], check=True, cwd=tmp_path)
    folder = run(SMOKE, "Baseline", 0, tiny_root, tmp_path)  # finished, so only read
    two = json.loads((folder / "result.json").read_text())
    alone = run(SMOKE, "Baseline", 0, tiny_root, tmp_path / "alone")
    assert two["metrics"] == json.loads((alone / "result.json").read_text())["metrics"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="threads are read from /proc")
def test_a_group_ends_with_its_block_and_leaves_no_thread():
    """One that outlives it aborts its process now and then, when the interpreter ends."""
    code = f"""
import os
from pathlib import Path
import torch
from tvnet import process_group
os.environ |= {{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "{free_port()}"}}
os.environ |= {{"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}}
def threads():
    return sum("gloo" in name.read_text() for name in Path("/proc/self/task").glob("*/comm"))
with process_group.join(torch.device("cpu")):
    torch.optim.Adam([torch.ones(1, requires_grad=True)]).zero_grad()
    process_group.barrier()
    print(threads())
print(threads())
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    inside, after = map(int, ran.stdout.split())
    assert inside > 0 and after == 0


def test_processes_take_a_gpu_each(monkeypatch):
    assert own_device("cuda") == "cuda"
    monkeypatch.setenv("LOCAL_RANK", "3")
    devices = [own_device(d) for d in ("cuda", "cuda:1", "cpu")]
    assert devices == ["cuda:3", "cuda:1", "cpu"]


def test_a_process_whose_fellow_ended_says_so(monkeypatch):
    def broken():
        raise RuntimeError("Connection closed by peer")

    monkeypatch.setattr(process_group.distributed, "barrier", broken)
    process_group.barrier()  # alone, so that there is nobody to wait for
    monkeypatch.setattr(process_group, "rank_and_size", lambda: (0, 2))
    with pytest.raises(ValueError, match="Another process stopped: see what it printed, then st"):
        process_group.barrier()


def test_gathered_rows_stand_in_the_order_of_one_alone(monkeypatch):
    parts = [{"a": [0, 3, 6]}, {"a": [1, 4]}, {"a": [2, 5]}]
    monkeypatch.setattr(process_group, "rank_and_size", lambda: (1, 3))
    monkeypatch.setattr(
        process_group.distributed,
        "all_gather_object",
        lambda out, mine: out.__setitem__(slice(3), parts),
    )
    assert process_group.gather(parts[1]) == {"a": [0, 1, 2, 3, 4, 5, 6]}


def test_batch_norm_is_refused_where_statistics_would_differ(monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    options = ["--profile", "smoke", "--data", "nowhere", "--set", "model.amf_norm=batch"]
    assert one_run.main(options) == 2
    assert "amf_norm is 'batch', whose statistics would differ" in capsys.readouterr().err


def test_a_batch_that_cannot_be_shared_is_told_before_anything_is_read(monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert one_run.main(["--profile", "paper", "--data", "nowhere"]) == 2
    output = "A batch of 1 cannot be shared by 2 processes: set training.batch to a multiple of 2."
    assert output in capsys.readouterr().err
