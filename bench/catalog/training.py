"""Learning-rate schedules, optimizers and augmentations with their options, and the default recipe.

Registries are dicts: an entry names its implementation as ``module:attribute``, which the worker imports. The schema
and the reference of suite files derive from the entries. Imports nothing that trains.
"""

from dataclasses import dataclass

from bench.catalog.options import Option
from bench.recipe import Component, OptionValue, Recipe, keys_of


@dataclass(frozen=True, kw_only=True)
class ScheduleSpec:
    """A kind of learning-rate decay, made from ``target`` in :mod:`bench.worker.optim`."""

    target: str
    """A class of ``torch.optim.lr_scheduler``, stepped once per epoch."""
    formula: str
    """Learning rate in epoch e = 0, 1, ... without warm-up."""
    options: dict[str, Option]
    epochs_option: str = ""
    """Name of the target's argument that takes the number of epochs to decay over, if it has one."""
    absolute: bool = False
    """Whether the decay counts epochs from the start of training even with warm-up (Goyal et al. 2017), instead of
    from the end of warm-up."""


WARMUP = {
    "warmup_epochs": Option(
        type="int", default=0, minimum=0, doc="epochs of warm-up, in which lr rises linearly, step by step"
    ),
    "warmup_start": Option(
        type="float", default=0.01, above=0, maximum=1, doc="fraction of lr in the first step of warm-up"
    ),
}
"""Options that every schedule has."""


SCHEDULES = {
    "exponential": ScheduleSpec(
        target="torch.optim.lr_scheduler:ExponentialLR",
        formula="lr · gamma^e",
        options={"gamma": Option(type="float", above=0, maximum=1, doc="factor per epoch")},
    ),
    "step": ScheduleSpec(
        target="torch.optim.lr_scheduler:StepLR",
        formula="lr · gamma^floor(e / step_size)",
        options={
            "step_size": Option(type="int", minimum=1, doc="epochs between decays"),
            "gamma": Option(type="float", default=0.1, above=0, maximum=1, doc="factor per decay"),
        },
        absolute=True,
    ),
    "multistep": ScheduleSpec(
        target="torch.optim.lr_scheduler:MultiStepLR",
        formula="lr · gamma^(number of milestones ≤ e)",
        options={
            "milestones": Option(type="ints", minimum=1, doc="epochs at which lr decays, in rising order"),
            "gamma": Option(type="float", default=0.1, above=0, maximum=1, doc="factor per decay"),
        },
        absolute=True,
    ),
    "cosine": ScheduleSpec(
        target="torch.optim.lr_scheduler:CosineAnnealingLR",
        formula="eta_min + (lr - eta_min) · (1 + cos(π e / epochs)) / 2",
        options={"eta_min": Option(type="float", default=0.0, minimum=0, doc="lr at the end of the curve")},
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
            "betas": Option(
                type="floats", default=(0.9, 0.999), count=2, minimum=0, below=1, doc="decay rates of the two moments"
            ),
            "eps": Option(type="float", default=1e-8, above=0, doc="term added to the denominator"),
            "weight_decay": Option(
                type="float", default=0.01, minimum=0, doc="decoupled weight decay of all parameters"
            ),
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
    """Whether it decides which part of an image file is decoded. It then needs a data set whose files are read during
    training, and must be the first of the recipe's list."""


AUGMENTATIONS = {
    "random_resized_crop": AugmentationSpec(
        target="bench.worker.data.crops:random_resized_crop",
        options={
            "area": Option(
                type="floats",
                default=(0.08, 1.0),
                count=2,
                above=0,
                maximum=1,
                doc="range of the crop's area, as a fraction of the image",
            ),
            "ratio": Option(type="floats", default=(3 / 4, 4 / 3), count=2, above=0, doc="range of its width / height"),
        },
        doc="crop a random part of the image and resize it to the input size (Szegedy et al. 2015)",
        of_files=True,
    ),
    "random_crop": AugmentationSpec(
        target="bench.worker.data.augment:RandomCrop",
        options={"padding": Option(type="int", default=4, minimum=1, doc="black pixels added on each side")},
        doc="pad with black and crop back to size at a random place per image",
    ),
    "horizontal_flip": AugmentationSpec(
        target="bench.worker.data.augment:HorizontalFlip",
        options={"p": Option(type="float", default=0.5, minimum=0, maximum=1, doc="probability of mirroring an image")},
        doc="mirror images left to right",
    ),
    "random_erasing": AugmentationSpec(
        target="bench.worker.data.augment:RandomErasing",
        options={
            "p": Option(
                type="float", default=0.25, minimum=0, maximum=1, doc="probability of erasing a box of an image"
            ),
            "area": Option(
                type="floats",
                default=(0.02, 0.33),
                count=2,
                minimum=0,
                maximum=1,
                doc="range of the box's area, as a fraction of the image",
            ),
        },
        doc="fill a random box with the data set's mean colour (Zhong et al. 2017)",
    ),
}


def with_defaults(name: str, given: dict[str, OptionValue], options: dict[str, Option]) -> Component:
    """A component with the given options and the catalog's defaults for the rest."""
    defaults = {key: option.default for key, option in options.items() if option.default is not None}
    return Component.of(name, **{key: options[key].convert(value) for key, value in {**defaults, **given}.items()})


DEFAULT_OPTIMIZER = str(keys_of(Recipe)["optimizer"].default)

DEFAULT_RECIPE: dict[str, object] = {
    **{name: key.default for name, key in keys_of(Recipe).items() if not key.derived},
    "optimizer": with_defaults(DEFAULT_OPTIMIZER, {}, OPTIMIZERS[DEFAULT_OPTIMIZER].options),
}
"""The keys of a recipe that the suite does not give. Stem and input size follow from the model and the data set."""


def optimizer_problem(optimizer: Component) -> str | None:
    """Why torch would refuse an optimizer whose options are each valid, as a sentence, or None."""
    options = optimizer.as_dict()
    if options.get("nesterov") and not options.get("momentum"):
        return "nesterov: true needs a momentum above 0; set momentum, or nesterov: false"
    return None


def schedule_problem(schedule: Component, lr: float) -> str | None:
    """Why a schedule does not fit the learning rate that it scales, as a sentence, or None."""
    eta_min = schedule.as_dict().get("eta_min", 0.0)
    if isinstance(eta_min, float) and eta_min > lr:
        return f"eta_min {eta_min:g} is above lr {lr:g}, so the learning rate would rise; use at most lr"
    return None


def schedule_options(kind: str) -> dict[str, Option]:
    """All options of a schedule, those of the warm-up included."""
    return {**SCHEDULES[kind].options, **WARMUP}
