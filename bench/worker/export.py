"""Write a trained net for programs without bench, and try what was written on test images.

Called by :mod:`bench.worker.main` for ``bench export``. What is written takes normalised images (N, 3, S, S) float32
and gives scores (N, K), N being any number.

Shapes: N images per batch, S = input size, K classes.
"""

import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from runpy import run_path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from bench.datasets.prepared import data_key
from bench.errors import ModelError
from bench.values import Stem
from bench.worker.data.dataset import Dataset, load, test_batches
from bench.worker.data.pack import PackedDataset
from bench.worker.load import TrainedNet, load_net
from bench.worker.models import published_call
from bench.worker.models.own_code import first_images, own_code
from bench.worker.models.scores import main_scores
from bench.worker.weights import NetCard, card_texts, serialise_weights
from bench.workspace.requests import Export, Exported, ExportFormat

TRIED = 1000
"""Test images that a written net is tried on."""
BATCH = 64
"""Images per batch; another number than a net is traced with, and the last batch has another again."""
TIE = 1e-4
"""Distance of two scores, relative to the largest, that roundings of another program may bridge."""

Forward = Callable[[Tensor], Tensor]


class Scores(nn.Module):
    """A net that returns something else than a tensor, with its main scores alone."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        """Scores (N, K)."""
        return main_scores(self.net(images))


def export(request: Export) -> Exported:
    """Write a net beside where it shall be, try it, and move it there.

    Raises:
        ModelError: It cannot be loaded or written in this format, or what was written gives other classes.
        DataError: The data set is missing.
    """
    trained, output = request.trained, Path(request.output)
    data = load(data_key(trained.cell), Path(request.data_home), workers=torch.get_num_threads())
    net = load_net(trained, Path(request.data_home), check=False)
    with torch.no_grad(), tempfile.TemporaryDirectory(dir=output.parent, prefix=".bench-export-") as temporary:
        written = Path(temporary) / output.name
        with own_code(trained.cell.model, f"exported as {request.to}"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch deprecates TorchScript, and tracers warn of what is tried below
            forward = WRITERS[request.to](net, written)
        images, ties, top1 = compare(request, net, forward, data)
        if output.is_dir():
            output.rmdir()  # empty, or it would have been refused
        shutil.move(written, output)
    return Exported(
        input_size=net.card.input_size,
        classes=len(net.card.classes),
        images=images,
        test_images=len(data.test_labels),
        ties=ties,
        top1=top1,
        needs=NEEDS[request.to] or needs_of(net.card),
    )


def compare(request: Export, net: nn.Module, forward: Forward, data: Dataset) -> tuple[int, int, float]:
    """Try a written net: how many test images, ties that went the other way, and percent that is right.

    Raises:
        ModelError: It gives other classes than the trained net, or cannot take another number of images.
    """
    some, total = sample(data), len(data.test_labels)
    batches = test_batches(some, request.trained.cell.recipe, batch_size=BATCH, device=torch.device("cpu"), workers=1)
    theirs, ours = [], []
    for images in batches:
        normalised = batches.normalise(images).contiguous()
        ours.append(main_scores(net(normalised)))
        with own_code(request.trained.cell.model, f"run as {request.to}"):
            theirs.append(forward(normalised))
    expected, found = torch.cat(ours), torch.cat(theirs)
    predicted = found.argmax(dim=1)
    other = (predicted != expected.argmax(dim=1)).nonzero().flatten()
    best, theirs_score = expected[other].amax(dim=1), expected[other].gather(1, predicted[other, None])[:, 0]
    wrong = int((best - theirs_score > TIE * best.abs().clamp(min=1)).sum()) if len(other) else 0
    if wrong:
        raise ModelError(
            f"{request.trained.title} cannot be exported as {request.to}: what was written gives another class than "
            f"the trained net on {wrong} of {len(expected)} test images (of {total}), so nothing is kept"
        )
    right = int((predicted == batches.labels).sum())
    return len(expected), len(other), 100.0 * right / len(expected)


def sample(data: Dataset) -> Dataset:
    """The data set with at most :data:`TRIED` test images, evenly spread: those of a class may stand together."""
    count = len(data.test_labels)
    if count <= TRIED:
        return data
    places = np.linspace(0, count - 1, TRIED).astype(np.int64)
    if isinstance(data, PackedDataset):
        return replace(data, test_images=data.test_images[places], test_labels=data.test_labels[places])
    files = [data.test[int(place)] for place in places]
    return replace(data, test=files, test_labels=data.test_labels[places])  # type: ignore[arg-type] # read like one


# --- Formats ---------------------------------------------------------------------------------------------------------


def to_onnx(net: TrainedNet, path: Path) -> Forward:
    """Write ONNX with torch's exporter; the card is in the file's metadata."""
    import onnxruntime

    batch = {0: torch.export.Dim("batch")}
    try:
        program = torch.onnx.export(
            plain(net),
            (example(net),),
            dynamo=True,
            verbose=False,
            input_names=["images"],
            output_names=["scores"],
            dynamic_shapes=(batch,),
        )
    except torch.onnx.OnnxExporterError as error:
        raise error.__cause__ or error from None  # its own text is a manual; the cause says what is wrong
    assert program is not None
    program.model.metadata_props.update(card_texts(net.card))
    program.save(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(["scores"], {"images": images.numpy()})[0])


def to_torchscript(net: TrainedNet, path: Path) -> Forward:
    """Write a traced TorchScript module; the card is its extra file ``card.json``."""
    traced = torch.jit.trace(plain(net), example(net), check_trace=False)  # type: ignore[no-untyped-call]
    extra = {"card.json": json.dumps(vars(net.card))}
    torch.jit.save(traced, path, _extra_files=extra)
    loaded = torch.jit.load(path)  # type: ignore[no-untyped-call]
    return cast(Forward, loaded)


def to_folder(net: TrainedNet, path: Path) -> Forward:
    """Write the weights, the card, the classes, and a few lines that load them."""
    path.mkdir()
    card = net.card
    (path / "weights.safetensors").write_bytes(serialise_weights(net, card))
    (path / "config.json").write_text(json.dumps(vars(card), indent=1) + "\n", encoding="utf-8")
    names = "".join(" ".join(name.split()) + "\n" for name in card.classes)
    (path / "classes.txt").write_text(names, encoding="utf-8", errors="replace")
    (path / "load.py").write_text(load_source(card), encoding="utf-8")
    loaded = run_path(str(path / "load.py"))["load"]()
    return lambda images: main_scores(loaded(images))


WRITERS: Mapping[ExportFormat, Callable[[TrainedNet, Path], Forward]] = {
    "onnx": to_onnx,
    "torchscript": to_torchscript,
    "folder": to_folder,
}
NEEDS: Mapping[ExportFormat, str] = {"onnx": "a runtime of ONNX", "torchscript": "torch", "folder": ""}
"""What a program needs to load it; empty: that depends on the net."""


def plain(net: nn.Module) -> nn.Module:
    """The net, as one that returns a tensor."""
    return net if isinstance(net(first_images(cast(TrainedNet, net).card.input_size)), Tensor) else Scores(net).eval()


def example(net: TrainedNet) -> Tensor:
    """Images that a net is traced with, (2, 3, S, S) float32."""
    return torch.randn(2, 3, net.card.input_size, net.card.input_size, generator=torch.Generator().manual_seed(0))


LOAD = '''"""Load the trained net of this folder. Needs {needs}.

