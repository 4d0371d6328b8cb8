"""Check and time training on a GPU, in one command of a few minutes, with a table last.

Run ``python tests/gpu/check.py [FOLDER]`` on a machine with a GPU; FOLDER is an ImageFolder tree of 32-pixel images
(train/, test/), without it the embedded digits are used. Needs what a worker needs: torch, torchvision and fvcore, but
neither MLflow nor pydantic. Exit code 1 if a check does not hold.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.catalog import AUGMENTATIONS, OPTIMIZERS, SCHEDULES, WARMUP, with_defaults
from bench.journal import fold, read_cell
from bench.paths import CellFolder
from bench.values import Attempt, Cell, Mode, Outcome, Recipe, to_json

TIMED = ("resnet18", "mobilenet_v2", "shufflenet_v2_x0_5", "efficientnet_b0")
AGREEMENT_POINTS = 3.0
"""Percentage points of top-1 that the same cell may differ by on CPU and GPU, whose sums round differently."""


def make_cell(model: str, dataset: str, size: int, epochs: int, precision: str) -> Cell:
    """A cell with the CIFAR recipe."""
    augment = ("random_crop", "horizontal_flip") if size == 32 else ()
    return Cell(
        model=model,
        dataset=dataset,
        schedule=with_defaults("cosine", {}, {**SCHEDULES["cosine"].options, **WARMUP}),
        schedule_name="cosine",
        recipe=Recipe(
            epochs=epochs,
            batch_size=128 if size == 32 else 64,
            optimizer=with_defaults("sgd", {"lr": 0.05, "nesterov": True}, OPTIMIZERS["sgd"].options),
            augment=tuple(with_defaults(name, {}, AUGMENTATIONS[name].options) for name in augment),
            label_smoothing=0.0,
            precision=precision,  # type: ignore[arg-type]
            stem="small",
            input_size=size,
        ),
        seed=0,
    )


def train(cell: Cell, device: str, home: Path) -> Outcome:
    """Run a worker on a cell and fold its journal."""
    folder = CellFolder.of(home / device, cell.id)
    attempt = folder.attempt(1)
    attempt.root.mkdir(parents=True)
    request = Attempt(
        cell=cell,
        number=1,
        folder=str(folder.root),
        data_home=str(home / "data"),
        device=device,
        mode=Mode(threads=4, precision="bf16" if cell.recipe.precision == "bf16" else "fp32"),
        suite="gpu",
        series=device,
        created_ms=0,
    )
    attempt.request.write_text(to_json(request))
    done = subprocess.run([sys.executable, "-m", "bench.worker", "run", str(attempt.request)], check=False)
    outcome = fold(cell.id, read_cell(folder))
    if done.returncode:
        print(f"FAILED {cell.title} on {device}: {outcome.reason}", file=sys.stderr)
    return outcome


def main() -> int:
    """Check, time and print."""
    lines, failures = [], 0
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        small = make_cell("resnet18", "digits", 8, 6, "fp32")
        on_cpu, on_gpu = train(small, "cpu", home), train(small, "cuda", home)
        gap = abs((on_cpu.top1 or 0) - (on_gpu.top1 or 1000))
        failures += gap > AGREEMENT_POINTS
        lines.append(f"digits resnet18 fp32: CPU {on_cpu.top1}%, GPU {on_gpu.top1}%")
        dataset, size, epochs = (f"folder:{sys.argv[1]}", 32, 4) if len(sys.argv) > 1 else ("digits", 8, 12)
        for model in TIMED:
            outcome = train(make_cell(model, dataset, size, epochs, "bf16"), "cuda", home)
            failures += outcome.state != "complete"
            lines.append(
                json.dumps(
                    {
                        "model": model,
                        "state": outcome.state,
                        "top1": outcome.top1,
                        "images_per_s": outcome.images_per_s,
                        "epoch_s": outcome.epoch_s,
                        "peak_mb": outcome.peak_mb,
                        "device": outcome.device,
                    }
                )
            )
    print("\n".join(lines))
    print(f"{failures} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
