"""Which suites are asked for, and which of them can be read."""

from pathlib import Path
from typing import cast

import pytest
from helpers.cells import suite_text

from bench.api.outcomes import load_suites, stored_suites
from bench.errors import SuiteError
from bench.tracking import Store


class FakeStore:
    """A store that has the files of suites."""

    def __init__(self, **sources: str) -> None:
        self._sources = sources

    def suites(self) -> list[tuple[str, str, str]]:
        return [(name, source, f"{name}.yaml") for name, source in self._sources.items()]


def test_stored_suites_are_read_without_their_nets_and_a_bad_one_stops_no_other(project: Path) -> None:
    store = FakeStore(
        good=suite_text(["resnet18"], name="good"),
        gone=suite_text(["gone/nets.py:net", "timm/of_another_version"], name="gone"),
        newer="suite: newer\ngrid: {model: resnet18, dataset: digits, schedule: cosine, mood: good}\n",
    )
    notes: list[str] = []
    suites = stored_suites(cast(Store, store), notes.append)
    assert [(suite.name, len(suite.cells)) for suite in suites] == [("good", 1), ("gone", 2)]
    (note,) = notes
    assert note.startswith("the suite newer in the store cannot be read and is left out: newer.yaml:2:")


def test_load_suites_reads_a_suite_of_missing_nets_only_for_its_past(project: Path) -> None:
    Path("s.yaml").write_text(suite_text(["nets.py:net"]))
    with pytest.raises(SuiteError, match=r"nets.py cannot be read"):
        load_suites(["s.yaml"])
    assert [cell.model for suite in load_suites(["s.yaml"], past=True) for cell in suite.cells] == ["nets.py:net"]
