"""The names in a suite file as types that pydantic checks against the catalog and against the file itself.

Called by :mod:`bench.suite.schema` only.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo, WithJsonSchema

from bench.catalog.models import MODELS, model_problem
from bench.catalog.options import suggestion
from bench.catalog.training import DEFAULT_OPTIMIZER, SCHEDULES
from bench.datasets.source import dataset_problem, name_patterns, published_sources
from bench.suite.fields import refuse
from bench.suite.spelling import plain_dataset, plain_model

SUITE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class Names:
    """Names that a file defines, which validation needs to know: the ``context`` of pydantic."""

    schedules: tuple[str, ...] = ()
    optimizer: str = DEFAULT_OPTIMIZER
    """The optimizer whose options an ``optimizer`` without a name changes."""
    past: bool = False
    """Whether the suite is read for results that it has, so that nets may be missing which cannot be built now."""


def _checked(problem: Callable[[str], str | None]) -> AfterValidator:
    def check(name: str) -> str:
        refuse(problem(name))
        return name

    return AfterValidator(check)


def _check_model(name: str, info: ValidationInfo) -> str:
    may_be_missing = name.startswith("timm/") or ".py:" in name
    if not (may_be_missing and (info.context or Names()).past):
        refuse(model_problem(name))
    return plain_model(name)


def _check_dataset(name: str) -> str:
    refuse(dataset_problem(name))
    return plain_dataset(name)


def _check_schedule(name: str, info: ValidationInfo) -> str:
    bare = [kind for kind, spec in SCHEDULES.items() if all(o.default is not None for o in spec.options.values())]
    names = [*(info.context or Names()).schedules, *bare]
    if name not in names and name in SCHEDULES:
        required = ", ".join(key for key, option in SCHEDULES[name].options.items() if option.default is None)
        refuse(f"schedule {name!r} needs {required}: define it under 'schedules:' and use its name")
    if name not in names:
        refuse(f"unknown schedule {name!r} ({suggestion(name, names, 'define it under schedules:')})")
    return name


def _suite_name_problem(name: str) -> str | None:
    if SUITE_NAME.fullmatch(name):
        return None
    return (
        f"suite name {name!r} must begin with a letter or digit and hold only letters, digits, '.', '_' and '-', "
        "at most 64 of them"
    )


def _name_schema(names: Iterable[str], patterns: Mapping[str, str]) -> WithJsonSchema:
    """The JSON schema of a name: one of those known, which editors complete, or of a pattern with its meaning."""
    listed = [{"pattern": pattern, "description": meaning} for pattern, meaning in patterns.items()]
    return WithJsonSchema({"type": "string", "anyOf": [{"enum": list(names)}, *listed]})


SuiteName = Annotated[
    str,
    _checked(_suite_name_problem),
    WithJsonSchema({"type": "string", "pattern": f"^{SUITE_NAME.pattern}$"}),
]
ModelName = Annotated[
    str,
    AfterValidator(_check_model),
    _name_schema(
        MODELS,
        {"^timm/.": "a model of timm", r"\.py:\w+(\(.*\))?$": "FILE.py:FUNCTION, a function that returns a net"},
    ),
]
DatasetName = Annotated[
    str,
    AfterValidator(_check_dataset),
    _name_schema([source.name for source in published_sources()], name_patterns()),
]
ScheduleName = Annotated[str, AfterValidator(_check_schedule)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
