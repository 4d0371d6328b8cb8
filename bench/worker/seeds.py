"""Seeds: every random number of a training is a function of the cell's seed, the epoch and the step.

Two functions for two promises. Published tables rest on the bits of both, so neither may ever change:

- :func:`stream_seed` for data: the order of an epoch, augmentations, crops. Each stream has a generator of its own, so
  that the net cannot disturb the data and a resumed epoch continues with the batches it would have had.
- :func:`step_seed` for torch's global generators: initial weights, and what a net draws itself in a step (dropout,
  stochastic depth).

Called by everything in :mod:`bench.worker` that draws; nothing there uses an unseeded generator.
"""

import hashlib

from torch import Generator


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
