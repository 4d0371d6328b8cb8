"""Turns the definitions of keys and options into fields of pydantic models.

Called by :mod:`bench.suite.schema` only. Names no key and no option.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from bench.catalog.options import Option
from bench.codec import JsonObject
from bench.recipe import Key

Hint: TypeAlias = Any
"""A type annotation that is made at run time, which a type checker cannot follow."""


class Strict(BaseModel):
    """A mapping without unknown keys and without conversion of types."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    def given(self) -> JsonObject:
        """The keys that the file gives, with their values."""
        return {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}


def refuse(problem: str | None) -> None:
    """Make a sentence the error of the value that is being validated."""
    if problem:
        raise PydanticCustomError("sentence", "{problem}", {"problem": problem})


def documented(key: Key, default: Any) -> FieldInfo:
    """A field with a key's documentation. ``default`` is pydantic's; the JSON schema shows the key's."""

    def show_default(schema: JsonObject) -> None:
        schema.pop("default", None)
        if key.default is not None and not key.derived:
            schema["default"] = key.default

    unit = f" Unit: {key.unit}." if key.unit else ""
    derived = f" Default: {key.derived}." if key.derived else ""
    field: FieldInfo = Field(default, description=key.doc + unit + derived, json_schema_extra=show_default)
    return field


def bounded(number: type[int] | type[float], key: Key) -> Hint:
    """A number within the bounds of a key."""
    return Annotated[number, Field(gt=key.above, ge=key.minimum, lt=key.below, le=key.maximum)]


def value_type(hint: Hint) -> Hint:
    """A field's annotation without None, and a union of literals as one literal."""
    origin: object = get_origin(hint)
    choices = [choice for choice in get_args(hint) if choice is not type(None)]
    if origin in (Literal, tuple) or not choices:
        return hint
    if all(get_origin(choice) is Literal for choice in choices):
        return Literal[tuple(word for choice in choices for word in get_args(choice))]
    return choices[0]


def _option_type(name: str, option: Option) -> Hint:
    if option.type == "bool":
        return bool
    number: Hint = bounded(float if option.type.startswith("float") else int, option)
    if option.type not in ("ints", "floats"):
        return number

    def counted(values: list[float]) -> list[float]:
        if option.count and len(values) != option.count:
            refuse(f"{name} must be {option.count} numbers, not {len(values)}")
        return values

    return Annotated[list[number], Field(min_length=1), AfterValidator(counted)]


def option_fields(options: Mapping[str, Option], *, partial: bool) -> dict[str, Hint]:
    """The fields of options; ``partial``: options without a default may be left out too."""
    return {
        name: (_option_type(name, option), documented(option, ... if option.default is None and not partial else None))
        for name, option in options.items()
    }


def component(key: str, options: Mapping[str, Mapping[str, Option]], *, partial: bool = False) -> Hint:
    """A union of one model per name of a registry, told apart by ``key``."""
    models = []
    for name, own in options.items():
        tag: dict[str, Hint] = {key: (Literal[name], ...)}
        models.append(create_model(name, __base__=Strict, **tag, **option_fields(own, partial=partial)))
    return Annotated[Union[tuple(models)], Field(discriminator=key)]  # noqa: UP007 - a union made at run time
