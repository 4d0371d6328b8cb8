"""A trained net from its weights, checked against what was recorded of it."""

import hashlib
import random
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.cells import make_small_cell
from safetensors.torch import save

from bench.datasets.prepared import data_key
from bench.errors import DataError, ModelError
from bench.worker import models
from bench.worker.data.dataset import load
from bench.worker.load import load_net
from bench.worker.weights import make_card, serialise_weights
from bench.workspace.requests import Trained

TOP1 = 10.0
"""About what a net without training gives on ten classes of equal size."""


@pytest.fixture
def trained(project: Path, tiny_models: Path) -> Trained:
    """A net of a file on digits, with the weights of its first moment."""
    cell = make_small_cell("nets.py:net")
    torch.manual_seed(1)
    net = models.build(cell.model, stem="small", num_classes=10, input_size=8)
    content = serialise_weights(net, make_card(cell, load(data_key(cell), project / "data", workers=1)))
    (project / "weights.safetensors").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return Trained(cell=cell, title="the net", weights="weights.safetensors", sha256=digest, top1=None)


def recorded(trained: Trained) -> Trained:
    """With the top-1 that the net gives, as its refusal says it."""
    with pytest.raises(ModelError, match=r"gives top-1 \d+\.\d+% on the test set, recorded was 100.00%") as refused:
        load_net(replace(trained, top1=100.0), Path("data"))
    return replace(trained, top1=float(str(refused.value).partition("top-1 ")[2].partition("%")[0]))


def test_a_net_is_loaded_and_checked_and_nothing_of_the_process_changes(trained: Trained) -> None:
    arguments, state, numbers = list(sys.argv), torch.get_rng_state(), random.getstate()
    net = load_net(recorded(trained), Path("data"))
    assert not net.training
    assert net.card.classes == tuple("0123456789")
    assert (net.card.input_size, len(net.card.mean), net.card.stem) == (8, 1, "small")
    assert net(net.card.normalise(torch.zeros(2, 1, 8, 8, dtype=torch.uint8))).shape == (2, 10)
    assert (sys.argv, random.getstate()) == (arguments, numbers)
    assert torch.equal(torch.get_rng_state(), state)


def test_roundings_of_two_images_are_no_other_net(trained: Trained) -> None:
    exact = recorded(trained)
    assert exact.top1 is not None
    load_net(replace(exact, top1=exact.top1 + 100 * 2 / 360 - 0.01), Path("data"))
    with pytest.raises(ModelError, match="not the net that was trained"):
        load_net(replace(exact, top1=exact.top1 + 100 * 3 / 360), Path("data"))


def test_data_that_has_changed_is_named_as_a_cause(trained: Trained) -> None:
    with pytest.raises(ModelError, match=r"recorded was 100\.00%; the data set has changed since it was trained"):
        load_net(replace(trained, top1=100.0, data="another"), Path("data"))


def test_unchecked_a_net_needs_no_data(trained: Trained, tmp_path: Path) -> None:
    away = replace(trained, cell=replace(trained.cell, dataset="folder:nowhere"))
    assert load_net(away, tmp_path / "nothing", check=False).card.dataset == "digits"
    with pytest.raises(DataError, match=r"nowhere.*check=False does without"):
        load_net(away, tmp_path / "nothing")


def test_a_file_of_an_older_version_gets_its_card_from_the_data(trained: Trained) -> None:
    net = load_net(trained, Path("data"), check=False)
    Path("old.safetensors").write_bytes(save(net.state_dict(), metadata={"cell": "0"}))
    old = load_net(replace(trained, weights="old.safetensors", sha256=""), Path("data"), check=False)
    assert old.card == net.card


@pytest.mark.parametrize("change", ["digest", "no safetensors file", "cut"])
def test_damaged_weights_are_a_sentence(trained: Trained, change: str) -> None:
    path = Path(trained.weights)
    content = path.read_bytes()
    path.write_bytes({"digest": content[:-1] + b"\1", "no safetensors file": b"hello", "cut": content[:-9]}[change])
    known = trained if change == "digest" else replace(trained, sha256="")
    with pytest.raises(ModelError, match=r"the weights of the net are damaged: weights\.safetensors"):
        load_net(known, Path("data"))


def test_weights_of_another_net_are_a_sentence(trained: Trained) -> None:
    other = replace(trained, cell=replace(trained.cell, model="nets.py:dropping"))
    with pytest.raises(ModelError, match=r"not of the net that nets\.py:dropping builds today: .*size mismatch"):
        load_net(other, Path("data"), check=False)
