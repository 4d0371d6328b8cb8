"""The bytes of every format, kept as files: hand-made outcomes that show every kind of row.

After an intended change, write the files again with ``python tests/unit/report/test_golden.py`` and read the diff.
"""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.report.render import render
from bench.report.table import build_tables
from bench.suite import parse_suite
from bench.values import Cell, Cost, Outcome, Suite

GOLDEN = Path(__file__).parent / "golden"
FILES = {"markdown": "table.md", "json": "table.json", "csv": "table.csv", "latex": "table.tex"}

SUITE = """
suite: golden
description: Every kind of row, with a | and a <tag> in its description
recipe: {epochs: 200, batch_size: 128, label_smoothing: 0.1, augment: [random_crop, horizontal_flip]}
schedules: {late: {kind: multistep, milestones: [60, 120, 160], gamma: 0.2}}
grid:
  - {model: [resnet18, vgg11_bn], dataset: cifar10, schedule: [late, cosine], seed: [0, 1, 2]}
  - {model: [{name: resnet18, stem: standard}, alexnet, densenet121], dataset: cifar10, schedule: cosine}
  - {model: [swin_t, shufflenet_v2_x0_5], dataset: digits, schedule: cosine}
cells:
  - {model: resnet50, dataset: cifar100, schedule: cosine, recipe: {batch_size: 64}}
  - {model: resnet50, dataset: cifar100, schedule: cosine, recipe: {batch_size: 256, augment: []}}
  - {model: vgg11, dataset: cifar100, schedule: cosine}
  - {model: vgg13, dataset: cifar100, schedule: cosine, seed: 4}
  - {model: vgg13, dataset: cifar100, schedule: cosine, seed: 5}
"""
COST = Cost(params=11_173_962, flops=556_659_712, conv_linear_macs=555_422_720, torch_macs=555_422_720)
SMALL_COST = Cost(params=351_982, flops=2_817_216, conv_linear_macs=2_700_000, torch_macs=2_700_000)
DISAGREEING = replace(COST, torch_macs=612_000_000, uncounted=("aten::fft_fft2 x 1", "aten::mul x 12"))
TORCH_CHANGED = "torch changed from 2.14.0 to 2.15.0"


def complete(cell: Cell, top1: float, *, cost: Cost = COST, stale: str = "") -> Outcome:
    return Outcome(
        cell_id=cell.id,
        state="complete",
        top1=top1,
        top5=99.123456 + cell.seed / 7,
        best_top1=top1 + 0.25,
        cost=cost,
        device="NVIDIA H100 | 80GB" if cell.dataset == "cifar10" else "a CPU",
        commit="0123456789abcdef0123456789abcdef01234567",
        run_id=cell.id * 2 + "0" * 8,
        stale=stale,
    )


def golden_suite() -> Suite:
    return parse_suite(SUITE, "golden.yaml")


def golden_outcomes(suite: Suite) -> dict[str, Outcome]:
    """A hand-made outcome for each cell but the missing ones, by position in the suite."""
    cells = suite.cells
    outcomes = [
        complete(cells[0], 93.1),
        complete(cells[1], 93.456789, stale=TORCH_CHANGED),
        complete(cells[2], 92.95),
        complete(cells[3], 94.0),  # two of three seeds, the third is running
        complete(cells[4], 94.3),
        Outcome(cell_id=cells[5].id, state="running", epochs_done=83, epochs=200, cost=COST),
        Outcome(cell_id=cells[6].id, state="failed", kind="oom", cost=COST, reason="no memory"),
        Outcome(cell_id=cells[7].id, state="failed", kind="diverged", cost=COST),
        *(complete(cell, 90.0, stale=TORCH_CHANGED) for cell in cells[9:12]),
        complete(cells[12], 88.5),  # the standard stem on small images
        Outcome(cell_id=cells[13].id, state="failed", kind="timeout"),
        Outcome(cell_id=cells[14].id, state="interrupted", epochs_done=1, epochs=3),
        complete(cells[15], 97.5, cost=DISAGREEING),
        complete(cells[16], float("nan"), cost=SMALL_COST),
        complete(cells[17], 71.25),  # two rows that differ in batch size and augmentation
        replace(complete(cells[18], 70.0), run_id="", commit=""),
        complete(cells[20], 66.0),
        replace(complete(cells[21], 67.0), top5=None),
    ]
    return {outcome.cell_id: outcome for outcome in outcomes}


def rendered(format_: str, *, best: bool) -> str:
    suite = golden_suite()
    tables = build_tables(suite, golden_outcomes(suite), best=best)
    return render(tables, format_, suites=[suite], best=best)


def golden_path(format_: str, *, best: bool) -> Path:
    return GOLDEN / f"{'best' if best else 'last'}-{FILES[format_]}"


@pytest.mark.parametrize("format_", FILES)
@pytest.mark.parametrize("best", [False, True], ids=["last_epoch", "best_epoch"])
def test_the_bytes_of_a_table_are_those_kept_in_a_file(format_: str, best: bool) -> None:
    assert rendered(format_, best=best).encode() == golden_path(format_, best=best).read_bytes()


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else GOLDEN
    for name in FILES:
        for best_epoch in (False, True):
            (target / golden_path(name, best=best_epoch).name).write_text(rendered(name, best=best_epoch))
