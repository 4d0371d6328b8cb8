"""Slots: the places where one cell can run at a time. Found without torch, through NVML and the number of cores.

``CUDA_VISIBLE_DEVICES`` is honoured as the opaque strings it is made of: indices, UUIDs and MIG instances alike.
"""

import os
from dataclasses import dataclass
from typing import Literal

import psutil

from bench.errors import UsageError

CPU_SLOT_MB = 2_000
"""Memory that a cell on the CPU is taken to need when slots are counted."""


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A GPU, a share of one, or a share of the CPU cores."""

    name: str
    device: Literal["cpu", "cuda"]
    visible: str
    """What the worker's CUDA_VISIBLE_DEVICES is set to; empty on the CPU."""
    threads: int


def cpu_cores() -> int:
    """Cores that this process may use (affinity counts, hyper-threads too)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> list[str]:
    """The GPUs that this process may use, as strings for CUDA_VISIBLE_DEVICES; empty without a driver."""
    mask = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = _gpu_count()
    if mask is not None:
        entries = [entry.strip() for entry in mask.split(",") if entry.strip()]
        # CUDA itself stops reading the mask at the first -1
        return entries[: entries.index("-1")] if "-1" in entries else entries if count else []
    return [str(index) for index in range(count)]


def _gpu_count() -> int:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return 0
    try:
        return int(pynvml.nvmlDeviceGetCount())
    finally:
        pynvml.nvmlShutdown()


def find_slots(device: str, *, per_device: int | None, cells: int) -> list[Slot]:
    """Divide the machine into slots for a number of cells.

    Args:
        device: ``auto`` (GPUs, else CPU), ``cpu``, ``cuda`` or ``cuda:0,1`` (positions among the visible GPUs).
        per_device: Cells at a time on each GPU, or on the CPU. None: one a GPU; on the CPU as many as there are
            cells, cores and memory for, because one thread a cell wastes no core on synchronisation.
        cells: How many cells there are to run; no more slots than that are made on the CPU.

    Raises:
        UsageError: The device is not of that form or not there.
    """
    kind, _, chosen = device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (chosen and kind != "cuda"):
        raise UsageError(f"--device {device!r}: use auto, cpu, cuda or cuda:0,1")
    visible = [] if kind == "cpu" else gpus()
    if kind == "cuda" and not visible:
        raise UsageError(
            f"--device {device}: no GPU is visible (CUDA_VISIBLE_DEVICES="
            f"{os.environ.get('CUDA_VISIBLE_DEVICES', 'unset')}); bench doctor says what was found"
        )
    if chosen:
        visible = [_pick(visible, entry, device) for entry in chosen.split(",")]
    if not visible:
        return _cpu_slots(per_device, cells)
    share = max(1, cpu_cores() // (len(visible) * (per_device or 1)))
    return [
        Slot(name=f"gpu {gpu}" + (f" #{part}" if per_device and per_device > 1 else ""), device="cuda", visible=gpu,
             threads=share)
        for part in range(per_device or 1)
        for gpu in visible
    ]  # fmt: skip


def _pick(visible: list[str], entry: str, device: str) -> str:
    if not entry.isdigit() or int(entry) >= len(visible):
        raise UsageError(f"--device {device}: there is no GPU {entry!r}; {len(visible)} visible, counted from 0")
    return visible[int(entry)]


def _cpu_slots(per_device: int | None, cells: int) -> list[Slot]:
    cores = cpu_cores()
    if per_device is None:
        fitting = max(1, psutil.virtual_memory().available // (CPU_SLOT_MB * 1_000_000))
        per_device = max(1, min(cores, cells, fitting))
    threads = max(1, cores // per_device)
    return [Slot(name=f"cpu {index}", device="cpu", visible="", threads=threads) for index in range(per_device)]
