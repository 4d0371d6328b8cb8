"""Print what matrix products gain where few pixels are left, see bench/worker/models/matmul_conv.py.

    python tests/benchmarks/matmul_conv.py [THREADS]

First per net: images per second of forward, backward and step on a ready batch, for the net as it was built and as it
is trained on a CPU, and their ratio. Then 1x1 convolutions alone, forward and backward: how many times faster the
product is, by image side and channels; the constants of that file were chosen from it. Both sides take turns; medians.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from bench.scheduler.launcher import SERVER_ENVIRONMENT
from bench.worker import models

NETS = (("resnet18", 8), ("resnet50", 3), ("shufflenet_v2_x0_5", 40), ("mobilenet_v2", 10), ("efficientnet_b0", 6))
"""Net and steps a turn; standard stem, 32 pixels."""
SIDES = (1, 2, 4, 7, 8, 14, 16)
CHANNELS = ((24, 24), (48, 48), (96, 24), (64, 256), (192, 1024), (512, 2048))
BATCH, TURNS, TURN_S = 128, 5, 0.02
LAYOUT = torch.channels_last


def stepper(net: nn.Module) -> Callable[[], None]:
    """One training step on a ready batch."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, fused=True)
    images, labels = torch.randn(BATCH, 3, 32, 32).contiguous(memory_format=LAYOUT), torch.randint(0, 10, (BATCH,))

    def step() -> None:
        loss = F.cross_entropy(net(images), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def pointwise(inputs: int, outputs: int, side: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """A 1x1 convolution and its gradients by torch, and as a product."""
    images = torch.randn(BATCH, inputs, side, side).contiguous(memory_format=LAYOUT).requires_grad_()
    weight = torch.randn(outputs, inputs, 1, 1).contiguous(memory_format=LAYOUT).requires_grad_()
    gradient = torch.randn(BATCH, outputs, side, side).contiguous(memory_format=LAYOUT)

    def gradients(output: Tensor) -> object:
        return torch.autograd.grad(output, (images, weight), gradient)

    def product() -> Tensor:
        return F.linear(images.permute(0, 2, 3, 1), weight.flatten(1)).permute(0, 3, 1, 2)

    return (lambda: gradients(F.conv2d(images, weight))), (lambda: gradients(product()))


def seconds(work: Callable[[], object], times: int) -> float:
    """Seconds of doing the work once."""
    began = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - began) / times


def main() -> None:
    """Measure and print."""
    if missing := SERVER_ENVIRONMENT.items() - os.environ.items():  # some of it is read when a process starts
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **dict(missing)})
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else torch.get_num_threads())
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread(s), batch {BATCH}, channels_last, fp32")
    print(f"{'net':<22}{'as built':>12}{'products':>12}{'ratio':>8}")
    for model, steps in NETS:
        built, placed = (models.build(model, stem="standard", num_classes=10, input_size=32) for _ in range(2))
        sides = (
            stepper(built.to(memory_format=LAYOUT)),
            stepper(models.place(placed, torch.device("cpu"), LAYOUT)),
        )
        for side in sides:
            seconds(side, 2)
        turns = [[seconds(side, steps) for side in sides] for _ in range(TURNS)]
        own, theirs = (BATCH / statistics.median(side) for side in zip(*turns, strict=True))
        ratio = statistics.median(first / second for first, second in turns)
        print(f"{model:<22}{own:>12.0f}{theirs:>12.0f}{ratio:>8.2f}", flush=True)
    print("\n1x1, " + "".join(f"{f'{inputs} to {outputs}':>14}" for inputs, outputs in CHANNELS))
    for pixels in SIDES:
        print(f"{pixels}x{pixels}".ljust(5), end="")
        for inputs, outputs in CHANNELS:
            both = pointwise(inputs, outputs, pixels)
            times = max(2, int(TURN_S / min(seconds(work, 3) for work in both)))
            turns = [[seconds(work, times) for work in both] for _ in range(TURNS)]
            print(f"{statistics.median(first / second for first, second in turns):>14.2f}", end="", flush=True)
        print()


if __name__ == "__main__":
    main()
