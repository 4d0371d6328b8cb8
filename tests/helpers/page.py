"""An HTML page as a browser's parser sees it, for tests that must not be fooled by text."""

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "input", "img", "br", "link", "hr"}


@dataclass
class Page(HTMLParser):
    """The elements of a page, the text of its tables and scripts, and faults of its nesting."""

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    tables: list[list[list[str]]] = field(default_factory=list)
    """For each table, for each line, the texts of its cells."""
    scripts: list[str] = field(default_factory=list)
    text: str = ""
    _open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr" and self.tables:
            self.tables[-1].append([])
        elif tag in ("td", "th") and self.tables:
            self.tables[-1][-1].append("")
        elif tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            self.scripts[-1] += data
        elif self._open and self._open[-1] == "style":
            return
        elif "table" in self._open and ("td" in self._open or "th" in self._open):
            self.tables[-1][-1][-1] += data
        self.text += data

    def close(self) -> None:
        """Report what was never closed."""
        super().close()
        self.faults += [f"<{tag}> is not closed" for tag in self._open]

    @property
    def data(self) -> dict[str, Any]:
        """The JSON of the page."""
        loaded: dict[str, Any] = json.loads(self.scripts[1])
        return loaded


def parse(text: str) -> Page:
    """A page from its source."""
    page = Page()
    page.feed(text)
    page.close()
    return page
