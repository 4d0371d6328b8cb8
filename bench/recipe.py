"""The recipe of a cell and the execution of a suite: each key is defined here, once.

A key is a dataclass field whose annotation carries a :class:`Key`: type, default, bounds, unit and documentation in one
place. The suite schema (:mod:`bench.suite.schema`), the JSON schema and the reference (:mod:`bench.suite.reference`),
the default recipe, the MLflow params, the recipe under a table and the labels of its rows all derive from it. To add a
key, add a field with a dataclass default here, and the code that acts on it.

Both kinds of process import this module, so it needs nothing but the standard library. It is longer than other files
because it holds the documentation of every key.
"""

from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, fields, replace
from functools import cache
from typing import Annotated, Any, Literal, get_type_hints

Scalar = float | int | bool | str
OptionValue = Scalar | tuple[int, ...] | tuple[float, ...]
Precision = Literal["fp32", "bf16"]
MemoryFormat = Literal["channels_last", "contiguous"]
Stem = Literal["small", "standard"]


@dataclass(frozen=True, kw_only=True)
class Component:
    """An entry of one of the catalog's registries with every option spelled out.

    Schedules, optimizers and augmentations are components. ``options`` is sorted by name.
    """

    name: str
    options: tuple[tuple[str, OptionValue], ...] = ()

    @classmethod
    def of(cls, name: str, /, **options: OptionValue) -> "Component":
        """Build a component from keyword options; lists become tuples."""
        pairs = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
        return cls(name=name, options=tuple(sorted(pairs.items())))

    def __getitem__(self, option: str) -> Any:
        return dict(self.options)[option]

    def as_dict(self) -> dict[str, OptionValue]:
        """The options as a new dictionary."""
        return dict(self.options)

    def __str__(self) -> str:
        inner = ", ".join(f"{key}={value}" for key, value in self.options)
        return f"{self.name}({inner})" if inner else self.name


@dataclass(frozen=True, kw_only=True)
class Key:
    """The definition of one key of a suite file: what it means, its default and its bounds."""

    doc: str
    """One or two sentences in markdown."""
    default: object = None
    """The value if the suite gives none. A dataclass default of the field takes its place."""
    derived: str = ""
    """Where the default comes from if it depends on other keys, in words."""
    unit: str = ""
    above: float | None = None
    """Exclusive lower bound."""
    minimum: float | None = None
    below: float | None = None
    """Exclusive upper bound."""
    maximum: float | None = None


@dataclass(frozen=True, kw_only=True)
class RecipeKey(Key):
    """A key of a recipe, with how it reads in the recipe under a table."""

    shown: Literal["always", "if set", "never"] = "if set"
    """``if set``: only where it is not the default, after the keys that are always shown."""
    words: Callable[[Any], str] | None = None
    """Formats a value for the recipe under a table; None: the key's name and the value."""


