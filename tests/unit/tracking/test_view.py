"""What the MLflow UI shows first, with a client that answers as MLflow's does."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

import pytest

from bench.errors import TrackingError, UsageError
from bench.tracking.runs import Store
from bench.tracking.view import VIEW_TAG, address_of, experiment_to_show, report_address, view_state


@dataclass
class FakeExperiment:
    experiment_id: str
    tags: dict[str, str]


@dataclass
class FakeStore:
    """A store whose client it is itself."""

    experiments: list[FakeExperiment]
    read_only: bool = False
    written: list[tuple[str, str, str]] = field(default_factory=list)
    runs: list[SimpleNamespace] = field(default_factory=list)

    @property
    def client(self) -> "FakeStore":
        return self

    @contextmanager
    def translated(self, what: str) -> Iterator[None]:
        yield

    def search(self, experiments: list[str], filter_string: str) -> Iterator[SimpleNamespace]:
        assert (experiments, filter_string) == (["1"], "tags.`bench.suite_run` = 'true'")
        return iter(self.runs)

    def search_experiments(self, **_: object) -> list[FakeExperiment]:
        return self.experiments

    def set_experiment_tag(self, experiment_id: str, key: str, value: str) -> None:
        if self.read_only:
            raise TrackingError("read-only")
        self.written.append((experiment_id, key, value))


def store_of(names: Mapping[str, str], *, read_only: bool = False) -> FakeStore:
    return FakeStore([FakeExperiment(key, {"bench.suite": name}) for key, name in names.items()], read_only)


def shown(store: FakeStore, suite: str | None = None) -> str | None:
    return experiment_to_show(cast("Store", store), suite)


def test_experiment_to_show_is_that_of_the_suite_or_the_one_written_last() -> None:
    store = store_of({"2": "new", "1": "old"})
    assert shown(store) == "2"
    assert shown(store, "old") == "1"
    assert store.written == [("2", VIEW_TAG, view_state()), ("1", VIEW_TAG, view_state())]
    assert shown(store_of({})) is None
    with pytest.raises(UsageError, match="'other' has no runs in the store; there are: new, old"):
        shown(store, "other")


def test_a_read_only_store_is_shown_without_a_view() -> None:
    assert shown(store_of({"1": "suite"}, read_only=True)) == "1"


def test_a_view_that_is_there_is_not_written_again() -> None:
    store = store_of({"1": "suite"})
    store.experiments[0].tags[VIEW_TAG] = view_state()
    assert shown(store) == "1"
    assert not store.written


def test_the_report_is_among_the_files_of_the_suite_s_own_run() -> None:
    store = store_of({"1": "suite"})
    assert report_address("http://x/", cast("Store", store), "1") is None
    store.runs = [SimpleNamespace(info=SimpleNamespace(run_id="abc"))]
    assert report_address("http://x/", cast("Store", store), "1") == "http://x/#/experiments/1/runs/abc/artifacts"


def test_the_address_leads_to_the_training_runs() -> None:
    address = address_of("http://127.0.0.1:5000/", "7")
    assert address.startswith("http://127.0.0.1:5000/#/experiments/7/runs?workflowType=machine_learning&")
    assert json.loads(view_state())["selectedColumns"][:2] == ["metrics.`test/top1`", "metrics.`test/top5`"]


def test_charts_of_accuracy_come_first_and_the_view_fits_into_a_tag() -> None:
    state = json.loads(view_state())
    assert [section["name"] for section in state["compareRunSections"]] == ["test", "train"]
    assert state["compareRunCharts"][0]["metricKey"] == "test/top1"
    assert state["isAccordionReordered"], "or MLflow sorts them by name"
    assert len(view_state()) < 5_000, "what MLflow takes as the tag of an experiment"
