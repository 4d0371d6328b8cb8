"""Seeds: streams that do not meet, and values that published tables rest on."""

import torch

from bench.worker.seeds import step_seed, stream_generator, stream_seed


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
