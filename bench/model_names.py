"""Names of nets: how a net's own arguments are part of its name, and which names are functions in files.

``nets.py:net(width=2)`` is the net that ``net(num_classes=..., width=2)`` of ``nets.py`` returns. As arguments are part
of the name they are part of a cell's id, of labels, filters and tables; names without arguments are as they always
were. Imported on both sides of the wall.
"""

import ast
import re
from collections.abc import Mapping

Arguments = Mapping[str, object]
"""Numbers, strings, booleans, None, and lists of them, by name."""

_WITH_ARGUMENTS = re.compile(r"((?:.*\.py:|timm/)[\w.]+)\((.*)\)", re.DOTALL)
RESERVED = frozenset({"num_classes", "pretrained", "checkpoint_path"})
"""What bench decides itself: the head, and that no net starts with trained weights."""


def split_model(model: str) -> tuple[str, dict[str, object]]:
    """The name without its arguments, and the arguments.

    Raises:
        ValueError: What stands in the parentheses are not arguments by name with plain values; the text says so.
    """
    match = _WITH_ARGUMENTS.fullmatch(model)
    if match is None:
        return model, {}
    name, text = match.groups()
    try:
        call = ast.parse(f"f({text})", mode="eval").body
        assert isinstance(call, ast.Call)
        assert isinstance(call.func, ast.Name)  # one pair of parentheses
        assert not call.args
        assert all(each.arg for each in call.keywords)  # no **
        arguments = {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
    except (SyntaxError, ValueError, AssertionError, MemoryError, RecursionError):
        raise ValueError(f"the arguments of {model!r} must be plain values by name, as in (width=2)") from None
    if reserved := [key for key in arguments if key in RESERVED]:
        raise ValueError(f"{reserved[0]} is decided by bench, not an argument of {name}")
    return name, arguments


def join_model(name: str, arguments: Arguments) -> str:
    """The name with its arguments, sorted: ``nets.py:net(depth=3, width=2)``; without any, the name itself."""
    if not arguments:
        return name
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in sorted(arguments.items()))})"


def base_name(model: str) -> str:
    """The name without its arguments."""
    match = _WITH_ARGUMENTS.fullmatch(model)
    return match[1] if match else model


def file_of(model: str) -> str:
    """The file of a ``path/to/file.py:function`` model, as it is named; empty for other nets."""
    file, colon, _ = base_name(model).rpartition(":")
    return file if colon and file.endswith(".py") else ""
