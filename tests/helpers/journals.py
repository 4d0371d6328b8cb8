"""Hand-made journals of a cell of two epochs."""

from pathlib import Path

from bench.values import Cost, FailureKind, State
from bench.workspace.events import CostMeasured, DataLoaded, Ended, EpochDone, Started, Summarised
from bench.workspace.host import process_tags
from bench.workspace.journal import Journal
from bench.workspace.paths import CellFolder

COST = Cost(params=1_234_567, flops=7_654_321, conv_linear_macs=7_000_001, torch_macs=7_000_001)


def write_start(journal: Journal, attempt: int = 1) -> None:
    """An attempt of this process begins."""
    context = {**process_tags(), "mlflow.source.git.commit": "abc123"}
    journal.write(Started(attempt=attempt, epochs=2, device="cpu", device_name="a CPU", context=context))
    journal.write(DataLoaded(dataset="digits", digest="d" * 64, classes=10, train_images=5, test_images=4))
    journal.write(CostMeasured(cost=COST))


def write_epoch(journal: Journal, number: int, top1: float = 90.125) -> None:
    """An epoch is done, with a top-1 accuracy in percent."""
    metrics = {"train/loss": 0.5, "train/lr": 0.1, "test/loss": 0.25, "test/top1": top1, "test/top5": 99.5}
    journal.write(EpochDone(epoch=number, metrics=metrics, epoch_s=1.5, images_per_s=100.0))


def write_end(journal: Journal, state: State = "complete", kind: FailureKind = "", reason: str = "") -> None:
    """The attempt ends."""
    journal.write(Summarised(metrics={"time/total_s": 3.0, "memory/peak_mb": 10.0}))
    journal.write(Ended(state=state, kind=kind, reason=reason, fingerprint={"data": "d"}))


def write_complete(folder: CellFolder) -> Path:
    """The journal of an attempt that completes the cell, with top-1 accuracies 90.125 and 91.0625. Returns its path."""
    path = folder.attempt(1).journal
    with Journal(path) as journal:
        write_start(journal)
        write_epoch(journal, 1)
        write_epoch(journal, 2, top1=91.0625)
        write_end(journal)
    return path
