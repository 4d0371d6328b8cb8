"""Learning-rate curves against their closed forms, and optimizers as the recipe names them."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.values import Component
from bench.worker.main import answer
from bench.worker.optim import build_optimizer, learning_rates
from bench.workspace.requests import Schedule

LR = 0.1


def decay(schedule: Component, epoch: int, epochs: int) -> float:
    """The textbook formula of a schedule without warm-up, in epoch 0, 1, ..."""
    match schedule.name:
        case "exponential":
            return LR * math.pow(float(schedule["gamma"]), epoch)
        case "step":
            return LR * math.pow(float(schedule["gamma"]), epoch // int(schedule["step_size"]))
        case "multistep":
            return LR * math.pow(float(schedule["gamma"]), sum(stone <= epoch for stone in schedule["milestones"]))
        case _:
            low = float(schedule["eta_min"])
            return low + (LR - low) * (1 + math.cos(math.pi * epoch / epochs)) / 2


def expected(schedule: Component, epoch: int, epochs: int, steps: int) -> list[float]:
    """The closed form with warm-up as the documentation words it."""
    warmup = int(schedule["warmup_epochs"])
    absolute = schedule.name in ("step", "multistep")
    if epoch >= warmup:
        return [decay(schedule, epoch, epochs) if absolute else decay(schedule, epoch - warmup, epochs - warmup)]
    start = float(schedule["warmup_start"])
    rise = [start + (1 - start) * (epoch * steps + step) / (warmup * steps) for step in range(steps)]
    return [share * (decay(schedule, epoch, epochs) if absolute else LR) for share in rise]


def linear_lr(start: float, iterations: int) -> list[float]:
    """What torch's own LinearLR gives when it is stepped once per iteration, up to the one after it ends."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=start, total_iters=iterations)
    rates = []
    for _ in range(iterations + 1):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return rates


SCHEDULES = st.one_of(
    st.builds(lambda gamma: Component.of("exponential", gamma=gamma), st.floats(0.5, 1.0)),
    st.builds(
        lambda size, gamma: Component.of("step", step_size=size, gamma=gamma), st.integers(1, 20), st.floats(0.05, 1)
    ),
    st.builds(
        lambda stones, gamma: Component.of("multistep", milestones=tuple(sorted(stones)), gamma=gamma),
        st.sets(st.integers(1, 30), min_size=1, max_size=4),
        st.floats(0.05, 1),
    ),
    st.builds(lambda low: Component.of("cosine", eta_min=low), st.floats(0, 0.05)),
)


@given(
    schedule=SCHEDULES,
    epochs=st.integers(2, 40),
    warmup=st.integers(0, 5),
    start=st.floats(0.001, 1),
    steps=st.integers(1, 9),
)
def test_every_schedule_follows_its_closed_form_in_every_epoch(
    schedule: Component, epochs: int, warmup: int, start: float, steps: int
) -> None:
    warmup = min(warmup, epochs - 1)
    whole = Component.of(schedule.name, **schedule.as_dict(), warmup_epochs=warmup, warmup_start=start)
    rates = learning_rates(whole, lr=LR, epochs=epochs, steps=steps)
    for epoch in range(epochs):
        assert rates[epoch] == pytest.approx(expected(whole, epoch, epochs, steps), rel=1e-9, abs=1e-12)


@given(schedule=SCHEDULES, warmup=st.integers(1, 5), start=st.floats(0.001, 1), steps=st.integers(1, 30))
def test_warm_up_rises_in_every_step_as_torchs_linear_lr_does(
    schedule: Component, warmup: int, start: float, steps: int
) -> None:
    if schedule.name in ("step", "multistep"):  # which decay meanwhile
        schedule = Component.of("step", step_size=40, gamma=0.1)
    whole = Component.of(schedule.name, **schedule.as_dict(), warmup_epochs=warmup, warmup_start=start)
    rates = [rate for epoch in learning_rates(whole, lr=LR, epochs=warmup + 1, steps=steps) for rate in epoch]
    assert rates == pytest.approx(linear_lr(start, warmup * steps), rel=1e-9)


@given(schedule=SCHEDULES, epochs=st.integers(2, 40))
def test_without_warm_up_an_epoch_has_one_rate(schedule: Component, epochs: int) -> None:
    whole = Component.of(schedule.name, **schedule.as_dict(), warmup_epochs=0, warmup_start=0.01)
    assert {len(rates) for rates in learning_rates(whole, lr=LR, epochs=epochs, steps=7)} == {1}


def test_multistep_decays_at_its_absolute_milestones_even_with_warmup() -> None:
    schedule = Component.of("multistep", milestones=(3,), gamma=0.1, warmup_epochs=2, warmup_start=0.5)
    rates = learning_rates(schedule, lr=1.0, epochs=5, steps=2)
    assert rates == [pytest.approx(epoch) for epoch in ([0.5, 0.625], [0.75, 0.875], [1.0], [0.1], [0.1])]


def test_sgd_gets_momentum_nesterov_and_weight_decay_from_the_recipe() -> None:
    choice = Component.of("sgd", lr=0.2, momentum=0.8, weight_decay=1e-4, nesterov=True)
    optimizer = build_optimizer(torch.nn.Linear(2, 2).parameters(), choice)
    group = optimizer.param_groups[0]
    assert isinstance(optimizer, torch.optim.SGD)
    assert (group["lr"], group["momentum"], group["weight_decay"], group["nesterov"]) == (0.2, 0.8, 1e-4, True)


def test_adamw_takes_one_step_as_its_formula_says() -> None:
    weight = torch.nn.Parameter(torch.tensor([2.0]))
    choice = Component.of("adamw", lr=0.1, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.5)
    optimizer = build_optimizer([weight], choice)
    weight.grad = torch.tensor([3.0])
    optimizer.step()
    # Loshchilov and Hutter 2019, algorithm 2: the first step moves by lr whatever the gradient, after the decay
    assert weight.item() == pytest.approx(2.0 * (1 - 0.1 * 0.5) - 0.1, rel=1e-6)


def test_frozen_parameters_are_left_out_of_the_optimizer() -> None:
    net = torch.nn.Linear(2, 2)
    net.bias.requires_grad_(False)
    optimizer = build_optimizer(net.parameters(), Component.of("sgd", lr=0.1, momentum=0.0))
    assert [parameter is net.weight for parameter in optimizer.param_groups[0]["params"]] == [True]


def test_a_worker_answers_with_the_rates_that_it_would_train_with() -> None:
    schedule = Component.of("step", gamma=0.5, step_size=2, warmup_epochs=1, warmup_start=0.5)
    [rates] = answer([Schedule(schedule=schedule, lr=LR, epochs=4, steps=2)])
    assert [list(each) for each in rates.epochs] == learning_rates(schedule, lr=LR, epochs=4, steps=2)
