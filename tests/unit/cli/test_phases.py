"""What a run does before its cells start: on a terminal one line that goes again, elsewhere a line each."""

import io
import re
import sys

import pytest

from bench.cli.phases import Phases


class Terminal(io.StringIO):
    """A stream that calls itself a terminal."""

    def isatty(self) -> bool:
        return True


def test_phases_are_lines_with_their_time_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    phases = Phases()
    phases("digits: measuring 2 nets")
    phases("trial 1 of 8")
    phases.end()
    first, second = stream.getvalue().splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d digits: measuring 2 nets", first)
    assert second.endswith("trial 1 of 8")


def test_a_phase_on_a_terminal_shows_its_time_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    for name, value in {"COLUMNS": "40", "TERM": "xterm", "TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stderr", stream)
    phases = Phases()
    phases("digits: measuring 2 nets and much that has no room on a narrow terminal")
    phases.end()
    assert "0s digits: measuring 2 nets" in stream.getvalue()
    assert stream.getvalue().endswith("\x1b[2K"), "the last thing is that its line is erased"
    assert sys.stderr is stream
