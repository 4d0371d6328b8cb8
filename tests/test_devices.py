"""Slots without a GPU: the CPU is shared, masks are opaque, wrong devices are refused."""

import pytest

from bench import devices
from bench.devices import find_slots, gpus
from bench.errors import UsageError


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine of four GPUs and eight cores with no mask."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices, "_gpu_count", lambda: 4)
    monkeypatch.setattr(devices, "cpu_cores", lambda: 8)
    return monkeypatch


def test_every_gpu_is_a_slot_with_its_share_of_the_cores(machine: pytest.MonkeyPatch) -> None:
    slots = find_slots("auto", per_device=None, cells=10)
    assert [(slot.visible, slot.threads) for slot in slots] == [("0", 2), ("1", 2), ("2", 2), ("3", 2)]


def test_uuids_and_mig_instances_in_the_mask_stay_as_they_are(machine: pytest.MonkeyPatch) -> None:
    machine.setenv("CUDA_VISIBLE_DEVICES", "GPU-8f1e, MIG-77a0")
    assert [slot.visible for slot in find_slots("cuda", per_device=None, cells=1)] == ["GPU-8f1e", "MIG-77a0"]


def test_an_empty_mask_means_the_cpu(machine: pytest.MonkeyPatch) -> None:
    machine.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus() == []
    assert find_slots("auto", per_device=None, cells=1)[0].device == "cpu"


def test_the_mask_ends_at_minus_one_as_cuda_reads_it(machine: pytest.MonkeyPatch) -> None:
    machine.setenv("CUDA_VISIBLE_DEVICES", "3,-1,2")
    assert gpus() == ["3"]


def test_a_gpu_is_chosen_by_its_place_in_the_mask(machine: pytest.MonkeyPatch) -> None:
    machine.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert [slot.visible for slot in find_slots("cuda:1", per_device=2, cells=1)] == ["3", "3"]


def test_the_cpu_is_shared_by_as_many_cells_as_there_are_cores(machine: pytest.MonkeyPatch) -> None:
    slots = find_slots("cpu", per_device=None, cells=3)
    assert [(slot.device, slot.threads) for slot in slots] == [("cpu", 2)] * 3
    assert len(find_slots("cpu", per_device=None, cells=100)) <= 8


def test_slots_per_device_overrides_the_share(machine: pytest.MonkeyPatch) -> None:
    assert [slot.threads for slot in find_slots("cpu", per_device=1, cells=100)] == [8]


@pytest.mark.parametrize("device", ["gpu", "cuda:7", "cuda:x", "cpu:0", ""])
def test_a_device_that_is_not_there_is_refused_with_what_was_asked(machine: pytest.MonkeyPatch, device: str) -> None:
    with pytest.raises(UsageError, match="--device"):
        find_slots(device, per_device=None, cells=1)


def test_cuda_without_a_gpu_is_refused_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_gpu_count", lambda: 0)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(UsageError, match="no GPU is visible"):
        find_slots("cuda", per_device=None, cells=1)
