"""Estimates: from cells that ran before, and how long a whole run takes."""

from collections.abc import Callable

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


def test_an_estimate_scales_another_net_by_its_flops(make_cell: Make, make_suite: Callable[..., Suite]) -> None:
    done, other = make_cell(), make_cell(model="resnet18", epochs=2)
    known = {done.id: Outcome(cell_id=done.id, state="complete", images_per_s=1000.0, cost=COST)}
    double = Cost(params=10, flops=2_000_000, conv_linear_macs=2_000_000, torch_macs=2_000_000)
    plan = make_plan(make_suite(done, other), known, {other.id: double})
    assert plan.tasks[1].estimate_s == round(2 * 1437 / 500.0, 1)


def test_an_estimate_is_made_from_the_net_that_is_most_alike(make_cell: Make, make_suite: Callable[..., Suite]) -> None:
    big = Cost(params=10, flops=100_000_000, conv_linear_macs=100_000_000, torch_macs=100_000_000)
    small_ran, big_ran, asked = make_cell("mobilenet_v2"), make_cell("vgg11"), make_cell("resnet18", epochs=1)
    known = {
        small_ran.id: Outcome(cell_id=small_ran.id, state="complete", images_per_s=1000.0, cost=COST),
        big_ran.id: Outcome(cell_id=big_ran.id, state="complete", images_per_s=100.0, cost=big),
    }
    plan = make_plan(make_suite(small_ran, big_ran, asked), known, {asked.id: big})
    assert plan.tasks[2].estimate_s == round(1437 / 100.0, 1)


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
