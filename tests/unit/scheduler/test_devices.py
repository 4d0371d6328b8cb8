"""Slots without a GPU: the CPU is shared, masks are opaque, wrong devices are refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import psutil
import pytest

from bench.errors import UsageError
from bench.scheduler import devices
from bench.scheduler.devices import Machine, Slot, device_name, gpu_memory_mb, gpus
from bench.scheduler.launcher import worker_environment


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine of four GPUs and eight cores with no mask."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices, "_gpu_count", lambda: 4)
    monkeypatch.setattr(devices, "cpu_cores", lambda: 8)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=100_000_000_000))
    return monkeypatch


def test_every_gpu_is_a_slot_with_its_share_of_the_cores(machine: pytest.MonkeyPatch) -> None:
    slots = Machine.detect("auto").slots(per_device=None, cells=10)
    assert [(slot.visible, slot.threads) for slot in slots] == [("0", 2), ("1", 2), ("2", 2), ("3", 2)]


def test_uuids_and_mig_instances_in_the_mask_stay_as_they_are(machine: pytest.MonkeyPatch) -> None:
    machine.setenv("CUDA_VISIBLE_DEVICES", "GPU-8f1e, MIG-77a0")
    assert [slot.visible for slot in Machine.detect("cuda").slots(per_device=None, cells=1)] == ["GPU-8f1e", "MIG-77a0"]


def test_an_empty_mask_means_the_cpu(machine: pytest.MonkeyPatch) -> None:
    machine.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus() == []
    assert Machine.detect("auto").slots(per_device=None, cells=1)[0].device == "cpu"


def test_the_mask_ends_at_minus_one_as_cuda_reads_it(machine: pytest.MonkeyPatch) -> None:
    machine.setenv("CUDA_VISIBLE_DEVICES", "3,-1,2")
    assert gpus() == ["3"]


def test_a_gpu_is_chosen_by_its_place_in_the_mask(machine: pytest.MonkeyPatch) -> None:
    machine.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert [slot.visible for slot in Machine.detect("cuda:1").slots(per_device=2, cells=1)] == ["3", "3"]


def test_the_cpu_is_shared_by_as_many_cells_as_there_are_cores(machine: pytest.MonkeyPatch) -> None:
    cpu = Machine.detect("cpu")
    slots = cpu.slots(per_device=None, cells=3)
    assert [(slot.device, slot.threads) for slot in slots] == [("cpu", 2)] * 3
    assert len(cpu.slots(per_device=None, cells=100)) == 8


def test_no_more_cells_share_the_cpu_than_there_is_memory_for(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=5_000_000_000))
    slots = Machine.detect("cpu").slots(per_device=None, cells=100)
    assert [slot.threads for slot in slots] == [4, 4]
    machine.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1_000_000))
    assert len(Machine.detect("cpu").slots(per_device=None, cells=100)) == 1


def test_a_machine_counts_its_devices(machine: pytest.MonkeyPatch) -> None:
    assert [Machine.detect(device).devices for device in ("auto", "cuda:0,2", "cpu")] == [4, 2, 1]


def test_slots_per_device_overrides_the_share(machine: pytest.MonkeyPatch) -> None:
    assert [slot.threads for slot in Machine.detect("cpu").slots(per_device=1, cells=100)] == [8]


@pytest.mark.parametrize("device", ["gpu", "cuda:7", "cuda:x", "cpu:0", ""])
def test_a_device_that_is_not_there_is_refused_with_what_was_asked(machine: pytest.MonkeyPatch, device: str) -> None:
    with pytest.raises(UsageError, match="--device"):
        Machine.detect(device).slots(per_device=None, cells=1)


def test_cuda_without_a_gpu_is_refused_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_gpu_count", lambda: 0)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(UsageError, match="no GPU is visible"):
        Machine.detect("cuda").slots(per_device=None, cells=1)


class FakeNvml:
    """A driver that knows two GPUs, the second of which is divided into two instances."""

    class NVMLError(Exception): ...

    def __init__(self) -> None:
        self.names = {"GPU-11ab": 80_000, "GPU-22cd": 80_000, "MIG-77a0": 10_000, "MIG-88b1": 20_000}

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802 - the driver's names
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:  # noqa: N802
        return ["GPU-11ab", "GPU-22cd"][index]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        return self.known(uuid in self.names, uuid)

    def nvmlDeviceGetMaxMigDeviceCount(self, gpu: str) -> int:  # noqa: N802
        return 7 if self.known(gpu == "GPU-22cd", gpu) else 0

    def nvmlDeviceGetMigDeviceHandleByIndex(self, gpu: str, index: int) -> str:  # noqa: N802
        return ["MIG-77a0", "MIG-88b1"][index] if index < 2 else self.known(False, gpu)

    def nvmlDeviceGetUUID(self, handle: str) -> bytes:  # noqa: N802
        return handle.encode()

    def nvmlDeviceGetName(self, handle: str) -> str:  # noqa: N802
        return f"card {handle}"

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(total=self.names[handle] * 1_000_000)

    def known(self, found: bool, answer: str) -> str:
        if not found:
            raise self.NVMLError
        return answer


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def opened() -> Iterator[FakeNvml]:
        yield FakeNvml()

    monkeypatch.setattr(devices, "_nvml", opened)


@pytest.mark.parametrize(
    ("visible", "expected"),
    [("0", 80_000), ("GPU-11ab", 80_000), ("GPU-1", 80_000), ("MIG-88b1", 20_000), ("MIG-8", 20_000), ("1", 10_000)],
    ids=["number", "UUID", "beginning", "instance", "beginning of an instance", "number of a divided GPU"],
)
def test_a_gpu_is_found_by_every_name_that_cuda_takes(driver: None, visible: str, expected: int) -> None:
    assert gpu_memory_mb(visible) == expected


def test_a_gpu_that_the_driver_does_not_know_has_no_memory_and_no_name(driver: None) -> None:
    assert gpu_memory_mb("GPU-99") == 0.0
    assert device_name(Slot(name="", device="cuda", visible="GPU-99", threads=1)) == "unknown GPU"


def test_an_instance_is_named_by_the_driver(driver: None) -> None:
    assert device_name(Slot(name="", device="cuda", visible="MIG-77a0", threads=1)) == "card MIG-77a0"


def test_numbers_of_gpus_mean_the_same_to_the_driver_and_to_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        monkeypatch.delenv(name, raising=False)
    assert worker_environment(visible="1", threads=1)["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")  # numbers that a person chose mean what CUDA takes them for
    assert "CUDA_DEVICE_ORDER" not in worker_environment(visible="1", threads=1)


def test_cells_side_by_side_on_a_gpu_have_equal_shares_of_its_memory(machine: pytest.MonkeyPatch) -> None:
    shares = [slot.memory_share for slot in Machine.detect("cuda:0").slots(per_device=4, cells=8)]
    assert len(shares) == 4
    assert sum(shares) <= devices.GPU_USABLE + 0.01
    assert Machine.detect("cuda:0").slots(per_device=1, cells=8)[0].memory_share == 1.0
