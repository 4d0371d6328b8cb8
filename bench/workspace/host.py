"""Process identity that survives PID reuse and reboots, so that a dead owner can be detected, even from another host.

A process is its host, the host's boot and name space, its number and its start time: numbers alone are reused, and host
names are shared by containers. The identity is kept as tags of the run, so that a later reader of the store can mark
the runs of dead processes as lost.
"""

import os
import platform
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

LEASE_S = 600.0
"""A process on another host cannot be inspected: its run counts as dead this long (seconds) after its last sign of
life. Long enough for clocks that differ by minutes and for stores that are unreachable as long."""

LEASE_TAG = "bench.lease_until"
"""Unix time in seconds after which a run on another host is dead unless renewed."""

PROCESS_TAGS = ("bench.host", "bench.boot_id", "bench.pid", "bench.pid_started", LEASE_TAG)
"""The tags that :func:`is_gone` reads."""


def cpu_name() -> str:
    """The processor's name if the system reports it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def process_tags(pid: int | None = None) -> dict[str, str]:
    """The tags that identify a process, by default this one."""
    number = os.getpid() if pid is None else pid
    return {
        "bench.host": platform.node(),
        "bench.boot_id": boot_id(),
        "bench.pid": str(number),
        "bench.pid_started": started(number),
    }


def boot_id() -> str:
    """Identity of this boot of this machine and of this container on it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return str(int(psutil.boot_time()))


def started(pid: int) -> str:
    """Start time of a process as a stable opaque string; empty if there is no such process."""
    try:
        # ticks since the boot: unlike psutil's time of day, they do not change when the clock is set
        stat = Path(f"/proc/{pid}/stat").read_text()
        state, ticks = stat.rpartition(")")[2].split()[0], stat.rpartition(")")[2].split()[19]
    except FileNotFoundError:
        return "" if Path("/proc/self/stat").exists() else _started_elsewhere(pid)
    except OSError:
        return ""
    return "" if state in ("Z", "X") else ticks


def _started_elsewhere(pid: int) -> str:
    """The start time on a system without /proc."""
    try:
        return str(psutil.Process(pid).create_time())
    except psutil.Error:
        return ""


def is_gone(tags: Mapping[str, str], *, now_s: float | None = None) -> bool:
    """Whether the process in a run's tags is dead: inspected on its own host, judged by its lease on others."""
    if (tags.get("bench.host"), tags.get("bench.boot_id")) == (platform.node(), boot_id()):
        pid = tags.get("bench.pid", "")
        return not pid.isdigit() or started(int(pid)) != tags.get("bench.pid_started")
    try:
        return float(tags.get(LEASE_TAG, "0")) < (time.time() if now_s is None else now_s)
    except ValueError:
        return True


def signs_of_life(pid: int | None) -> list[object]:
    """What changes while a process or one of its children works: CPU seconds, and bytes read and written."""
    signs: list[object] = []
    with suppress(psutil.Error):
        worker = psutil.Process(pid)
        for process in (worker, *worker.children(recursive=True)):
            with suppress(psutil.Error, AttributeError):  # macOS has no io_counters
                signs.append((process.pid, process.cpu_times()[:2]))
                signs.append(process.io_counters())
    return signs
