"""Several suites in one command, one of which cannot be used."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers.cells import suite_text

from bench.api.outcomes import load_suites
from bench.api.several import SuiteFaults
from bench.cli import cli
from bench.errors import BenchError, DataError, DiskError, SuiteError, TrackingError, UsageError


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def faults(notes: list[str]) -> SuiteFaults:
    return SuiteFaults(2, notes.append)


class TestSuiteFaults:
    def test_the_error_of_the_only_suite_is_raised_at_once(self, notes: list[str]) -> None:
        with pytest.raises(DataError), SuiteFaults(1, notes.append).of("a.yaml"):
            raise DataError("no data")
        assert notes == []

    def test_one_of_several_is_said_at_once_and_raised_at_the_end(self, faults: SuiteFaults, notes: list[str]) -> None:
        with faults.of("a.yaml"):
            raise DataError("no data")
        assert notes == ["a.yaml: no data\na.yaml is left out; the other suites are not"]
        with pytest.raises(DataError, match=r"^no data$"):
            faults.raise_all()

    def test_several_errors_end_with_the_highest_exit_code(self, faults: SuiteFaults) -> None:
        for error in (DataError("no data"), UsageError("no cell"), UsageError("no cell")):
            with faults.of("a.yaml"):
                raise error
        with pytest.raises(BenchError, match=r"^no data\nno cell$") as caught:
            faults.raise_all()
        assert caught.value.exit_code == 3

    @pytest.mark.parametrize("error", [TrackingError("no store"), DiskError("full"), TypeError("a defect")])
    def test_what_concerns_all_suites_passes(self, faults: SuiteFaults, error: Exception) -> None:
        with pytest.raises(type(error)), faults.of("a.yaml"):
            raise error

    def test_without_an_error_nothing_is_raised(self, faults: SuiteFaults) -> None:
        faults.raise_all()


class TestLoadSuites:
    @pytest.fixture(autouse=True)
    def files(self, project: Path) -> None:
        (project / "good.yaml").write_text(suite_text(["resnet18"], name="good"))
        (project / "bad.yaml").write_text(suite_text(["resnet81"], name="bad"))

    def test_a_file_that_is_wrong_keeps_no_other_from_being_read(self, faults: SuiteFaults, notes: list[str]) -> None:
        assert [suite.name for suite in load_suites(["bad.yaml", "good.yaml"], faults=faults)] == ["good"]
        assert "bad.yaml:3:" in notes[0]
        assert "bad.yaml is left out" in notes[0]
        with pytest.raises(SuiteError, match="resnet81"):
            faults.raise_all()

    def test_a_file_that_is_missing_is_like_one_that_is_wrong(self, faults: SuiteFaults) -> None:
        assert [suite.name for suite in load_suites(["none.yaml", "good.yaml"], faults=faults)] == ["good"]
        with pytest.raises(UsageError, match=r"none\.yaml"):
            faults.raise_all()

    def test_where_no_file_can_be_used_all_faults_are_raised_at_once(self, faults: SuiteFaults) -> None:
        with pytest.raises(SuiteError, match=r"(?s)bad\.yaml.*none\.yaml"):
            load_suites(["bad.yaml", "none.yaml"], faults=faults)

    @pytest.mark.parametrize("command", ["report", "status"])
    def test_commands_that_look_show_the_good_one_and_end_with_the_fault_of_the_other(self, command: str) -> None:
        shown = CliRunner().invoke(cli, [command, "bad.yaml", "good.yaml"])
        assert shown.exit_code == 2, shown.output
        assert "resnet18" in shown.stdout or "good" in shown.stdout
        assert "resnet81" in shown.stderr
        assert "bad.yaml is left out" in shown.stderr
