"""Build nets by the names that suites use: torchvision's, timm's, bench's own, and functions in files.

One file per family that bench changes or adds. Each has ``small(name, num_classes)``, the family's net for 32-pixel
images, made by surgery on torchvision's classes so that initialisation and block design stay theirs.

Called by :mod:`bench.worker.train`, ``speed`` and ``measure``. Never loads pretrained weights.
"""

import sys
import warnings
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, cast

import torch
from torch import nn

from bench.catalog.models import AUXILIARY, MODELS, model_problem
from bench.errors import ModelError
from bench.model_names import file_of, split_model
from bench.values import Stem
from bench.worker.models.matmul_conv import use_matmul_convs
from bench.worker.models.own_code import as_program, own_code, run_once
from bench.worker.models.source import load_function

TORCHVISION_SIZE = 224
"""The image size that torchvision's nets of one size are built for by default, in pixels."""


def build(model: str, *, stem: Stem, num_classes: int, input_size: int) -> nn.Module:
    """Build a net with fresh weights from the global random generators.

    A net of a file is run once, without changing the generators' states of other nets, so that layers that get their
    shapes from the first images have them before an optimizer sees the parameters.

    Args:
        model: A name of :data:`bench.catalog.models.MODELS`, ``timm/NAME`` or ``path/to/file.py:function``, the last
            two with arguments or without.
        stem: ``small`` for the net for 32-pixel images, ``standard`` for the net as its authors built it.
        num_classes: Outputs of the head.
        input_size: Height and width of the images in pixels, for nets that are built for one size.

    Raises:
        ModelError: There is no such net, it has no such stem, or its own code failed.
    """
    if problem := model_problem(model):
        raise ModelError(problem)
    name, arguments = split_model(model)
    with own_code(model, "built"):
        module, function, values = published_call(model, stem, num_classes, input_size)
        if module == "timm":
            net = _timm().create_model(function, **values)
        elif module:
            net = resolve_name(f"{module}:{function}")(**values)
        elif name in MODELS:
            net = _from_catalog(name, stem, num_classes)
        else:
            net = _from_file(model, name, num_classes, arguments)
    if not isinstance(net, nn.Module):
        raise ModelError(f"{model} returned {type(net).__name__}, not a torch.nn.Module")
    # bench compiles by itself where that is faster; a compiled net has other names in its state_dict
    net = cast(nn.Module, getattr(net, "_orig_mod", net))
    if file_of(model):
        with torch.no_grad():
            run_once(model, net.eval(), input_size)
        net.train()
    return net


def place(net: nn.Module, device: torch.device, memory_format: torch.memory_format) -> nn.Module:
    """Move a net that will be trained to its device and memory format; on a CPU with the faster convolutions."""
    if device.type == "cpu":
        use_matmul_convs(net)
    placed: nn.Module = net.to(device=device, memory_format=memory_format)  # type: ignore[call-overload]
    return placed


def published_call(model: str, stem: Stem, num_classes: int, input_size: int) -> tuple[str, str, dict[str, object]]:
    """How a net is built without bench: ``("torchvision.models", "resnet18", {"num_classes": 10})``.

    The first text is empty for nets that bench changes and for nets of files.
    """
    name, arguments = split_model(model)
    if name.startswith("timm/"):
        timm = _timm()
        published = timm.models.get_pretrained_cfg(name := name.removeprefix("timm/"), allow_unregistered=True)
        if published and published.fixed_input_size and published.input_size[-1] != input_size:
            arguments = {"img_size": input_size, **arguments}
        return "timm", name, {"pretrained": False, "num_classes": num_classes, **arguments}
    target = getattr(MODELS[name], stem) if name in MODELS else None
    if target is None or not target.startswith("torchvision."):
        return "", "", {}
    extra: dict[str, object] = {"aux_logits": False, "init_weights": True} if name in AUXILIARY else {}
    if input_size != TORCHVISION_SIZE and name.startswith("vit_"):
        extra["image_size"] = input_size
    elif input_size != TORCHVISION_SIZE and name.startswith("maxvit_"):
        extra["input_size"] = (input_size, input_size)
    module, _, function = target.partition(":")
    return module, function, {"num_classes": num_classes, **extra}


def _timm() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # timm uses torch.jit.script, which torch deprecates
        import timm
    return timm


def _from_catalog(model: str, stem: Stem, num_classes: int) -> Any:
    target = getattr(MODELS[model], stem)
    if target is None:
        raise ModelError(f"{model} has no {stem} stem")
    function = resolve_name(target)
    if target.startswith(f"{__name__}."):  # one function builds a whole family, by name
        return function(model, num_classes)
    return function(num_classes=num_classes)


def _from_file(model: str, path: str, num_classes: int, arguments: dict[str, object]) -> Any:
    file, _, name = path.rpartition(":")
    sys.argv = as_program(model)
    with own_code(model, "imported"):
        function = load_function(Path(file), name)
    return function(num_classes=num_classes, **arguments)
