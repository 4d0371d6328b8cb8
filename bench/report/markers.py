"""The blocks of a markdown file that ``bench report --update`` rewrites, and nothing but their text.

A block is what stands between two HTML comments, each alone on its line::

    <!-- bench report suites/digits.yaml --sort top1 -->
    <!-- end bench report -->

The first one is the command that makes the table, as one would type it. Markers in fenced or indented code are
examples, and left alone. Works on bytes, so that everything outside of a block stays as it is: line endings, a byte
order mark, a last line without an end.
"""

import codecs
import difflib
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.errors import UsageError

END = "<!-- end bench report -->"
BEGIN = re.compile(r" {0,3}<!--\s*bench report(?:\s(?P<arguments>(?:(?!-->).)*?))?\s*-->\s*")
ENDS = re.compile(r" {0,3}<!--\s*end bench report\s*-->\s*")
MENTION = re.compile(r"<!--\s*(?:end )?bench report\b")
"""A marker, wherever it stands."""
FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")
INLINE_CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")
INDENTED = re.compile(r"(?: {4}| {0,3}\t)")


@dataclass(frozen=True, kw_only=True)
class Block:
    """What stands between a pair of markers."""

    line: int
    """Number of the line of its first marker, from 1."""
    last: int
    """Number of the line of its second marker."""
    arguments: tuple[str, ...]
    """Of ``bench report``."""


def find_blocks(content: bytes, path: str) -> tuple[Block, ...]:
    """The blocks of a file, in its order; ``path`` is what messages call it.

    Raises:
        UsageError: The file is no UTF-8, or its markers do not pair: every fault with its line.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UsageError(f"{path} is UTF-16; save it as UTF-8")
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}:{line}: a byte is not UTF-8; save the file as UTF-8") from error
    blocks: list[Block] = []
    faults: list[str] = []
    begun: Block | None = None
    for number, text in _markers(content):
        if begin := BEGIN.fullmatch(text):
            if begun:
                faults.append(
                    f"{path}:{number}: a block begins inside the block of line {begun.line}; end that with {END}"
                )
            try:
                arguments = tuple(shlex.split(begin["arguments"] or ""))
            except ValueError as error:
                faults.append(f"{path}:{number}: the command in the marker cannot be read: {error}")
                arguments = ()
            begun = Block(line=number, last=number, arguments=arguments)
        elif not ENDS.fullmatch(text):
            faults.append(f"{path}:{number}: a marker must stand alone on one line, from <!-- to -->")
        elif begun:
            blocks.append(Block(line=begun.line, last=number, arguments=begun.arguments))
            begun = None
        else:
            faults.append(f"{path}:{number}: {END} ends a block that does not begin")
    if begun:
        faults.append(f"{path}:{begun.line}: the block does not end; put {END} on a line of its own below it")
    first: dict[tuple[str, ...], int] = {}
    for block in blocks:
        if (line := first.setdefault(block.arguments, block.line)) != block.line:
            faults.append(f"{path}:{block.line}: the same marker stands on line {line}; remove one of the two blocks")
    if faults:
        raise UsageError("\n".join(faults))
    if not blocks:
        raise UsageError(
            f"{path}:1: the file has no marker; put these lines where the table belongs, each alone:\n"
            f"<!-- bench report suites/digits.yaml -->\n{END}"
        )
    return tuple(blocks)


def replace_blocks(content: bytes, texts: Mapping[Block, str]) -> bytes:
    """The file with other texts in some of its blocks, which :func:`find_blocks` found in the same content."""
    lines = content.splitlines(keepends=True)
    for block, text in sorted(texts.items(), key=lambda item: item[0].line, reverse=True):
        marker = lines[block.line - 1]
        end = marker[len(marker.rstrip(b"\r\n")) :]
        inner = b"".join(line.encode() + end for line in ["", *text.strip("\n").split("\n"), ""])
        lines[block.line : block.last - 1] = [inner]
    return b"".join(lines)


def unified_diff(before: bytes, after: bytes, path: str) -> str:
    """How a file would change, as ``diff -u`` writes it; empty if it would not."""
    old, new = ([line.decode() for line in content.splitlines(keepends=True)] for content in (before, after))
    lines = difflib.unified_diff(old, new, fromfile=path, tofile=f"{path} (updated)")
    return "".join(line if line[-1:] in "\r\n" else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _markers(content: bytes) -> Iterable[tuple[int, str]]:
    """Lines that are markers or have one in them, outside of code, with their numbers."""
    fence = ""
    for number, line in enumerate(content.splitlines(), 1):
        text = line.decode().removeprefix("\ufeff")
        if found := FENCE.match(text):
            if not fence:
                fence = found[1]
            elif found[1].startswith(fence) and not text[found.end() :].strip():
                fence = ""
        elif not fence and not INDENTED.match(text) and MENTION.search(INLINE_CODE.sub("", text)):
            yield number, text
