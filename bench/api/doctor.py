"""What a run needs of a machine: libraries, devices, disk, data and store, each checked without importing torch.

Called by ``bench doctor``. It changes nothing, and creates no store.
"""

import importlib.util
import runpy
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.errors import BenchError

LOW_DISK_GB = 5


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    topic: str
    state: Literal["ok", "warning", "problem"]
    """``problem``: a run would stop."""
    text: str
    """What was found and, where it is not well, what to do."""


def examine(tracking_uri: str | None = None) -> list[Finding]:
    """The findings of all checks."""
    return [*versions(), *devices(), *disk(), *data(), store(tracking_uri)]


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

    statuses = [source.status(data_home()) for source in published_sources()]
    ready = [status.name for status in statuses if status.state == "ready"]
    findings = [Finding("data sets", "ok", f"here: {', '.join(ready)}; bench data get NAME downloads others")]
    damaged = [status for status in statuses if status.state in ("incomplete", "corrupt")]
    return findings + [Finding(status.name, "warning", status.sentence) for status in damaged]


def store(tracking_uri: str | None) -> Finding:
    """The tracking store."""
    from bench.tracking import Store, redact, resolve_uri, store_exists

    try:
        uri = resolve_uri(tracking_uri, Path.cwd())
        if not store_exists(uri):
            return Finding("store", "ok", f"{redact(uri)}, created by the first bench run")
        _ = Store(uri).client
    except BenchError as error:
        return Finding("store", "problem", str(error))
    return Finding("store", "ok", redact(uri))
