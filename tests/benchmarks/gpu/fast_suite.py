"""Train the nets of suites/cifar10-fast.yaml on a GPU without a scheduler, as far as there is time."""

import signal
import statistics
import time
from dataclasses import replace

from bench.report.render import render
from bench.report.table import build_tables
from bench.suite import load_suite
from bench.values import Cell, Outcome, Suite
from bench.workspace.files import write_atomically
from bench.workspace.journal import fold, read_cell
from bench.workspace.paths import CellFolder
from benchmarks.gpu.cells import Worker, make_mode
from benchmarks.gpu.setup import ROOT, Finding, Setup


def train_suite(setup: Setup, deadline: float) -> list[Finding]:
    """Train the nets of the fast suite one after the other, as far as there is time, and write the table."""
    suite = load_suite(str(ROOT / "suites" / "cifar10-fast.yaml"))
    cells = tuple(replace(cell, dataset=setup.dataset) for cell in suite.cells)
    if setup.dry:
        small = (cell for cell in cells if cell.model.startswith("shufflenet"))
        cells = tuple(
            replace(cell, recipe=replace(cell.recipe, epochs=1, batch_size=64, input_size=8)) for cell in small
        )[:2]
    suite = replace(suite, cells=cells, path="suites/cifar10-fast.yaml")
    setup = replace(setup, runs=setup.output)  # kept, so that the next call continues
    left = list(cells)
    for cell in cells:
        folder = CellFolder.of(setup.output / "suite", cell.id)
        if not folder.result.exists() and time.monotonic() < deadline:
            worker = Worker(setup, cell, "suite", mode=make_mode(setup, cell))
            while worker.process.poll() is None:
                if time.monotonic() > deadline:
                    worker.process.send_signal(signal.SIGTERM)  # it saves its state and leaves
                    worker.process.wait()
                time.sleep(0.1)
            outcome = worker.outcome()
            print(f"{cell.model}: {outcome.state} {outcome.reason} {outcome.top1}% {outcome.total_s} s", flush=True)
        if folder.result.exists():
            left.remove(cell)
    outcomes = {cell.id: fold(cell.id, read_cell(CellFolder.of(setup.output / "suite", cell.id))) for cell in cells}
    write_table(setup, suite, outcomes)
    return [suite_finding(cells, outcomes, left)]


def suite_finding(cells: tuple[Cell, ...], outcomes: dict[str, Outcome], left: list[Cell]) -> Finding:
    """How far the suite is, and how long the rest takes if its nets take as long as the others did."""
    spent = [outcome.total_s for outcome in outcomes.values() if outcome.state == "complete" and outcome.total_s]
    rest = f", about {statistics.fmean(spent) * len(left) / 60:.0f} minutes left" if spent and left else ""
    failed = [cell.model for cell in cells if outcomes[cell.id].state == "failed"]
    return Finding(
        name="cifar10-fast",
        value=f"{len(cells) - len(left)} of {len(cells)} nets in {sum(spent) / 60:.1f} minutes of training{rest}"
        + (f"; failed: {', '.join(failed)}" if failed else ""),
        target="none failed",
        holds=not failed,
    )


def write_table(setup: Setup, suite: Suite, outcomes: dict[str, Outcome]) -> None:
    """Write the suite's table to DIR/table.md."""
    text = render(build_tables(suite, outcomes), "markdown", suites=[suite])
    write_atomically(setup.output / "table.md", text)
    print(text, flush=True)
