"""The rules of the house: what may be imported where, and how fast the command line answers."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.cli import COMMANDS, SUMMARIES, cli

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "torchvision", "timm", "fvcore", "mlflow", "pandas", "jinja2", "pydantic", "yaml", "rich", "numpy")


def imported_by(code: str) -> set[str]:
    """Top-level packages in sys.modules after running some code in a fresh interpreter."""
    script = f"import sys, json\n{code}\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_help_imports_nothing_that_takes_time() -> None:
    code = "from bench.cli import cli\ntry: cli(['--help'])\nexcept SystemExit: pass"
    assert imported_by(code).isdisjoint(HEAVY)


def test_reading_a_suite_does_not_import_torch_or_mlflow() -> None:
    code = f"from bench.suite import load_suite\nload_suite({str(ROOT / 'suites' / 'digits.yaml')!r})"
    assert imported_by(code).isdisjoint({"torch", "torchvision", "timm", "mlflow", "pandas"})


def test_the_control_side_never_imports_torch() -> None:
    paths = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / "bench").rglob("*.py")]
    names = [".".join(path.parts).removesuffix(".__init__") for path in paths if "worker" not in path.parts]
    code = f"import {', '.join(names)}"
    assert imported_by(code).isdisjoint({"torch", "torchvision", "timm", "fvcore", "mlflow"})


def test_a_worker_imports_neither_mlflow_nor_pydantic() -> None:
    code = "import bench.worker.main, bench.worker.train, bench.worker.measure"
    assert imported_by(code).isdisjoint({"mlflow", "pydantic", "pandas", "click", "jinja2"})


def test_the_layers_of_the_house_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_command_is_summarised_and_has_help() -> None:
    assert list(COMMANDS) == list(SUMMARIES)
    for name in COMMANDS:
        result = CliRunner().invoke(cli, [name, "--help"])
        assert result.exit_code == 0, name
        assert "Usage:" in result.output


@pytest.mark.parametrize("document", sorted(path.relative_to(ROOT) for path in ROOT.glob("*.md")), ids=str)
def test_links_and_commands_in_documents_lead_somewhere(document: Path) -> None:
    text = (ROOT / document).read_text()
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (ROOT / target).exists(), target
    for command in re.findall(r"\bbench ([a-z]+)\b", " ".join(re.findall(r"`+[^`]*`+", text))):
        assert command in COMMANDS, command


def test_nothing_that_was_written_by_others_is_unpickled_or_unpacked() -> None:
    source = {path: path.read_text() for path in (ROOT / "bench").rglob("*.py")}
    loads = [line for text in source.values() for line in re.findall(r"torch\.load\(.*", text)]
    assert loads
    assert all("weights_only=True" in line for line in loads)
    own = {path.name for path, text in source.items() if "Unpickler" in text}
    assert own == {"pickles.py"}  # whose reader may name four things, each replaced by one of its own
    for forbidden in ("pickle.load", "extractall(", "extract(", "allow_pickle=True", "yaml.load("):
        assert not [path.name for path, text in source.items() if forbidden in text], forbidden
