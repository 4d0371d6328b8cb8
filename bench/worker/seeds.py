"""Seeds: every random number of a training is a function of the cell's seed, the epoch and the step.

Two functions for two promises of bits. Published tables rest on the bits of both, so neither may ever change:

- :func:`stream_seed` for data: the order of an epoch, augmentations, crops. Each stream has a generator of its own, so
  that the net cannot disturb the data and a resumed epoch continues with the batches it would have had.
- :func:`step_seed` for torch's global generators: initial weights, and what a net draws itself in a step (dropout,
  stochastic depth).

A net may also draw from Python's ``random`` and from ``numpy.random``: :func:`seed_host` seeds both before the net is
built and at the beginning of every epoch, and a checkpoint keeps their states.

Called by everything in :mod:`bench.worker` that draws; nothing there uses an unseeded generator.
"""

import hashlib
import random

import numpy as np
from torch import Generator

HostState = tuple[tuple[object, ...], tuple[str, list[int], int, int, float]]
"""The states of Python's and NumPy's global generators as plain values, which a checkpoint may hold."""


def stream_seed(stream: str, *numbers: int) -> int:
    """A 63-bit seed: SHA-256 of the stream's name and the numbers, as decimals joined by colons."""
    text = ":".join([stream, *map(str, numbers)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def stream_generator(stream: str, *numbers: int) -> Generator:
    """A generator on the CPU seeded by :func:`stream_seed`."""
    return Generator().manual_seed(stream_seed(stream, *numbers))


def step_seed(seed: int, epoch: int, step: int) -> int:
    """A 63-bit seed for one step: BLAKE2b of the cell's seed, the epoch (from 1 on) and the step (from 0 on).

    Epoch 0, step 0 seeds the initial weights.
    """
    digest = hashlib.blake2b(f"{seed}/{epoch}/{step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def seed_host(seed: int, epoch: int) -> None:
    """Seed Python's and NumPy's global generators for an epoch (from 1 on) of a cell, or (0) for building the net.

    Per epoch and not per step: seeding them takes longer than the smallest operations of a step.
    """
    number = stream_seed("host", seed, epoch)
    random.seed(number)
    np.random.seed(number % 2**32)


def host_state() -> HostState:
    """The states of both generators."""
    state = np.random.get_state(legacy=False)
    assert isinstance(state, dict)
    key, position = state["state"]["key"].tolist(), state["state"]["pos"]
    return random.getstate(), (state["bit_generator"], key, position, state["has_gauss"], state["gauss"])


def set_host_state(state: HostState) -> None:
    """Continue both generators from :func:`host_state`."""
    random.setstate(state[0])
    algorithm, key, position, has_gauss, gauss = state[1]
    np.random.set_state((algorithm, np.array(key, np.uint32), position, has_gauss, gauss))
