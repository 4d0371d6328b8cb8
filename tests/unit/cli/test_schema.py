"""``bench schema``."""

import json
from pathlib import Path

from click.testing import CliRunner, Result

from bench.cli import cli

SUITES = Path(__file__).parents[3] / "suites"


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["schema", *arguments])


def test_it_prints_the_file_that_editors_read() -> None:
    done = invoke()
    assert done.exit_code == 0
    assert json.loads(done.output) == json.loads((SUITES / "suite.schema.json").read_text())


def test_markdown_lists_the_given_suites() -> None:
    page = invoke("--markdown", str(SUITES / "digits.yaml")).output
    assert page.startswith("# Suite files\n")
    assert "| [digits.yaml](digits.yaml) | Handwritten digits at 8x8, small stems, 8 to 12 epochs | 8 |" in page


def test_a_suite_without_markdown_is_refused() -> None:
    done = invoke(str(SUITES / "digits.yaml"))
    assert done.exit_code == 2
    assert "SUITE is only listed on the page of --markdown" in done.output


def test_a_broken_suite_is_refused_with_its_faults(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("suit: s\n")
    done = invoke("--markdown", str(tmp_path / "s.yaml"))
    assert done.exit_code == 2
    assert "s.yaml:1:1: unknown key 'suit' (did you mean 'suite'?)" in done.output
