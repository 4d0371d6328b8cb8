"""The steps of a run, without one."""

import pytest

from bench.api.options import DRAIN_S, WAIT_VARIABLE, RunOptions, make_options, store_wait_s
from bench.errors import UsageError


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
