"""One training step at the paper's size against the machine's own matrix-product rate.

    python tests/benchmarks/bench_model.py

The physical limit is 1: a step whose arithmetic runs as fast as one large matrix product (3x3
convolutions may pass it, where the library uses Winograd's algorithm). Interleaved in one process,
one thread, CPU time, medians; batch 1, forward, backward and Adam, in float32 and bfloat16.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from tvnet.experiment.training import loss_of, parameter_groups
from tvnet.model.pretrained import load_backbone
from tvnet.model.tvnet import TVNet
from tvnet.settings import settings

SIDE, ROUNDS = 2048, 3


def product_rate(dtype: torch.dtype) -> float:
    """FLOP/s of one SIDE x SIDE x SIDE product."""
    a, b = torch.randn(2, SIDE, SIDE).to(dtype)
    out = torch.empty(SIDE, SIDE, dtype=dtype)
    began = time.process_time()
    for _ in range(4):
        torch.mm(a, b, out=out)
    return 4 * 2 * SIDE**3 / (time.process_time() - began)


def full_size_step():
    """A closure that makes one step in a given precision."""
    paper = settings("paper")
    paper = replace(paper, backbone=replace(paper.backbone, weights="random"))
    backbone = load_backbone(paper.backbone)
    model = TVNet(paper, 12112)
    groups = parameter_groups(model, backbone, paper.training)
    optimiser = torch.optim.Adam(groups, lr=1e-6, fused=True)
    pixels = torch.randint(0, 256, (2, 3, 320, 320), dtype=torch.uint8)
    words, lengths = torch.randint(4, 9000, (1, 20)), torch.tensor([20])
    mask = torch.rand(1, 1, 320, 320) > 0.9

    def step(dtype: torch.dtype) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            both = backbone(pixels)
            V_in = {name: V[:1] for name, V in both.items()}
            V_sim = {name: V[1:] for name, V in both.items()}
            logits = model(V_in, V_sim, words, lengths)
        optimiser.zero_grad()
        loss_of(logits, mask).backward()
        optimiser.step()

    return step


def main() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    step = full_size_step()
    with FlopCounterMode(display=False) as counter:
        step(torch.float32)  # warms up, too
    flop = counter.get_total_flops()
    print(f"one step: {flop / 1e9:.0f} GFLOP", flush=True)
    for dtype, target in ((torch.float32, 0.88), (torch.bfloat16, 0.85)):
        if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            print("bfloat16  not measured: this CPU only emulates it")
            continue
        step(dtype)
        shares, rates = [], []
        for _ in range(ROUNDS):
            rates.append(product_rate(dtype))
            began = time.process_time()
            step(dtype)
            shares.append(flop / (time.process_time() - began) / rates[-1])
        print(
            f"{str(dtype)[6:]:9} product {statistics.median(rates) / 1e9:6.1f} GFLOP/s, "
            f"step {statistics.median(shares):.2f} of it (limit about 1, target {target})"
        )


if __name__ == "__main__":
    main()
