"""What a process imports when it runs, and what the source may never call.

Modules are found on disk, so a new one is tested from its first day.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "bench").rglob("*.py"))
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in SOURCES
    if path.name != "__main__.py"  # runs when it is imported
]
WORKER_MODULES = [name for name in MODULES if name.startswith("bench.worker")]
# bench.api.nets loads nets into the process of a caller who asks for one, so it needs torch
CONTROL_MODULES = [name for name in MODULES if not name.startswith(("bench.worker", "bench.api.nets"))]
HEAVY = {"torch", "torchvision", "timm", "fvcore", "mlflow", "pandas", "jinja2", "altair", "vl_convert", "pydantic"}
HEAVY |= {"yaml", "rich", "numpy"}
CONTROL_ROOMS = {f"bench.{room}" for room in ("cli", "api", "scheduler", "tracking", "report", "suite")}


def imported_by(code: str) -> set[str]:
    """The names in sys.modules after running some code in a fresh interpreter, bench's own modules by room."""
    # a copy of standard output, because bench.worker.preload closes the original
    report = "os.write(out, ('\\n' + json.dumps(sorted(sys.modules))).encode())"
    script = f"import json, os, sys\nout = os.dup(1)\n{code}\n{report}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    names = json.loads(done.stdout.splitlines()[-1])
    return {".".join(name.split(".")[: 2 if name.startswith("bench.") else 1]) for name in names}


def import_all(modules: list[str]) -> str:
    return "\n".join(f"import {name}" for name in modules)


def test_importing_bench_imports_nothing_heavy() -> None:
    assert imported_by("import bench").isdisjoint(HEAVY | CONTROL_ROOMS)


def test_help_imports_nothing_heavy() -> None:
    code = "from bench.cli import cli\ntry: cli(['--help'])\nexcept SystemExit: pass"
    assert imported_by(code).isdisjoint(HEAVY)


def test_the_registry_of_formats_imports_nothing_heavy() -> None:
    assert imported_by("from bench.report.render import FORMATS").isdisjoint(HEAVY)


def test_reading_a_suite_imports_neither_torch_nor_mlflow() -> None:
    code = f"from bench.suite import load_suite\nload_suite({str(ROOT / 'suites' / 'digits.yaml')!r})"
    assert imported_by(code).isdisjoint({"torch", "torchvision", "timm", "mlflow", "pandas"})


def test_the_control_side_never_imports_torch() -> None:
    libraries = {"torch", "torchvision", "timm", "fvcore", "mlflow", "pandas", "jinja2", "altair", "vl_convert"}
    assert imported_by(import_all(CONTROL_MODULES)).isdisjoint(libraries | {"bench.worker"})


def test_the_worker_side_never_imports_the_control_side() -> None:
    libraries = {"mlflow", "pydantic", "pandas", "click", "jinja2", "rich"}
    assert imported_by(import_all(WORKER_MODULES)).isdisjoint(libraries | CONTROL_ROOMS)


def test_torch_load_reads_weights_only() -> None:
    calls = [line for path in SOURCES for line in re.findall(r"torch\.load\(.*", path.read_text())]
    assert calls
    assert all("weights_only=True" in call for call in calls)


def test_only_the_safe_reader_of_pickles_unpickles() -> None:
    # its reader may name four things, each replaced by one of its own
    assert [path.name for path in SOURCES if "Unpickler" in path.read_text()] == ["pickles.py"]


@pytest.mark.parametrize("call", ["pickle.load", "extractall(", "extract(", "allow_pickle=True", "yaml.load("])
def test_files_written_by_others_are_never_unpickled_or_unpacked(call: str) -> None:
    assert not [path.name for path in SOURCES if call in path.read_text()]
