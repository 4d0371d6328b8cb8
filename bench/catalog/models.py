"""The catalog of nets: names, the functions that build them, and what is wrong with a name that a suite uses.

Called by every room. Imports no net: names of timm and of functions in files are read from source text, because
importing them would import torch.
"""

import importlib.util
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from bench.catalog.options import nearest
from bench.model_names import split_model
from bench.values import Stem

SMALL_INPUT = 64
"""Largest input, in pixels, for which nets get their small stem by default."""


AUXILIARY = frozenset({"googlenet", "inception_v3"})
"""torchvision nets with extra training heads, which are omitted: the table compares single classifiers."""


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A net. Both stems are ``"module:function"``, called with ``num_classes``; None if the net has no such stem.

    Functions in :mod:`bench.worker.models`, which every small stem is, are called with the model's name first.
    """

    standard: str | None
    """The net for ImageNet-sized images."""
    small: str | None
    """The net for 32-pixel images."""

    @property
    def stems(self) -> tuple[Stem, ...]:
        """The stems that this net can be built with."""
        return tuple(stem for stem in ("small", "standard") if getattr(self, stem))


def _torchvision(names: str, small: str | None = None, standard: str | None = None) -> dict[str, ModelSpec]:
    return {name: ModelSpec(standard=standard or f"torchvision.models:{name}", small=small) for name in names.split()}


MODELS = {
    **_torchvision(
        "vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn", small="bench.worker.models.vgg:small"
    ),
    **_torchvision(
        "resnet18 resnet34 resnet50 resnet101 resnet152 resnext50_32x4d resnext101_32x8d resnext101_64x4d"
        " wide_resnet50_2 wide_resnet101_2",
        small="bench.worker.models.resnet:small",
    ),
    "resnext29_32x4d": ModelSpec(standard=None, small="bench.worker.models.resnext:small"),
    "resnext29_2x64d": ModelSpec(standard=None, small="bench.worker.models.resnext:small"),
    **_torchvision("densenet121 densenet161 densenet169 densenet201", small="bench.worker.models.densenet:small"),
    **_torchvision("mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3", small="bench.worker.models.inverted_residual:small"),
    **_torchvision(
        "shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0",
        small="bench.worker.models.shufflenet:small",
        standard="bench.worker.models.shufflenet:standard",
    ),
    **_torchvision(
        "mobilenet_v2 mobilenet_v3_large mobilenet_v3_small", small="bench.worker.models.inverted_residual:small"
    ),
    **_torchvision(
        "efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5"
        " efficientnet_b6 efficientnet_b7",
        small="bench.worker.models.inverted_residual:small",
    ),
    **_torchvision(
        "alexnet convnext_base convnext_large convnext_small convnext_tiny efficientnet_v2_l efficientnet_v2_m"
        " efficientnet_v2_s googlenet inception_v3 maxvit_t regnet_x_16gf regnet_x_1_6gf regnet_x_32gf regnet_x_3_2gf"
        " regnet_x_400mf regnet_x_800mf regnet_x_8gf regnet_y_128gf regnet_y_16gf regnet_y_1_6gf regnet_y_32gf"
        " regnet_y_3_2gf regnet_y_400mf regnet_y_800mf regnet_y_8gf squeezenet1_0 squeezenet1_1 swin_b swin_s swin_t"
        " swin_v2_b swin_v2_s swin_v2_t vit_b_16 vit_b_32 vit_h_14 vit_l_16 vit_l_32"
    ),
}


@cache
def timm_names() -> tuple[str, ...]:
    """Names of all timm models, read from timm's source files by their ``@register_model``; empty without timm."""
    spec = importlib.util.find_spec("timm")
    if spec is None or spec.origin is None:
        return ()
    pattern = re.compile(r"^@register_model\s+def (\w+)", re.MULTILINE)
    files = (Path(spec.origin).parent / "models").glob("*.py")
    return tuple(sorted(name for file in files for name in pattern.findall(file.read_text(encoding="utf-8"))))


def model_problem(model: str) -> str | None:
    """Why a model name, with its arguments if it has any, cannot be used, as a sentence, or None."""
    try:
        name, _ = split_model(model)
    except ValueError as error:
        return str(error)
    if name in MODELS:
        return None
    if name.startswith("timm/"):
        names = timm_names()
        short = name.removeprefix("timm/")
        if short in names:
            return None
        if not names:
            return f"model {name!r} needs timm, which is not installed (pip install timm)"
        hint = nearest(short, names)
        return f"unknown timm model {short!r}" + (f" (did you mean 'timm/{hint}'?)" if hint else "")
    if ".py:" in name:
        return file_problem(name)
    hint = nearest(name, MODELS)
    return f"unknown model {name!r} ({f'did you mean {hint!r}?' if hint else 'bench models lists them'})"


def matching_models(pattern: str, *, timm: bool = False) -> list[str]:
    """The names that match a glob, e.g. ``resnet*`` or ``timm/vit_*``.

    With ``timm``, names of timm that match without ``timm/`` come first.
    """
    names = [f"timm/{name}" for name in timm_names()] if timm or pattern.startswith("timm/") else []
    found = [name for name in names if fnmatchcase(name, pattern) or fnmatchcase(name.removeprefix("timm/"), pattern)]
    return found + [name for name in MODELS if fnmatchcase(name, pattern)]


def file_problem(name: str) -> str | None:
    """Why ``path/to/file.py:function`` cannot be used, as a sentence, or None. The file is read but not executed."""
    file, _, function = name.rpartition(":")
    path = Path(file)
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        return f"model file {path.absolute()} cannot be read: {reason}"
    functions = re.findall(r"^(?:def|class) (\w+)|^(\w+)\s*=", source, re.MULTILINE)
    names = [first or second for first, second in functions]
    if function in names:
        return None
    hint = nearest(function, names)
    return f"{file} has no function {function!r}" + (f" (did you mean {hint!r}?)" if hint else "")


def default_stem(model: str, input_size: int) -> Stem:
    """The stem of a net when the suite names none: small for inputs up to 64 pixels, if the net has it."""
    stems = model_stems(model)
    wanted: Stem = "small" if input_size <= SMALL_INPUT else "standard"
    return wanted if wanted in stems else stems[0]


def model_stems(model: str) -> tuple[Stem, ...]:
    """The stems that a net can be built with; nets of timm and of files have only the standard one."""
    spec = MODELS.get(model)
    return spec.stems if spec else ("standard",)