The net takes images (N, 3, {size}, {size}) float32, normalised with the values in config.json as
(pixels / 255 - mean) / deviation, and gives scores (N, {classes}) in the order of classes.txt.
"""

from pathlib import Path

import {module}
from safetensors.torch import load_file


def load():
    """The net in eval mode."""
    net = {call}
    net.load_state_dict(load_file(Path(__file__).with_name("weights.safetensors")))
    return net.eval()
'''


def load_source(card: NetCard) -> str:
    """The file ``load.py`` of a folder."""
    classes = len(card.classes)
    module, function, values = published_call(card.model, cast(Stem, card.stem), classes, card.input_size)
    if module == "timm":
        call = f"timm.create_model({_arguments({'': function, **values})})"
    elif module:
        call = f"{module}.{function}({_arguments(values)})"
    else:
        module = "bench.worker.models"
        values = {"": card.model, "stem": card.stem, "num_classes": classes, "input_size": card.input_size}
        call = f"{module}.build({_arguments(values)})"
    return LOAD.format(needs=needs_of(card), size=card.input_size, classes=classes, module=module, call=call)


def _arguments(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value!r}" if name else repr(value) for name, value in values.items())


def needs_of(card: NetCard) -> str:
    """What the folder of a net needs to be loaded, in words."""
    stem = cast(Stem, card.stem)
    module = published_call(card.model, stem, len(card.classes), card.input_size)[0].partition(".")[0]
    if module:
        return f"torch, safetensors and {module}"
    own = "its file" if ".py:" in card.model else f"bench's own form of it ({card.stem} stem)"
    return f"torch, safetensors and bench: {card.model} is built from {own}"
