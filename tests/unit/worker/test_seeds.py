"""Seeds: streams that do not meet, and values that published tables rest on."""

import random

import numpy as np
import torch

from bench.worker.seeds import host_state, seed_host, set_host_state, step_seed, stream_generator, stream_seed


def test_stream_seed_differs_between_streams_and_epochs() -> None:
    seeds = {stream_seed(stream, 0, epoch) for stream in ("order", "augment") for epoch in range(1000)}
    assert len(seeds) == 2000
    assert stream_seed("order", 1, 23) != stream_seed("order", 12, 3)


def test_step_seed_and_stream_seed_keep_the_values_that_tables_rest_on() -> None:
    assert (step_seed(0, 0, 0), step_seed(3, 4, 5)) == (759540517790923586, 2814611452458254667)
    assert (stream_seed("order", 1, 2), stream_seed("statistics")) == (7141293595801154454, 2660011203745781026)


def test_stream_generator_gives_the_same_numbers_each_time() -> None:
    first, second = (torch.rand(4, generator=stream_generator("view", 1, 2)) for _ in range(2))
    assert torch.equal(first, second)


def draw() -> list[float]:
    """From both of the host's generators, of every kind that keeps something back."""
    return [random.random(), random.gauss(0, 1), *np.random.rand(2), np.random.randn()]


def test_seed_host_decides_what_a_net_draws_from_python_and_numpy() -> None:
    drawn = []
    for seed, epoch in ((0, 1), (0, 1), (0, 2), (1, 1)):
        seed_host(seed, epoch)
        drawn.append(draw())
    assert drawn[0] == drawn[1]
    assert len({tuple(each) for each in drawn}) == 3


def test_set_host_state_continues_where_host_state_was_taken() -> None:
    seed_host(0, 1)
    draw()
    state = host_state()
    expected = draw()
    random.seed()
    set_host_state(state)
    assert draw() == expected
