"""Estimates: from cells that ran before, and how long a whole run takes."""

from collections.abc import Callable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bench.scheduler.estimates import makespan, predicted
from bench.scheduler.plan import make_plan
from bench.values import Cell, Cost, Outcome, Suite

Make = Callable[..., Cell]
COST = Cost(params=10, flops=1_000_000, conv_linear_macs=1_000_000, torch_macs=1_000_000)


def test_an_estimate_scales_the_same_workload_by_the_epochs_left(
    make_cell: Make, make_suite: Callable[..., Suite]
) -> None:
    done, other = make_cell(seed=0, epochs=4), make_cell(seed=1, epochs=10)
    known = {done.id: Outcome(cell_id=done.id, state="complete", epoch_s=3.0)}
    assert make_plan(make_suite(done, other), known, {}).tasks[1].estimate_s == 30.0


def test_an_estimate_counts_the_time_besides_the_epochs(make_cell: Make, make_suite: Callable[..., Suite]) -> None:
    done, other = make_cell(seed=0, epochs=1), make_cell(seed=1, epochs=10)
    outcome = Outcome(cell_id=done.id, state="complete", epoch_s=0.5, epochs_done=1, total_s=6.5, attempts=1)
    assert make_plan(make_suite(done, other), {done.id: outcome}, {}).tasks[1].estimate_s == 6.0 + 10 * 0.5


def test_an_estimate_scales_the_same_net_by_the_images_of_another_data_set(
    make_cell: Make, make_suite: Callable[..., Suite]
) -> None:
    done, other = (make_cell(dataset=name, input_size=32, epochs=2) for name in ("cifar10", "fashion_mnist"))
    known = {done.id: Outcome(cell_id=done.id, state="complete", epoch_s=50.0, cost=COST)}
    plan = make_plan(make_suite(done, other), known, {other.id: COST})
    assert plan.tasks[1].estimate_s == 120.0
    large = replace(COST, flops=(COST.flops or 0) * 4)
    assert make_plan(make_suite(done, other), known, {other.id: large}).tasks[1].estimate_s is None


def test_another_net_gives_no_estimate(make_cell: Make, make_suite: Callable[..., Suite]) -> None:
    done, other = make_cell(), make_cell(model="resnet18", epochs=2)
    known = {done.id: Outcome(cell_id=done.id, state="complete", epoch_s=3.0, images_per_s=1000.0, cost=COST)}
    assert make_plan(make_suite(done, other), known, {other.id: COST}).tasks[1].estimate_s is None


def test_nothing_is_estimated_before_anything_comparable_ran(make_cell: Make, make_suite: Callable[..., Suite]) -> None:
    cell = make_cell()
    assert make_plan(make_suite(cell), {}, {cell.id: COST}).tasks[0].estimate_s is None


def test_a_run_is_predicted_to_take_as_long_as_its_busiest_slot(
    make_cell: Make, make_suite: Callable[..., Suite]
) -> None:
    cells = [make_cell(seed=seed, epochs=epochs) for seed, epochs in enumerate((6, 5, 3, 2))]
    ran = make_cell(seed=9, epochs=1)
    history = [(ran, Outcome(cell_id=ran.id, state="complete", epoch_s=10.0))]
    plan = make_plan(make_suite(*cells), {}, {}, history=history)
    assert predicted(plan, 1) == 160
    assert predicted(plan, 2) == 80, "60 and 20 on one slot, 50 and 30 on the other"
    assert predicted(make_plan(make_suite(*cells), {}, {}), 2) is None


@given(st.lists(st.floats(0.1, 1e4), min_size=1, max_size=30), st.integers(1, 8))
def test_the_longest_first_ends_within_twice_the_best_that_can_be(seconds: list[float], slots: int) -> None:
    best_case = max(sum(seconds) / slots, *seconds)
    # Graham 1966: no list schedule takes longer than 2 - 1/m times the optimum
    assert best_case <= makespan(seconds, slots) * (1 + 1e-9)
    assert makespan(seconds, slots) <= (2 - 1 / slots) * best_case * (1 + 1e-9)
