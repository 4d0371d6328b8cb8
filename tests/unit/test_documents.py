"""The documents: links lead somewhere, commands exist, the README's table is that of the runs that were kept with it,
the changelog announces what decides results and caches."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from bench import __version__, load_suite
from bench.api.schedules import describe, make_lines
from bench.cli import COMMANDS, cli
from bench.cli.report import report
from bench.datasets.prepared import INDEX_FORMAT, PACK_FORMAT
from bench.report.saved import read_report
from bench.scheduler.speeds import STEP_FORMAT
from bench.values import PROTOCOL_VERSION

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "bench").rglob("*.md"), *ROOT.glob("[rst]*/*.md")])
VERSIONS = {
    "PROTOCOL_VERSION": PROTOCOL_VERSION,
    "PACK_FORMAT": PACK_FORMAT,
    "INDEX_FORMAT": INDEX_FORMAT,
    "STEP_FORMAT": STEP_FORMAT,
}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_that_documents_show_exist(document: Path) -> None:
    code = " ".join(re.findall(r"`+[^`]*`+", document.read_text()))
    assert set(re.findall(r"\bbench ([a-z]+)\b", code)) <= set(COMMANDS)


def test_the_guide_for_contributors_shows_the_layers_of_the_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if "layers" in contract)
    chain = " > ".join(f"({layer})" if "|" in layer else layer for layer in layers)
    assert chain in (ROOT / "CONTRIBUTING.md").read_text()


def test_the_table_of_the_readme_is_made_from_the_kept_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = CliRunner().invoke(report, ["--check", "README.md"], catch_exceptions=False, standalone_mode=False)
    assert result.exit_code == 0, result.output


def test_the_kept_runs_are_those_of_the_suite_as_it_is_now() -> None:
    (table,) = read_report(str(ROOT / "reports" / "digits.json")).tables
    runs = [run for row in table.rows for run in row.runs]
    assert [run.cell_id for run in runs] == [cell.id for cell in load_suite(ROOT / "suites" / "digits.yaml").cells]
    assert {(run.state, run.stale) for run in runs} == {("complete", "")}


def test_the_pictures_of_the_readme_show_the_kept_runs_and_the_schedules_of_the_catalog() -> None:
    (table,) = read_report(str(ROOT / "reports" / "digits.json")).tables
    marks = set(
        re.findall(
            r"Top-1 \(%\): ([\d.]+);[^\"]*Runs: (\w+)", (ROOT / "reports/digits-accuracy-params.svg").read_text()
        )
    )
    figures = {(f"{row.top1.mean:.10f}", row.runs[0].run_id[:8]) for row in table.rows if row.top1}
    assert {(f"{float(figure):.10f}", run) for figure, run in marks} == figures
    texts = re.findall(r">([^<>]+)</text>", (ROOT / "reports" / "schedules.svg").read_text())
    assert {*describe(make_lines({}))[0]} <= {*texts}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


@pytest.mark.parametrize(("name", "value"), VERSIONS.items())
def test_the_changelog_announces_the_version_of_each_format(name: str, value: int) -> None:
    assert f"`{name}` {value}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_citation_names_what_the_format_requires_and_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["version"] == __version__
