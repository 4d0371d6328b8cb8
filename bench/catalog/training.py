"""catalog.training."""

from dataclasses import dataclass

from bench.catalog.options import Option, _typed
from bench.values import Component, OptionValue


@dataclass(frozen=True, kw_only=True)
class ScheduleSpec:
    """A kind of learning-rate decay, made from ``target`` in :mod:`bench.worker.optim`."""

    target: str
    """A class of ``torch.optim.lr_scheduler``, stepped once an epoch."""
    formula: str
    """Learning rate in epoch e = 0, 1, ... without warm-up."""
    options: dict[str, Option]
    epochs_option: str = ""
    """Name of the target's argument that takes the number of epochs to decay over, if it has one."""
    absolute: bool = False
    """Whether the decay counts epochs from the start of training even with warm-up (Goyal et al. 2017), instead of
    from the end of warm-up."""


WARMUP = {
    "warmup_epochs": Option(type="int", default=0, minimum=0, doc="epochs of linear warm-up before the decay"),
    "warmup_start": Option(
        type="float", default=0.01, above=0, maximum=1, doc="share of lr in the first epoch of warm-up"
    ),
}
"""Options that every schedule has."""


SCHEDULES = {
    "exponential": ScheduleSpec(
        target="torch.optim.lr_scheduler:ExponentialLR",
        formula="lr · gamma^e",
        options={"gamma": Option(type="float", above=0, maximum=1, doc="factor each epoch")},
    ),
    "step": ScheduleSpec(
        target="torch.optim.lr_scheduler:StepLR",
        formula="lr · gamma^floor(e / step_size)",
        options={
            "step_size": Option(type="int", minimum=1, doc="epochs between decays"),
            "gamma": Option(type="float", default=0.1, above=0, maximum=1, doc="factor each decay"),
        },
        absolute=True,
    ),
    "multistep": ScheduleSpec(
        target="torch.optim.lr_scheduler:MultiStepLR",
        formula="lr · gamma^(number of milestones ≤ e)",
        options={
            "milestones": Option(type="ints", minimum=1, doc="epochs at which lr decays, rising"),
            "gamma": Option(type="float", default=0.1, above=0, maximum=1, doc="factor each decay"),
        },
        absolute=True,
    ),
    "cosine": ScheduleSpec(
        target="torch.optim.lr_scheduler:CosineAnnealingLR",
        formula="eta_min + (lr - eta_min) · (1 + cos(π e / epochs)) / 2",
        options={"eta_min": Option(type="float", default=0.0, minimum=0, doc="lr that the curve ends at")},
        epochs_option="T_max",
    ),
}


@dataclass(frozen=True, kw_only=True)
class OptimizerSpec:
    """An optimizer: ``target`` is called with the parameters and the options under their own names."""

    target: str
    options: dict[str, Option]


OPTIMIZERS = {
    "sgd": OptimizerSpec(
        target="torch.optim:SGD",
        options={
            "lr": Option(type="float", above=0, default=0.1, doc="learning rate that the schedule scales"),
            "momentum": Option(type="float", default=0.9, minimum=0, maximum=1, doc="momentum"),
            "weight_decay": Option(type="float", default=5e-4, minimum=0, doc="L2 penalty on all parameters"),
            "nesterov": Option(type="bool", default=False, doc="Nesterov momentum"),
        },
    ),
    "adamw": OptimizerSpec(
        target="torch.optim:AdamW",
        options={
            "lr": Option(type="float", above=0, default=1e-3, doc="learning rate that the schedule scales"),
            "betas": Option(type="floats", default=(0.9, 0.999), minimum=0, maximum=1, doc="decay of both moments"),
            "eps": Option(type="float", default=1e-8, above=0, doc="term in the denominator"),
            "weight_decay": Option(type="float", default=0.01, minimum=0, doc="decoupled decay of all parameters"),
        },
    ),
}


@dataclass(frozen=True, kw_only=True)
class AugmentationSpec:
    """An augmentation of a whole training batch, a class in :mod:`bench.worker.data.augment`."""

    target: str
    options: dict[str, Option]
    doc: str
    of_files: bool = False
    """Whether it decides which part of an image file is decoded: for data sets whose files are read as they are
    trained on, and the first of a recipe's list."""


AUGMENTATIONS = {
    "random_resized_crop": AugmentationSpec(
        target="bench.worker.data.crops:random_resized_crop",
        options={
            "area": Option(type="floats", default=(0.08, 1.0), above=0, maximum=1, doc="range of the part's area"),
            "ratio": Option(type="floats", default=(3 / 4, 4 / 3), above=0, doc="range of its width / height"),
        },
        doc="a random part of the image, resized to the input size (Szegedy et al. 2015)",
        of_files=True,
    ),
    "random_crop": AugmentationSpec(
        target="bench.worker.data.augment:RandomCrop",
        options={"padding": Option(type="int", default=4, minimum=1, doc="pixels of black on each side")},
        doc="pad with black and crop back at a random place, each image at its own",
    ),
    "horizontal_flip": AugmentationSpec(
        target="bench.worker.data.augment:HorizontalFlip",
        options={"p": Option(type="float", default=0.5, minimum=0, maximum=1, doc="share of images that are mirrored")},
        doc="mirror images left to right",
    ),
    "random_erasing": AugmentationSpec(
        target="bench.worker.data.augment:RandomErasing",
        options={
            "p": Option(type="float", default=0.25, minimum=0, maximum=1, doc="share of images with an erased box"),
            "area": Option(type="floats", default=(0.02, 0.33), minimum=0, maximum=1, doc="range of the box's area"),
        },
        doc="fill a random box with the data set's mean colour (Zhong et al. 2017)",
    ),
}


def with_defaults(name: str, options: dict[str, OptionValue], known: dict[str, Option]) -> Component:
    """A choice with the given options and the catalog's defaults for the rest; ``lr: 1`` and ``lr: 1.0`` are one."""
    defaults = {key: option.default for key, option in known.items() if option.default is not None}
    return Component.of(name, **{key: _typed(known[key], value) for key, value in {**defaults, **options}.items()})


DEFAULT_RECIPE = {
    "epochs": 200,
    "batch_size": 128,
    "optimizer": with_defaults("sgd", {}, OPTIMIZERS["sgd"].options),
    "augment": (),
    "label_smoothing": 0.0,
    "precision": "fp32",
}
"""Recipe of a cell where the suite says nothing; stem and input size follow from the model and the data set."""
