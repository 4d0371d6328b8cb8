"""Print how much faster channels_last and bf16 train than contiguous tensors in fp32, per net, on this machine's CPU.

    python tests/benchmarks/memory_format.py [THREADS]

Each figure is the median of interleaved repeats; the last three columns are ratios to the first.
"""

import statistics
import sys
import time

import torch
from torch.nn import functional as F  # noqa: N812

from bench.worker import models

NETS = (("resnet18", "standard"), ("mobilenet_v2", "standard"), ("shufflenet_v2_x0_5", "standard"))
SIDES = [(form, bf16) for bf16 in (False, True) for form in (torch.contiguous_format, torch.channels_last)]
BATCH, STEPS, REPEATS = 128, 4, 3


def images_per_s(net: torch.nn.Module, form: torch.memory_format, bf16: bool) -> float:
    """Speed of forward, backward and step on a ready batch."""
    net = net.to(memory_format=form)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, fused=True)
    images = torch.randn(BATCH, 3, 32, 32).contiguous(memory_format=form)
    labels = torch.randint(0, 10, (BATCH,))
    began = 0.0
    for step in range(STEPS + 1):
        if step == 1:  # the first step chooses kernels
            began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = F.cross_entropy(net(images), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return BATCH * STEPS / (time.perf_counter() - began)


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread(s), batch {BATCH}, 32x32")
    print(f"{'net':<22}{'fp32 images/s':>14}{'channels_last':>15}{'bf16':>8}{'both':>8}")
    for name, stem in NETS:
        net = models.build(name, stem=stem, num_classes=10, input_size=32)  # type: ignore[arg-type]
        speeds: list[list[float]] = [[] for _ in SIDES]
        for _ in range(REPEATS):
            for side, (form, bf16) in enumerate(SIDES):
                speeds[side].append(images_per_s(net, form, bf16))
        base, last, half, both = (statistics.median(each) for each in speeds)
        print(f"{name:<22}{base:>14.0f}{last / base:>15.2f}{half / base:>8.2f}{both / base:>8.2f}")


if __name__ == "__main__":
    main()