def _epochs_in_words(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"


def _augment_in_words(augment: tuple[Component, ...]) -> str:
    return ", ".join(component.name for component in augment) or "no augmentation"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What decides the result of a cell, besides its model, data set, schedule and seed.

    A field with a dataclass default joined after the first release: ids leave it out at its default, and JSON without
    it can be read.
    """

    epochs: Annotated[
        int,
        RecipeKey(
            doc="Passes over the training set.",
            default=200,
            minimum=1,
            maximum=100_000,
            unit="epochs",
            shown="always",
            words=_epochs_in_words,
        ),
    ]
    batch_size: Annotated[
        int,
        RecipeKey(
            doc="Images per step; the whole training set if it has fewer. The order changes every epoch.",
            default=128,
            minimum=1,
            unit="images",
            shown="always",
            words="batch {}".format,
        ),
    ]
    optimizer: Annotated[
        Component,
        RecipeKey(
            doc="The optimizer with its options. Its `lr` is what the schedule scales. Without a `name` it changes "
            "options of the optimizer of the level above.",
            default="sgd",
            shown="always",
            words=str,
        ),
    ]
    augment: Annotated[
        tuple[Component, ...],
        RecipeKey(
            doc="Augmentations of the training batches, applied in this order. Test images are only normalised.",
            default=(),
            shown="always",
            words=_augment_in_words,
        ),
    ]
    label_smoothing: Annotated[
        float,
        RecipeKey(
            doc="Share of the target that is spread over all classes (Szegedy et al. 2016, section 7).",
            default=0.0,
            minimum=0,
            below=1,
            words="label smoothing {}".format,
        ),
    ]
    precision: Annotated[
        Precision | Literal["auto"],
        RecipeKey(
            doc="`bf16` runs the forward pass and the loss under autocast; weights and optimizer stay fp32. `auto` "
            "takes whichever is measured to be faster on the machine.",
            default="fp32",
            shown="always",
            words=str,
        ),
    ]
    stem: Annotated[
        Stem,
        RecipeKey(
            doc="`small`: the net as it is built for 32-pixel images; `standard`: the ImageNet net of its authors.",
            derived="`small` for inputs of up to 64 pixels if the net has that stem, else `standard`",
            shown="never",
        ),
    ]
    input_size: Annotated[
        int,
        RecipeKey(
            doc="Height and width of the images that the net sees in training and test, and that FLOPs are counted at.",
            derived="the data set's input size. Of a folder: that of its images, if the first of every class are "
            "squares of one size of up to 64 pixels; else 224",
            minimum=1,
            maximum=4096,
            unit="pixels",
            shown="never",
            words="{} px".format,
        ),
    ]
    max_images_per_class: Annotated[
        int | None,
        RecipeKey(
            doc="Maximum number of images per class for training, and the same for test: the first by a hash of "
            "their names.",
            derived="all images",
            minimum=1,
            unit="images",
            shown="never",
            words="at most {} images per class".format,
        ),
    ] = None
    test_resize: Annotated[
        int | None,
        RecipeKey(
            doc="Size that the shorter side of a test image is resized to, before its centre, `input_size` square, is "
            "cropped. At least `input_size`. Usual are `input_size` x 256 / 224 for ImageNet and Clothing1M, and for "
            "folders where `random_resized_crop` trains at more than 64 pixels; else `input_size`, whatever the number "
            "of images.",
            derived="the usual test size",
            minimum=1,
            maximum=8192,
            unit="pixels",
            shown="never",
            words="tested at {} px".format,
        ),
    ] = None
    drop_last: Annotated[
        bool,
        RecipeKey(
            doc="Leave out the images that do not fill the last batch of an epoch. They are others in every epoch. "
            "`false` trains on them as a smaller batch, unless it is a single image, which batch normalisation cannot "
            "be trained on.",
            shown="always",
            words=lambda dropped: f"last partial batch {'dropped' if dropped else 'kept'}",
        ),
    ] = True


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How the cells of a suite are run; not part of a cell's id.

    Another setting computes the same function with other roundings. Training amplifies them, as it does other seeds.
    """

    deterministic: Annotated[
        bool,
        Key(
            doc="Use only algorithms that give the same bits every time, so that an interrupted and resumed cell ends "
            "bit for bit like an undisturbed one. Costs speed on a GPU; the CPU is always deterministic.",
        ),
    ] = False
    timed: Annotated[bool, Key(doc="Run each cell alone on its device, because speed is what the suite measures.")] = (
        False
    )
    memory_format: Annotated[
        MemoryFormat | Literal["auto"],
        Key(doc="Memory format of batches and weights. `auto` takes whichever is measured to be faster."),
    ] = "auto"
    compile: Annotated[
        Literal["auto", "always", "never"],
        Key(doc="Whether to use `torch.compile`. `auto`: if the cell is long enough to make up for the compile time."),
    ] = "auto"


@cache
def keys_of(cls: type) -> dict[str, Key]:
    """The keys of :class:`Recipe` or :class:`Execution`, in the order of their fields."""
    hints = get_type_hints(cls, include_extras=True)
    keys: dict[str, Key] = {entry.name: hints[entry.name].__metadata__[0] for entry in fields(cls)}
    defaults = {entry.name: entry.default for entry in fields(cls) if entry.default is not MISSING}
    return {name: replace(key, default=defaults[name]) if name in defaults else key for name, key in keys.items()}


def recipe_identity(recipe: Recipe) -> dict[str, object]:
    """What a cell's id covers of its recipe: all keys, except later ones at their default, so that old ids hold."""
    content = asdict(recipe)
    for entry in fields(recipe):
        if entry.default is not MISSING and content[entry.name] == entry.default:
            del content[entry.name]
    return content


def recipe_values(recipe: Recipe) -> dict[str, object]:
    """The recipe as flat columns. Components add their options; keys without a value are left out."""
    columns: dict[str, object] = {}
    for name in keys_of(Recipe):
        value = getattr(recipe, name)
        if isinstance(value, Component):
            columns |= {name: value.name, **value.as_dict()}
        elif isinstance(value, tuple):
            columns[name] = ", ".join(component.name for component in value) or "none"
        elif value is not None:
            columns[name] = value
    return columns


def recipe_params(recipe: Recipe) -> dict[str, str]:
    """The recipe as MLflow params: the text of :func:`recipe_values`."""
    return {name: str(value) for name, value in recipe_values(recipe).items()}


def describe_recipe(recipe: Recipe) -> str:
    """The recipe as the words that stand under a table, e.g. ``8 epochs, batch 64, sgd(lr=0.05, ...), fp32``."""
    always, if_set = [], []
    for name, key in keys_of(Recipe).items():
        assert isinstance(key, RecipeKey)
        value = getattr(recipe, name)
        text = key.words(value) if key.words else f"{name.replace('_', ' ')} {value}"
        if key.shown == "always":
            always.append(text)
        elif key.shown == "if set" and value != key.default:
            if_set.append(text)
    return ", ".join(always + if_set)
