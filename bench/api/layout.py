"""Divide the machine for the cells of a run, and choose how each is computed; a step of :mod:`bench.api.run`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bench.api.job import Job, Layout, Needs
from bench.datasets.prepared import data_key
from bench.values import Execution, Mode, Plan, Task
from bench.workspace.paths import CellFolder, bench_home, speeds_file

if TYPE_CHECKING:
    from bench.scheduler.devices import Slot
    from bench.scheduler.modes import Allocation


def lay_out(job: Job, plan: Plan, needs: Needs) -> Layout:
    """Divide the machine for the cells that will run, and choose each cell's mode.

    A small cell has the default mode. A large one keeps the mode of its earlier attempts, reruns included; at its first
    it gets the one that is measured to be fastest.
    """
    if not plan.to_run:
        return Layout([], {}, {})
    execution = job.whole.execution
    per_device = 1 if execution.timed else job.options.slots_per_device
    default = job.machine.slots(per_device=per_device, cells=len(plan.to_run))
    large = _large(plan, needs)
    allocation = _tune(job, plan, needs, default)
    kept = kept_modes(large, default[0].device, execution)
    modes = {**(allocation.modes if allocation else {}), **kept}
    slots = default
    if default[0].device == "cuda" and allocation:
        slots = job.machine.slots(per_device=allocation.concurrency, cells=len(plan.to_run))
    elif default[0].device == "cpu" and per_device is None:
        slots = job.machine.slots(per_device=_side_by_side(job, plan, modes, len(default)), cells=len(plan.to_run))
    return Layout(slots, modes, allocation.seconds if allocation else {})


def _large(plan: Plan, needs: Needs) -> list[Task]:
    from bench.scheduler.tuning import is_large

    return [task for task in plan.to_run if is_large(task.cell, needs.data[data_key(task.cell)].train_images)]


def _side_by_side(job: Job, plan: Plan, modes: Mapping[str, Mode], most: int) -> int:
    """How many of the cells that need the fewest threads the CPU's cores hold; the loop counts the threads."""
    from bench.scheduler.modes import CPU_THREADS

    needed = min(modes[task.cell.id].threads if task.cell.id in modes else CPU_THREADS for task in plan.to_run)
    return max(1, min(most, job.machine.cores // needed))


def kept_modes(tasks: list[Task], device: str, execution: Execution) -> dict[str, Mode]:
    """The modes of earlier attempts by cell id, as far as they ran on this kind of device and the suite allows them."""
    from bench.scheduler.attempts import earlier_mode
    from bench.scheduler.modes import is_allowed

    home = bench_home()
    earlier = {task.cell.id: earlier_mode(CellFolder.of(home, task.cell.id), task.outcome, device) for task in tasks}
    return {cell_id: mode for cell_id, mode in earlier.items() if mode and is_allowed(mode, execution)}


def _tune(job: Job, plan: Plan, needs: Needs, default: "list[Slot]") -> "Allocation | None":
    from bench.scheduler import tuning
    from bench.scheduler.modes import MAX_ON_A_GPU

    cells = [task.cell for task in plan.to_run if not task.failure]  # what cannot be built is not timed either
    train_images = {cell.id: needs.data[data_key(cell)].train_images for cell in cells}
    images = {
        task.cell.id: max(0, task.cell.recipe.epochs - task.outcome.epochs_done) * train_images[task.cell.id]
        for task in plan.to_run
        if not task.failure
    }
    whole = job.machine.slots(per_device=1, cells=len(plan.to_run))
    on_cpu = whole[0].device == "cpu"
    request = tuning.TuningRequest(
        cells=cells,
        images=images,
        train_images=train_images,
        classes={cell.id: needs.data[data_key(cell)].num_classes for cell in cells},
        slot=whole[0],
        devices=len(whole),
        execution=job.whole.execution,
        cache=speeds_file(),
        max_concurrency=len(default) if on_cpu else min(MAX_ON_A_GPU, -(-len(plan.to_run) // len(whole))),
        concurrency=1 if job.whole.execution.timed else job.options.slots_per_device,
    )
    return tuning.tune(request, note=job.caller.note, phase=job.caller.phase)
