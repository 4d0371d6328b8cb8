"""Devices and slots: the places where one cell can run at a time. Found without torch, by NVML and a count of cores.

``CUDA_VISIBLE_DEVICES`` is honoured as the opaque strings it is made of: indices, UUIDs and MIG instances alike.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Literal

import psutil

from bench.errors import UsageError
from bench.workspace.host import cpu_name

CPU_SLOT_MB = 2_000
"""Assumed memory per CPU cell (MB) when counting slots."""
GPU_USABLE = 0.95
"""Share of a GPU's memory that cells on it may use together."""


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A GPU, a share of one, or a share of the CPU cores."""

    name: str
    device: Literal["cpu", "cuda"]
    visible: str
    """What the worker's CUDA_VISIBLE_DEVICES is set to; empty on the CPU."""
    threads: int
    """Its share of the cores. A cell may use fewer."""
    memory_share: float = 1.0
    """Share of the GPU's memory that a cell on it may use."""


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
    with _nvml() as nvml:
        return int(nvml.nvmlDeviceGetCount()) if nvml else 0


@contextmanager
def _nvml() -> Iterator[ModuleType | None]:
    """The opened library of the driver; None without a driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def _nvml_handle(nvml: ModuleType, visible: str) -> object:
    """The driver's handle of a GPU or of a MIG instance, by number or by the beginning of its UUID."""
    if visible.isdigit():
        gpu = nvml.nvmlDeviceGetHandleByIndex(int(visible))
        return next(_instances(nvml, gpu), gpu)  # of a divided GPU, CUDA sees only the first instance
    try:
        return nvml.nvmlDeviceGetHandleByUUID(visible)
    except nvml.NVMLError:
        for index in range(int(nvml.nvmlDeviceGetCount())):
            gpu = nvml.nvmlDeviceGetHandleByIndex(index)
            for handle in (gpu, *_instances(nvml, gpu)):
                uuid = nvml.nvmlDeviceGetUUID(handle)
                if (uuid.decode() if isinstance(uuid, bytes) else str(uuid)).startswith(visible):
                    return handle
        raise


def _instances(nvml: ModuleType, gpu: object) -> Iterator[object]:
    """The MIG instances of a GPU; none if it is not divided."""
    try:
        count = int(nvml.nvmlDeviceGetMaxMigDeviceCount(gpu))
    except nvml.NVMLError:
        return
    for index in range(count):
        try:
            yield nvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, index)
        except nvml.NVMLError:
            continue


def gpu_memory_mb(visible: str) -> float:
    """Memory (MB) of a GPU named as in CUDA_VISIBLE_DEVICES; 0 if NVML does not know it."""
    with _nvml() as nvml:
        if nvml is None:
            return 0.0
        try:
            return float(nvml.nvmlDeviceGetMemoryInfo(_nvml_handle(nvml, visible)).total) / 1e6
        except nvml.NVMLError:
            return 0.0


def device_name(slot: Slot) -> str:
    """The hardware behind a slot: the GPU's name, or the processor's with the number of cores."""
    if slot.device == "cpu":
        return f"{cpu_name()}, {cpu_cores()} cores"
    with _nvml() as nvml:
        if nvml is None:
            return "unknown GPU"
        try:
            name = nvml.nvmlDeviceGetName(_nvml_handle(nvml, slot.visible))
        except nvml.NVMLError:
            name = ""
    return name.decode() if isinstance(name, bytes) else str(name) or "unknown GPU"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The devices that a run may use. Found once; then divided into slots as often as needed."""

    gpus: tuple[str, ...]
    """The GPUs, as strings for CUDA_VISIBLE_DEVICES; empty: cells run on the CPU."""
    cores: int
    """CPU cores."""

    @classmethod
    def detect(cls, device: str) -> "Machine":
        """The devices that ``--device`` names.

        Args:
            device: ``auto`` (GPUs, else CPU), ``cpu``, ``cuda`` or ``cuda:0,1`` (positions among the visible GPUs).

        Raises:
            UsageError: The device is not of that form, or is not there.
        """
        kind, _, positions = device.partition(":")
        if kind not in ("auto", "cpu", "cuda") or (positions and kind != "cuda"):
            raise UsageError(f"--device {device!r}: use auto, cpu, cuda or cuda:0,1")
        visible = [] if kind == "cpu" else gpus()
        if kind == "cuda" and not visible:
            raise UsageError(
                f"--device {device}: no GPU is visible (CUDA_VISIBLE_DEVICES="
                f"{os.environ.get('CUDA_VISIBLE_DEVICES', 'unset')}); bench doctor lists what was found"
            )
        if positions:
            visible = [_pick(visible, entry, device) for entry in positions.split(",")]
        return cls(gpus=tuple(visible), cores=cpu_cores())

    @property
    def devices(self) -> int:
        """Number of devices: GPUs, or the one CPU."""
        return len(self.gpus) or 1

    def slots(self, *, per_device: int | None, cells: int) -> list[Slot]:
        """Divide the machine into slots.

        Args:
            per_device: Cells at a time on each GPU, or on the CPU. None: one per GPU; on the CPU as many as there are
                cells, cores and memory for, because a single thread never waits for another.
            cells: Number of cells to run; no more slots than that are made on the CPU.
        """
        return self._gpu_slots(per_device or 1) if self.gpus else self._cpu_slots(per_device, cells)

    def _gpu_slots(self, per_device: int) -> list[Slot]:
        threads = max(1, self.cores // (len(self.gpus) * per_device))
        return [
            Slot(
                name=f"gpu {gpu}" + (f" #{number}" if per_device > 1 else ""),
                device="cuda",
                visible=gpu,
                threads=threads,
                memory_share=1.0 if per_device == 1 else round(GPU_USABLE / per_device, 3),
            )
            for number in range(per_device)
            for gpu in self.gpus
        ]

    def _cpu_slots(self, per_device: int | None, cells: int) -> list[Slot]:
        if per_device is None:
            fitting = max(1, psutil.virtual_memory().available // (CPU_SLOT_MB * 1_000_000))
            per_device = max(1, min(self.cores, cells, fitting))
        threads = max(1, self.cores // per_device)
        return [Slot(name=f"cpu {number}", device="cpu", visible="", threads=threads) for number in range(per_device)]


def _pick(visible: list[str], entry: str, device: str) -> str:
    if not entry.isdigit() or int(entry) >= len(visible):
        raise UsageError(f"--device {device}: there is no GPU {entry!r}; {len(visible)} visible, counted from 0")
    return visible[int(entry)]
