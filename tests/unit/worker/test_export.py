"""Trained nets as files of other programs, each tried on the test set."""

import hashlib
import json
import runpy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.cells import make_small_cell
from torch import nn

from bench.datasets.prepared import data_key
from bench.errors import ModelError
from bench.worker import export as exports
from bench.worker import models
from bench.worker.data.dataset import load
from bench.worker.data.pack import PackedDataset
from bench.worker.export import export, load_source, needs_of, sample
from bench.worker.load import TrainedNet
from bench.worker.weights import NetCard, make_card, serialise_weights
from bench.workspace.requests import Export, ExportFormat, Trained

BRANCHING = """
from torch import nn

class Branching(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.layer = nn.Linear(3 * 8 * 8, num_classes)

    def forward(self, images):
        scores = self.layer(images.flatten(1))
        return scores if images[0].sum() > 0 else scores.flip(1)
"""
CARD = NetCard(
    cell="0",
    model="resnet18",
    stem="standard",
    dataset="d",
    classes=("a", "b"),
    input_size=96,
    mean=(0,),
    deviation=(1,),
)

CARD_OF_DIGITS = replace(CARD, classes=tuple("0123456789"), input_size=8, mean=(0.3,), deviation=(0.4,))


def request(to: ExportFormat, model: str = "nets.py:net") -> Export:
    """To export a net of digits without a training to ``out``."""
    cell, home = make_small_cell(model), Path("data")
    torch.manual_seed(1)
    net = models.build(cell.model, stem="small", num_classes=10, input_size=8)
    content = serialise_weights(net, make_card(cell, load(data_key(cell), home, workers=1)))
    Path("weights.safetensors").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    trained = Trained(cell=cell, title="the net", weights="weights.safetensors", sha256=digest)
    return Export(trained=trained, to=to, output=str(Path("out").absolute()), data_home=str(home))


def test_a_folder_loads_with_its_own_lines(tiny_models: Path) -> None:
    exported = export(request("folder"))
    assert (exported.images, exported.test_images, exported.ties, exported.classes) == (360, 360, 0, 10)
    assert exported.needs == "torch, safetensors and bench: nets.py:net is built from its file"
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "classes.txt",
        "config.json",
        "load.py",
        "weights.safetensors",
    ]
    assert Path("out/classes.txt").read_text().split() == [*"0123456789"]
    assert json.loads(Path("out/config.json").read_text())["mean"] == [pytest.approx(0.3058024)]
    assert runpy.run_path("out/load.py")["load"]()(torch.zeros(1, 3, 8, 8)).shape == (1, 10)
    assert not list(Path().glob(".bench-export-*"))


@pytest.mark.filterwarnings("ignore")  # torch deprecates TorchScript
def test_torchscript_needs_torch_alone_and_says_what_it_is(tiny_models: Path) -> None:
    assert export(request("torchscript")).needs == "torch"
    extra = {"card.json": ""}
    net = torch.jit.load("out", _extra_files=extra)  # type: ignore[no-untyped-call]
    assert net(torch.zeros(3, 3, 8, 8)).shape == (3, 10)
    assert json.loads(extra["card.json"])["classes"] == [*"0123456789"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the exporter's packages when they are imported
def test_onnx_runs_without_torch_and_says_what_it_is(tiny_models: Path) -> None:
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    assert export(request("onnx")).images == 360
    session = onnxruntime.InferenceSession("out", providers=["CPUExecutionProvider"])
    assert session.run(None, {"images": torch.zeros(3, 3, 8, 8).numpy()})[0].shape == (3, 10)
    metadata = {entry.key: entry.value for entry in onnx.load("out").metadata_props}
    assert json.loads(metadata["classes"]) == [*"0123456789"]
    Path("branching.py").write_text(BRANCHING)
    with pytest.raises(ModelError, match=r"branching\.py:Branching could not be exported as onnx: .*"):
        export(replace(request("onnx", "branching.py:Branching"), output=str(Path("other").absolute())))
    assert not Path("other").exists()


@pytest.mark.filterwarnings("ignore")
def test_a_net_that_gives_other_classes_is_not_kept(project: Path) -> None:
    Path("branching.py").write_text(BRANCHING)
    with pytest.raises(ModelError, match=r"gives another class than the trained net on \d+ of 360 .*nothing is kept"):
        export(request("torchscript", "branching.py:Branching"))
    assert not Path("out").exists()


def test_a_tie_that_roundings_decide_is_no_other_class(tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rounded(net: TrainedNet, path: Path) -> exports.Forward:
        path.write_text("")
        return lambda images: net(images) + 1e-6 * torch.randn(len(images), 10)

    monkeypatch.setitem(exports.WRITERS, "onnx", rounded)
    asked = request("onnx")
    net = models.build("nets.py:net", stem="small", num_classes=10, input_size=8)
    for parameter in net.parameters():
        nn.init.zeros_(parameter)  # all scores are equal
    Path("weights.safetensors").write_bytes(serialise_weights(net, CARD_OF_DIGITS))
    exported = export(replace(asked, trained=replace(asked.trained, sha256="")))
    assert exported.ties > 100


@pytest.mark.parametrize(
    ("change", "call", "needs"),
    [
        ({}, "torchvision.models.resnet18(num_classes=2)", "torch, safetensors and torchvision"),
        ({"model": "vit_b_16"}, "torchvision.models.vit_b_16(num_classes=2, image_size=96)", "torchvision"),
        pytest.param(
            {"model": "timm/resnet10t"},
            "timm.create_model('resnet10t', pretrained=False, num_classes=2)",
            "and timm",
            marks=pytest.mark.slow,  # imports timm
        ),
        (
            {"stem": "small"},
            "bench.worker.models.build('resnet18', stem='small', num_classes=2, input_size=96)",
            "bench: resnet18 is built from bench's own form of it (small stem)",
        ),
    ],
)
def test_a_folder_names_the_function_that_builds_its_net(change: dict[str, str], call: str, needs: str) -> None:
    card = replace(CARD, **change)  # type: ignore[arg-type] # of texts
    source = load_source(card)
    compile(source, "load.py", "exec")
    assert f"    net = {call}\n" in source
    assert needs in needs_of(card)
    assert needs_of(card) in source


def test_many_test_images_are_sampled_evenly(project: Path) -> None:
    data = load(data_key(make_small_cell()), project / "data", workers=1)
    assert isinstance(data, PackedDataset)
    assert sample(data) is data
    many = replace(data, test_images=data.train_images, test_labels=data.train_labels)
    some = sample(many)
    assert len(some.test_labels) == 1000
    assert (some.test_labels[0], some.test_labels[-1]) == (many.test_labels[0], many.test_labels[-1])
