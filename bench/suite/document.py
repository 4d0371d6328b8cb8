"""Read YAML text into plain values with the position of every key and value, and report every fault at once.

Called by :mod:`bench.suite` for suite files and by :mod:`bench.suite.filters` for values of ``--set``. Stricter than
YAML: no aliases, anchors, tags or duplicate keys, one document, bounded size and depth. Scalars follow YAML 1.2, so
``1e-3`` is a number and ``no`` a word. Knows nothing of suites.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels, which no suite needs"

Path = tuple[str | int, ...]
"""Keys and list indices that lead to a value."""
Position = tuple[int, int]
"""Line and column, counted from 1."""

Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
INTEGER = re.compile(r"[-+]?[0-9]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
SPECIAL = {".inf": float("inf"), "+.inf": float("inf"), "-.inf": float("-inf"), ".nan": float("nan")}
WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass
class Document:
    """A YAML text as plain values."""

    content: Any = None
    values: dict[Path, Position] = field(default_factory=dict)
    """Where each value begins."""
    keys: dict[Path, Position] = field(default_factory=dict)
    """Where each key begins."""
    faults: list[tuple[Position, str]] = field(default_factory=list)

    def at(self, path: Path) -> Position:
        """Position of a value, or of the nearest value around it that is in the text."""
        while path not in self.values and path:
            path = path[:-1]
        return self.values.get(path, (1, 1))

    def key_at(self, path: Path) -> Position:
        """Position of a key, or of its value."""
        return self.keys.get(path) or self.at(path)

    def fault(self, position: Position, sentence: str) -> None:
        """Add a fault."""
        self.faults.append((position, sentence))


class _TooDeepError(Exception):
    """The text is nested too deep; the fault is already in the document."""


def read(text: str) -> Document:
    """Read a YAML text. What is wrong with it is in ``faults``; ``content`` is complete only without faults."""
    document = Document()
    if len(text.encode(errors="replace")) > MAX_BYTES:
        document.fault((1, 1), f"the file is larger than {MAX_BYTES // 1000} kB, which no suite needs")
        return document
    try:
        events = _events(text.removeprefix("\ufeff"), document)
        for event in events:
            if isinstance(event, yaml.NodeEvent):
                document.content = _value(event, (), events, document)
    except _TooDeepError:
        pass
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        document.fault(position, _syntax_error(str(error.problem or error.context), text, position))
    except yaml.YAMLError as error:
        document.fault((1, 1), f"not valid YAML: {' '.join(str(error).split())}")
    return document


def _syntax_error(problem: str, text: str, position: Position) -> str:
    # libyaml has a limit of its own, and reads ahead so far that it may be reached before the one here
    if "nesting depth" in problem:
        return TOO_DEEP
    lines = text.splitlines()
    line = lines[position[0] - 1] if position[0] <= len(lines) else ""
    if line[position[1] - 1 : position[1]] == "\t":
        return "not valid YAML: tab character; indent with spaces"
    return f"not valid YAML: {problem}"


def _position(event: yaml.Event) -> Position:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _events(text: str, document: Document) -> Iterator[yaml.Event]:
    """The parser's events. Reports what a suite file may not hold; ends before a second document."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=Loader):
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                document.fault(_position(event), "a second document begins here; a suite file holds one")
                return
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if isinstance(event, yaml.AliasEvent):
            document.fault(_position(event), f"alias *{anchor} is not allowed; write the value out")
        elif anchor:
            document.fault(_position(event), f"anchor &{anchor} is not allowed; write values where they are used")
        if tag:
            document.fault(_position(event), f"tag {tag} is not allowed; a suite file is plain data")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                document.fault(_position(event), TOO_DEEP)
                raise _TooDeepError
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        yield event


def _value(event: yaml.Event, path: Path, events: Iterator[yaml.Event], document: Document) -> object:
    """The value that begins with an event. Recursion is bounded by :data:`MAX_DEPTH`."""
    document.values[path] = _position(event)
    if isinstance(event, yaml.MappingStartEvent):
        return _mapping(path, events, document)
    if isinstance(event, yaml.SequenceStartEvent):
        items: list[object] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(_value(event, (*path, len(items)), events, document))
        return items
    if isinstance(event, yaml.ScalarEvent):
        return event.value if event.style else scalar(event.value)
    return None  # an alias, reported by _events


def _mapping(path: Path, events: Iterator[yaml.Event], document: Document) -> dict[str, object]:
    content: dict[str, object] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        key = event.value if isinstance(event, yaml.ScalarEvent) else "?"
        place = (*path, key)
        if not isinstance(event, yaml.ScalarEvent):
            document.fault(_position(event), "a key must be a word, not a list or mapping")
            _value(event, place, events, document)
        elif key in content:
            line = document.keys[place][0]
            document.fault(_position(event), f"duplicate key {key!r} (first defined on line {line})")
        document.keys[place] = _position(event)
        content[key] = _value(next(events), place, events, document)
    return content


def empty_values(content: object, path: Path = ()) -> Iterator[Path]:
    """Where a key or an item has no value (``epochs:``): whether it asks for the default nobody can tell."""
    if isinstance(content, dict | list):
        items = content.items() if isinstance(content, dict) else enumerate(content)
        for key, value in items:
            if value is None:
                yield (*path, key)
            yield from empty_values(value, (*path, key))


def emptiness(path: Path) -> str:
    """What is wrong with an empty value, in words."""
    key = next((part for part in reversed(path) if isinstance(part, str)), "the list")
    return f"{key} is empty; give it a value, or remove the key"


def scalar(text: str) -> int | float | bool | str | None:
    """A plain scalar as YAML 1.2's core schema reads it."""
    lowered = text.lower()
    if lowered in WORDS:
        return WORDS[lowered]
    if lowered in SPECIAL:
        return SPECIAL[lowered]
    if INTEGER.fullmatch(text) and len(text) < 20:
        return int(text)
    if FLOAT.fullmatch(text):
        return float(text)
    return text
