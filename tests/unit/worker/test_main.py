"""What a worker does around its net, without training one."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch import nn

from bench.values import Attempt, Cell, Mode
from bench.worker import train
from bench.worker.data.batches import TrainBatches
from bench.worker.evaluate import keep_weights
from bench.worker.main import classify
from bench.worker.speed import random_dataset
from bench.worker.step import Step
from bench.workspace.journal import Journal
from bench.workspace.paths import CellFolder


def test_equal_weights_are_files_of_one_digest(make_cell: Callable[..., Cell], tmp_path: Path) -> None:
    net, cell = nn.Linear(2, 2), make_cell()
    assert len({keep_weights(net, cell, CellFolder(tmp_path)) for _ in range(20)}) == 1


def raised(error: Exception, before: Exception | None = None) -> Exception:
    """The error as it arrives, on top of another."""
    try:
        try:
            raise before or error
        except Exception:
            if before is None:
                raise
            raise error  # noqa: B904 - as torch's own context manager does
    except Exception as caught:
        return caught


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        MemoryError(),
    ],
    ids=["allocator", "driver", "cuBLAS", "host"],
)
def test_memory_that_ran_out_is_out_of_memory_whoever_says_so(error: Exception) -> None:
    assert classify(raised(error))[0] == "oom"


def test_a_capture_that_ran_out_of_memory_is_out_of_memory() -> None:
    text = "CUDA error: operation failed due to a previous error during capture"
    kind, reason = classify(raised(RuntimeError(text), torch.OutOfMemoryError("CUDA out of memory.")))
    assert (kind, reason) == ("oom", "out of memory: CUDA out of memory.")
    assert classify(raised(RuntimeError(text)))[0] == "error"


def test_an_epoch_on_a_device_reads_nothing_back_before_its_end(
    make_cell: Callable[..., Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # tensors on the meta device have no values: whatever asks for one raises
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    monkeypatch.setattr(train, "mean_loss", lambda losses, epoch: losses)
    meta = torch.device("meta")
    cell = make_cell(augment=())
    data = random_dataset(images=64, size=8, classes=10)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 6 * 6, 10)).to(meta)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    attempt = Attempt(
        cell=cell, number=1, folder=str(tmp_path), data_home="", device="meta", mode=Mode(threads=1), suite="",
        series="", created_ms=0,
    )  # fmt: skip
    with Journal(tmp_path / "journal.jsonl") as journal:
        training = train.Training(
            attempt=attempt, data=data, device=meta, journal=journal, stop=lambda: False, net=net,
            optimizer=optimizer, fingerprint={}, save_after=math.inf,
        )  # fmt: skip
        batches = TrainBatches(data, batch_size=16, augment=(), seed=0, device=meta)
        step = Step(net, optimizer, batches.assemble, mode=attempt.mode, device=meta, label_smoothing=0.0)
        train.train_epoch(training, batches, step)
    assert training.steps_done == 4
    assert training.losses.device == meta
