"""bench report --from, --update and --check: which tables of a markdown file are made again, and what is refused."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers.cells import suite_text
from helpers.outcomes import complete

from bench.cli.report import report
from bench.errors import BenchError, UsageError
from bench.report.model import Report
from bench.report.render import to_json
from bench.report.table import build_tables, distinct_titles
from bench.suite import load_suite

END = "<!-- end bench report -->"
A = "<!-- bench report a.yaml -->"
B = "<!-- bench report b.yaml --columns model,top1 -->"
PAGE = f"# Title\r\n{A}\r\nold\r\n{END}\r\n{B}\r\nold\r\n{END}\r\nlast line"


def bench(*arguments: str) -> str:
    return CliRunner().invoke(report, arguments, catch_exceptions=False, standalone_mode=False).stdout


def save(path: str, *names: str, top1: float = 90.0) -> None:
    """A saved report of suites, whose files are written too."""
    suites = []
    for name in names:
        Path(f"{name}.yaml").write_text(suite_text(["resnet18"], name=name))
        suites.append(load_suite(f"{name}.yaml"))
    tables = [
        table
        for suite in suites
        for table in build_tables(suite, {cell.id: complete(cell, top1) for cell in suite.cells})
    ]
    Path(path).write_text(to_json(Report(tables=distinct_titles(tables), suites=tuple(suites))))


@pytest.fixture
def page(project: Path) -> Path:
    save("r.json", "a", "b")
    path = project / "R.md"
    path.write_text(PAGE, newline="")
    return path


class TestUpdate:
    def test_every_block_is_made_again_and_all_else_stays(self, page: Path) -> None:
        page.chmod(0o640)
        assert bench("--from", "r.json", "--update", "R.md") == ""
        text = page.read_bytes().decode()
        assert text.startswith(f"# Title\r\n{A}\r\n\r\n| Model")
        assert text.endswith(f"\r\n\r\n{END}\r\nlast line")
        assert "| Model    | Top-1(%) |\r\n" in text
        assert "old" not in text
        assert "\n" not in text.replace("\r\n", "")
        assert page.stat().st_mode & 0o777 == 0o640
        assert [path.name for path in page.parent.glob(".R*")] == []

    def test_a_suite_selects_its_blocks(self, page: Path) -> None:
        bench("b.yaml", "--from", "r.json", "--update", "R.md")
        assert page.read_bytes().decode().startswith(f"# Title\r\n{A}\r\nold\r\n{END}\r\n{B}\r\n\r\n| Model")

    def test_a_saved_report_selects_the_blocks_of_its_suites(self, page: Path) -> None:
        save("only-b.json", "b")
        bench("--from", "only-b.json", "--update", "R.md")
        assert page.read_text().count("old") == 1

    def test_a_marker_without_a_suite_takes_what_the_command_names(self, page: Path) -> None:
        page.write_text(f"<!-- bench report --runs -->\n{END}\n")
        bench("a.yaml", "--from", "r.json", "--update", "R.md")
        assert "<details><summary>Recipes, and the runs behind the numbers</summary>" in page.read_text()
        assert "Suite a: " in page.read_text() or "Suite a." in page.read_text()

    def test_a_marker_may_name_a_saved_report(self, page: Path) -> None:
        page.write_text(f'<!-- bench report --from r.json a.yaml --title "A | b" -->\n{END}\n')
        bench("--update", "R.md")
        assert "**A \\| b**\n\n| Model" in page.read_text()

    def test_a_link_stays_and_what_it_leads_to_is_replaced(self, page: Path) -> None:
        page.rename("real.md")
        page.symlink_to("real.md")
        bench("--from", "r.json", "--update", "R.md")
        assert page.is_symlink()
        assert "old" not in Path("real.md").read_text()

    def test_without_a_result_a_table_is_kept(self, page: Path) -> None:
        with pytest.raises(UsageError, match=r"R\.md:2: no cell of a has a result here, so nothing is written"):
            bench("--update", "R.md")
        assert page.read_bytes().decode() == PAGE

    def test_a_block_that_cannot_be_made_leaves_all_as_they_are(self, page: Path) -> None:
        page.write_text(f"{A}\n{END}\n<!-- bench report a.yaml --columns odd -->\n{END}\n")
        before = page.read_text()
        with pytest.raises(UsageError, match=r"R\.md:3: unknown column 'odd'"):
            bench("--from", "r.json", "--update", "R.md")
        assert page.read_text() == before

    @pytest.mark.parametrize(
        ("marker", "sentence"),
        [
            ("a.yaml --output x.md", "R.md:1: --output has no place in a marker"),
            ("a.yaml --tracking-uri x", "R.md:1: --tracking-uri has no place in a marker"),
            ("a.yaml --help", "R.md:1: --help has no place in a marker"),
            ("a.yaml --odd", "R.md:1: the command in the marker: No such option"),
            ("gone.yaml", "R.md:1: gone.yaml"),
            ("--from gone.json", "R.md:1: gone.json cannot be read"),
            ("--from r.json --filter model=x", "R.md:1: --filter needs the runs"),
            ("--from r.json --best", "R.md:1: r.json has the accuracies of last epochs"),
        ],
    )
    def test_a_marker_that_asks_for_what_cannot_be_is_named(self, page: Path, marker: str, sentence: str) -> None:
        page.write_text(f"<!-- bench report {marker} -->\n{END}\n")
        with pytest.raises(UsageError) as caught:
            bench("--update", "R.md")
        assert str(caught.value).startswith(sentence)

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["--update", "gone.md"], "gone.md cannot be read: No such file"),
            (["--update", "."], ". cannot be read: Is a directory"),
            (["--update", "R.md", "--check", "R.md"], "choose one of --update and --check"),
            (["--update", "R.md", "--sort", "top1"], "--sort has no place beside --update: markers have the options"),
            (["c.yaml", "--from", "r.json", "--update", "R.md"], "R.md has no block of c; its markers:\nR.md:2: bench"),
        ],
    )
    def test_a_command_that_cannot_be_is_refused(self, page: Path, arguments: list[str], sentence: str) -> None:
        Path("c.yaml").write_text(suite_text(["resnet18"], name="c"))
        with pytest.raises(UsageError) as caught:
            bench(*arguments)
        assert str(caught.value).startswith(sentence)
        assert page.read_bytes().decode() == PAGE


class TestCheck:
    def test_prints_what_differs_and_fails_and_changes_nothing(self, page: Path) -> None:
        page.write_text(f"{A}\nold\n{END}\n")
        result = CliRunner().invoke(report, ["--from", "r.json", "--check", "R.md"])
        assert isinstance(result.exception, BenchError)
        assert (result.exception.exit_code, page.read_text()) == (1, f"{A}\nold\n{END}\n")
        assert result.stdout.startswith("--- R.md\n+++ R.md (updated)\n@@ ")
        assert "\n-old\n" in result.stdout

    def test_is_quiet_after_an_update(self, page: Path) -> None:
        bench("--from", "r.json", "--update", "R.md")
        changed = page.stat().st_mtime_ns
        assert bench("--from", "r.json", "--check", "R.md") == ""
        bench("--from", "r.json", "--update", "R.md")
        assert page.stat().st_mtime_ns == changed, "a file that is up to date is not written"


class TestFrom:
    def test_a_saved_report_is_shown_in_any_format(self, page: Path) -> None:
        assert bench("--from", "r.json", "--format", "json") == Path("r.json").read_text()
        assert "a,last epoch" in bench("--from", "r.json", "--format", "csv")
        assert "## CIFAR" not in bench("--from", "r.json", "--format", "markdown")

    def test_suites_choose_its_tables(self, page: Path) -> None:
        assert '"suites": [\n    "b"\n  ]' in bench("b.yaml", "--from", "r.json", "--format", "json")
        save("c.json", "c")
        with pytest.raises(UsageError, match=r"r\.json has no suite c; it has: a, b"):
            bench("c.yaml", "--from", "r.json")

    @pytest.mark.parametrize("option", ["--filter=model=x", "--set=recipe.epochs=1", "--tracking-uri=x"])
    def test_options_that_need_runs_are_refused(self, page: Path, option: str) -> None:
        with pytest.raises(UsageError, match="needs the runs, and --from is a report that was saved"):
            bench("--from", "r.json", option)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_may_not_be_written_is_refused(page: Path) -> None:
    page.chmod(0o444)
    with pytest.raises(UsageError, match=r"R\.md cannot be written: Permission denied"):
        bench("--from", "r.json", "--update", "R.md")
