"""A trained net from its weights, in the process that asks for it. Called by :mod:`bench.api.nets` and the export.

The one module of the worker that runs in a user's own process: it puts back what the code of a net changes.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as load_tensors
from torch import Tensor, nn

from bench.datasets.prepared import data_key
from bench.errors import DataError, ModelError
from bench.values import Cell, Mode
from bench.worker import models
from bench.worker.data.dataset import Dataset, load, test_batches
from bench.worker.evaluate import TEST_BATCH, Evaluator
from bench.worker.failures import first_line
from bench.worker.models.own_code import kept_random_states
from bench.worker.weights import NetCard, make_card, read_card
from bench.workspace.requests import Trained

TOLERANCE = 0.5
"""Percentage points of top-1 that roundings may change: another device, another precision, other threads."""
TOLERATED_IMAGES = 2
"""Test images that may be classified otherwise whatever share of a small test set they are."""


class TrainedNet(nn.Module):
    """What :func:`load_net` returns, for type checkers: a net of any class, with its card."""

    card: NetCard
    """What it is, takes and gives."""


def load_net(trained: Trained, data_home: Path, *, check: bool = True, device: str = "cpu") -> TrainedNet:
    """The net of a finished cell with its weights, in eval mode, as it was built for training.

    Args:
        trained: What to load.
        data_home: The data folder.
        check: Test it on the test set, and refuse a net whose top-1 is not the recorded one.
        device: Where it is put.

    Raises:
        ModelError: The weights are damaged, or are not of the net that is built today.
        DataError: The data set is needed and is missing.
    """
    weights, card = read_weights(trained)
    data = _data(trained.cell, data_home) if check or card is None else None
    if card is None:
        assert data is not None
        card = make_card(trained.cell, data)
    with kept_random_states():
        net = models.build(
            trained.cell.model,
            stem=trained.cell.recipe.stem,
            num_classes=len(card.classes),
            input_size=trained.cell.recipe.input_size,
        )
    try:
        net.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(
            f"the weights of {trained.title} are not of the net that {trained.cell.model} builds today: "
            f"{' '.join(str(error).split())[:400]}"
        ) from None
    net.to(torch.device(device)).eval()
    if check and data is not None:
        check_top1(trained, net, data, torch.device(device))
    loaded = cast(TrainedNet, net)
    loaded.card = card
    return loaded


def read_weights(trained: Trained) -> tuple[Mapping[str, Tensor], NetCard | None]:
    """The weights, and their card if the file has one.

    Raises:
        ModelError: The file is damaged.
    """
    content = Path(trained.weights).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if trained.sha256 and digest != trained.sha256:
        raise ModelError(
            f"the weights of {trained.title} are damaged: {trained.weights} has the SHA-256 {digest}, "
            f"recorded was {trained.sha256}"
        )
    try:
        with safe_open(trained.weights, "pt") as file:
            metadata = file.metadata() or {}
        return load_tensors(content), read_card(metadata)
    except SafetensorError as error:
        raise ModelError(
            f"the weights of {trained.title} are damaged: {trained.weights}: {first_line(error)}"
        ) from None


def check_top1(trained: Trained, net: nn.Module, data: Dataset, device: torch.device) -> None:
    """Test a net in fp32.

    Raises:
        ModelError: Its top-1 differs from the recorded one by more than roundings can explain.
    """
    threads = torch.get_num_threads()
    batches = test_batches(data, trained.cell.recipe, batch_size=TEST_BATCH, device=device, workers=threads)
    mode = Mode(threads=threads, memory_format="contiguous")
    found = Evaluator(net, batches, mode=mode, beat=lambda: None)()[0]["test/top1"]
    allowed = max(TOLERANCE, 100.0 * TOLERATED_IMAGES / len(data.test_labels)) + 1e-9
    if trained.top1 is None or abs(found - trained.top1) <= allowed:
        return
    changed = "; the data set has changed since it was trained" if trained.data not in ("", data.digest) else ""
    raise ModelError(
        f"the net of {trained.title} gives top-1 {found:.2f}% on the test set, recorded was {trained.top1:.2f}%"
        f"{changed}; it is not the net that was trained (check=False loads it all the same)"
    )


def _data(cell: Cell, data_home: Path) -> Dataset:
    """The data set of a cell.

    Raises:
        DataError: It is missing.
    """
    try:
        return load(data_key(cell), data_home, workers=torch.get_num_threads())
    except DataError as error:
        raise DataError(f"{error}; a net is checked on its test set (check=False does without)") from None
