"""One training step at the paper's size against the machine's own matrix-product rate.

    python tests/benchmarks/bench_model.py

The physical limit is 1: a step whose arithmetic runs as fast as one large matrix product (3x3
convolutions may pass it, where the library uses Winograd's algorithm). Interleaved in one process,
one thread, CPU time, medians; batch 1, forward, backward and Adam, in float32 and bfloat16.
"""

import statistics
import time

import torch
from full_step import step
from timing import FAST, say
from torch.utils.flop_counter import FlopCounterMode

from tvnet.settings import settings

SIDE, ROUNDS = 2048, 1 if FAST else 3


def product_rate(dtype: torch.dtype) -> float:
    """FLOP/s of one SIDE x SIDE x SIDE product."""
    a, b = torch.randn(2, SIDE, SIDE).to(dtype)
    out = torch.empty(SIDE, SIDE, dtype=dtype)
    began = time.process_time()
    for _ in range(4):
        torch.mm(a, b, out=out)
    return 4 * 2 * SIDE**3 / (time.process_time() - began)


def main() -> None:
    torch.set_flush_denormal(True)
    for dtype, target in ((torch.float32, 0.88), (torch.bfloat16, 0.85)):
        name = str(dtype)[6:]
        if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            print("bfloat16  not measured: this CPU only emulates it")
            continue
        # The plain layout: 3x3 kernels were faster in it on the CPU where both were tried.
        run = step(settings("paper"), 1, name, "cpu", layout=torch.contiguous_format)
        with FlopCounterMode(display=False) as counter:
            run()  # warms up, too
        flop = counter.get_total_flops()
        shares, rates = [], []
        for _ in range(ROUNDS):
            rates.append(product_rate(dtype))
            began = time.process_time()
            run()
            shares.append(flop / (time.process_time() - began) / rates[-1])
        print(f"{name}, one step: {flop / 1e9:.0f} GFLOP")
        limit = f"limit about 1: a product runs at {statistics.median(rates) / 1e9:.0f} GFLOP/s"
        say(f"paper-size step, {name} / product rate", statistics.median(shares), target, limit)


if __name__ == "__main__":
    main()
