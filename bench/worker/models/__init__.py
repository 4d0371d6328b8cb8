"""Build nets by the names that suites use: torchvision's, timm's, bench's own, and functions in files.

One file per family that bench changes or adds. Each has ``small(name, num_classes)``, the family's net for 32-pixel
images, made by surgery on torchvision's classes so that initialisation and block design stay theirs.

Called by :mod:`bench.worker.train`, ``speed`` and ``measure``. Never loads pretrained weights.
"""

import warnings
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import torch
from torch import nn

from bench.catalog.models import MODELS, model_problem
from bench.errors import ModelError
from bench.values import Stem
from bench.worker.models.matmul_conv import use_matmul_convs
from bench.worker.models.source import load_function

AUXILIARY = {"googlenet", "inception_v3"}
"""torchvision nets with extra training heads, which are omitted: the table compares single classifiers."""


def build(model: str, *, stem: Stem, num_classes: int) -> nn.Module:
    """Build a net with fresh weights from torch's global random generator.

    Args:
        model: A name of :data:`bench.catalog.models.MODELS`, ``timm/NAME`` or ``path/to/file.py:function``.
        stem: ``small`` for the net for 32-pixel images, ``standard`` for the net as its authors built it.
        num_classes: Outputs of the head.

    Raises:
        ModelError: There is no such net, it has no such stem, or its own code failed.
    """
    if problem := model_problem(model):
        raise ModelError(problem)
    if model.startswith("timm/"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # timm uses torch.jit.script, which torch deprecates
            import timm

        net = timm.create_model(model.removeprefix("timm/"), pretrained=False, num_classes=num_classes)
    elif model in MODELS:
        net = _from_catalog(model, stem, num_classes)
    else:
        net = _from_file(model, num_classes)
    if not isinstance(net, nn.Module):
        raise ModelError(f"{model} returned {type(net).__name__}, not a torch.nn.Module")
    return net


def place(net: nn.Module, device: torch.device, memory_format: torch.memory_format) -> nn.Module:
    """Move a net that will be trained to its device and memory format; on a CPU with the faster convolutions."""
    if device.type == "cpu":
        use_matmul_convs(net)
    placed: nn.Module = net.to(device=device, memory_format=memory_format)  # type: ignore[call-overload]
    return placed


def _from_catalog(model: str, stem: Stem, num_classes: int) -> Any:
    target = getattr(MODELS[model], stem)
    if target is None:
        raise ModelError(f"{model} has no {stem} stem")
    function = resolve_name(target)
    if target.startswith(f"{__name__}."):  # one function builds a whole family, by name
        return function(model, num_classes)
    extra = {"aux_logits": False, "init_weights": True} if model in AUXILIARY else {}
    return function(num_classes=num_classes, **extra)


def _from_file(model: str, num_classes: int) -> Any:
    file, _, name = model.rpartition(":")
    try:
        return load_function(Path(file), name)(num_classes=num_classes)
    except ModelError:
        raise
    except Exception as error:  # arbitrary code may raise anything
        raise ModelError(f"{model} could not be built: {type(error).__name__}: {error}") from error
