"""``bench doctor``: one line on each thing that a run needs, with what to do where it is not well."""

import importlib.util
import runpy
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import click

from bench.cli.options import json_option, tracking_option
from bench.cli.output import print_json
from bench.errors import BenchError

LOW_DISK_GB = 5


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's."""

    topic: str
    state: Literal["ok", "warning", "problem"]
    text: str


@click.command()
@tracking_option
@json_option
def doctor(tracking_uri: str | None, as_json: bool) -> None:
    """Check devices, libraries, data, disk and store. Exit code 1 if something would stop a run."""
    checks: list[Callable[[], list[Finding]]] = [versions, devices, disk, data, lambda: store(tracking_uri)]
    findings = [finding for check in checks for finding in check()]
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        colours = {"ok": "green", "warning": "yellow", "problem": "red"}
        for each in findings:
            click.echo(f"{click.style(each.state.ljust(7), colours[each.state])} {each.topic}: {each.text}")
    raise SystemExit(any(each.state == "problem" for each in findings))


def versions() -> list[Finding]:
    """Libraries, without importing them."""
    import platform
    from importlib import metadata

    from bench import __version__

    found, missing = [], []
    for name in ("torch", "torchvision", "timm", "fvcore", "mlflow"):
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    text = f"bench {__version__}, Python {platform.python_version()}, {', '.join(found)}"
    findings = [Finding("versions", "ok", text)]
    if missing:
        findings.append(Finding("versions", "problem", f"not installed: {', '.join(missing)}; pip install bench"))
    return findings


def cuda_of_torch() -> str | None:
    """The CUDA version that torch was built for; read from its version file, as importing it takes seconds."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    version: str | None = runpy.run_path(str(Path(spec.origin).parent / "version.py")).get("cuda")
    return version


def devices() -> list[Finding]:
    """GPUs, cores and memory."""
    import psutil

    from bench.scheduler.devices import cpu_cores, gpus

    memory_gb = psutil.virtual_memory().available / 1e9
    cpu = Finding("CPU", "ok", f"{cpu_cores()} cores, {memory_gb:.1f} GB of memory free")
    visible, cuda = gpus(), cuda_of_torch()
    if not visible:
        return [cpu, Finding("GPU", "ok", "none visible; cells run on the CPU")]
    if cuda is None:
        text = f"{len(visible)} visible, but this torch is a CPU build: install a CUDA build from pytorch.org"
        return [cpu, Finding("GPU", "problem", text)]
    return [cpu, Finding("GPU", "ok", f"{', '.join(visible)}; torch built for CUDA {cuda}")]


def disk() -> list[Finding]:
    """Free space where cells and data are kept."""
    from bench.workspace.paths import bench_home, data_home

    findings = []
    for topic, folder in (("cells", bench_home()), ("data", data_home())):
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        free_gb = shutil.disk_usage(existing).free / 1e9
        low = free_gb < LOW_DISK_GB
        advice = f"; free some, or set {'BENCH_HOME' if topic == 'cells' else 'BENCH_DATA'}" if low else ""
        findings.append(Finding(topic, "warning" if low else "ok", f"{folder}, {free_gb:.0f} GB free{advice}"))
    return findings


def data() -> list[Finding]:
    """Data sets that can be used now."""
    from bench.datasets.source import published_sources
    from bench.workspace.paths import data_home

    found = [source.status(data_home()) for source in published_sources()]
    ready = [each.name for each in found if each.state == "ready"]
    findings = [Finding("data sets", "ok", f"here: {', '.join(ready)}; bench data get NAME fetches others")]
    damaged = [each for each in found if each.state in ("incomplete", "corrupt")]
    return findings + [Finding(each.name, "warning", each.sentence) for each in damaged]


def store(tracking_uri: str | None) -> list[Finding]:
    """The tracking store."""
    from bench.tracking import Store, redact, resolve_uri, store_exists

    try:
        uri = resolve_uri(tracking_uri, Path.cwd())
        if not store_exists(uri):
            return [Finding("store", "ok", f"{redact(uri)}, made by the first bench run")]
        _ = Store(uri).client
    except BenchError as error:
        return [Finding("store", "problem", str(error))]
    return [Finding("store", "ok", redact(uri))]
