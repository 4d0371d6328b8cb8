"""YAML text -> plain values with the position of every key and value; every fault of the text at once.

Stricter than YAML: no aliases, no tags, no duplicate keys, one document, bounded size and depth. Scalars follow YAML
1.2, so ``1e-3`` is a number and ``no`` a word. Nothing here knows what a suite is.
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
Position = tuple[int, int]
"""Line and column, counted from 1."""

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
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
        """Position of a value, or of the nearest thing around it that is in the text."""
        while path not in self.values and path:
            path = path[:-1]
        return self.values.get(path, (1, 1))

    def key_at(self, path: Path) -> Position:
        """Position of a key, or of its value."""
        return self.keys.get(path) or self.at(path)

    def fault(self, position: Position, sentence: str) -> None:
        """Note a fault."""
        self.faults.append((position, sentence))


def read(text: str) -> Document:
    """Read a YAML text. What is wrong with it is in ``faults``; ``content`` is what could be read."""
    document = Document()
    if len(text.encode(errors="replace")) > MAX_BYTES:
        document.fault((1, 1), f"the file is larger than {MAX_BYTES // 1000} kB, which no suite needs")
        return document
    try:
        _Builder(document).build(_events(text.removeprefix("\ufeff"), document))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = str(error.problem or error.context)
        # libyaml has a limit of its own, and reads ahead so far that it may come before the one here
        document.fault(position, TOO_DEEP if "nesting depth" in problem else f"not valid YAML: {problem}")
    except yaml.YAMLError as error:
        document.fault((1, 1), f"not valid YAML: {' '.join(str(error).split())}")
    return document


class _DepthError(Exception):
    """Too deep to go on."""


def _events(text: str, document: Document) -> Iterator[Any]:
    depth = documents = 0
    event: Any
    for event in yaml.parse(text, Loader=Loader):
        position = (event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                document.fault(position, "a second document begins here; a suite file holds one")
                return
        if isinstance(event, yaml.AliasEvent):
            document.fault(position, f"alias *{event.anchor} is not allowed; write the value out")
        elif getattr(event, "anchor", None):
            document.fault(position, f"anchor &{event.anchor} is not allowed; write values out where they are used")
        if getattr(event, "tag", None) and not isinstance(event, yaml.DocumentStartEvent):
            document.fault(position, f"tag {event.tag} is not allowed; a suite file is plain data")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                document.fault(position, TOO_DEEP)
                return
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        yield event


class _Builder:
    """Turns events into values, without recursion."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.stack: list[tuple[Path, Any]] = []
        self.key: list[str | None] = []

    def build(self, events: Iterator[Any]) -> None:
        for event in events:
            position = (event.start_mark.line + 1, event.start_mark.column + 1)
            if isinstance(event, yaml.CollectionEndEvent):
                self.stack.pop()
                self.key.pop()
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
                path = self._put(value, position)
                self.stack.append((path, value))
                self.key.append(None)
            elif isinstance(event, yaml.ScalarEvent):
                self._scalar(event, position)
            elif isinstance(event, yaml.AliasEvent):
                self._put(None, position)

    def _scalar(self, event: Any, position: Position) -> None:
        parent = self.stack[-1][1] if self.stack else None
        if isinstance(parent, dict) and self.key[-1] is None:
            path = (*self.stack[-1][0], event.value)
            if event.value in parent:
                line = self.document.keys[path][0]
                self.document.fault(position, f"key {event.value!r} stands here a second time (first in line {line})")
            self.document.keys[path] = position
            self.key[-1] = event.value
            return
        self._put(event.value if event.style else scalar(event.value), position)

    def _put(self, value: Any, position: Position) -> Path:
        if not self.stack:
            path: Path = ()
            self.document.content = value
        else:
            above, parent = self.stack[-1]
            if isinstance(parent, list):
                path = (*above, len(parent))
                parent.append(value)
            elif self.key[-1] is None:
                path = (*above, "?")
                self.document.fault(position, "a key must be a word, not a list or mapping")
                self.key[-1] = "?"
            else:
                path = (*above, self.key[-1])
                parent[self.key[-1]] = value
                self.key[-1] = None
        self.document.values[path] = position
        return path


def scalar(text: str) -> Any:
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
