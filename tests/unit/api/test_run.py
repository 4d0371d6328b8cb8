"""The steps of a run, without one."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from bench.api.job import Job, Needs
from bench.api.options import DRAIN_S, WAIT_VARIABLE, Caller, RunOptions, make_options, store_wait_s
from bench.api.outcomes import Known
from bench.api.run import lay_out
from bench.datasets.prepared import Prepared, data_key
from bench.errors import UsageError
from bench.scheduler.attempts import SilentObserver
from bench.scheduler.devices import Machine
from bench.scheduler.plan import make_plan
from bench.values import Cell, Execution, Suite


def test_lay_out_gives_a_cell_the_whole_device_where_speed_is_measured(
    project: Path, make_cell: Callable[..., Cell], make_suite: Callable[..., Suite]
) -> None:
    suite = make_suite(*(make_cell(seed=seed) for seed in range(4)))
    data = {data_key(suite.cells[0]): Prepared(project, "", 1437, 10)}
    for timed, slots in ((False, 4), (True, 1)):
        asked = replace(suite, execution=Execution(timed=timed))
        job = Job(
            whole=asked,
            suite=asked,
            machine=Machine(gpus=(), cores=4),
            store=None,
            known=Known({}, {}),
            options=RunOptions(),
            caller=Caller(display=lambda _: nullcontext(SilentObserver())),
        )
        layout = lay_out(job, make_plan(asked, {}, {}), Needs(data, {}))
        assert len(layout.slots) == slots


def test_make_options_names_the_valid_ones() -> None:
    with pytest.raises(UsageError, match="unknown option slots; valid: filters, select, max_cells, device"):
        make_options({"slots": 2})


def test_run_options_refuse_a_store_while_offline() -> None:
    with pytest.raises(UsageError, match="--offline"):
        RunOptions(offline=True, tracking_uri="sqlite:///mlflow.db")


class TestStoreWait:
    def test_a_minute_unless_the_variable_says_another_number(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(WAIT_VARIABLE, raising=False)
        assert store_wait_s() == DRAIN_S
        monkeypatch.setenv(WAIT_VARIABLE, "2.5")
        assert store_wait_s() == 2.5

    @pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf"])
    def test_what_is_no_number_of_seconds_is_refused(self, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(WAIT_VARIABLE, text)
        with pytest.raises(UsageError, match=f"{WAIT_VARIABLE} must be a number of seconds, not '{text}'"):
            store_wait_s()
