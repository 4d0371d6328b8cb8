"""Batch norm's running statistics for a test, where training was too short for them to settle.

Batch norm trains with the statistics of each batch and is tested with running ones. These start at mean 0 and variance
1 and move by ``momentum`` per step, so after S steps their start still weighs (1 - momentum)^S. With momentum 0.0003,
as torchvision's MNASNet has, that is a half after 2,300 steps, and a healthy net is tested at chance.

The rule: a layer whose start still weighs more than 1% is tested with the cumulative average over training batches
instead (Wu and Johnson 2021, "Rethinking 'Batch' in BatchNorm", section 3), computed in eval mode but for these layers.
The same batches serve every test. Training goes on with its own statistics, so no bit of it depends on a test. With
torch's default momentum of 0.1 the rule ends after 43 steps.

Called by :mod:`bench.worker.evaluate` and, for the weights that are kept, by :mod:`bench.worker.results`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from bench.worker.data.dataset import EpochBatches
from bench.worker.data.stream import nonstandard_images
from bench.worker.state import Training
from bench.worker.step import memory_format

MAX_INITIAL_SHARE = 0.01
"""Maximum weight of their initial values at which running statistics count as settled."""
MAX_BATCHES = 100
"""Maximum number of training batches that statistics are settled on."""


def unsettled(net: nn.Module, steps: int) -> list[_BatchNorm]:
    """The batch norms that training moves and whose statistics have not settled after ``steps`` steps.

    A momentum of None is a cumulative average already.
    """
    net.train()  # a net may keep layers in eval mode; their statistics are not training's to move
    return [
        layer
        for layer in net.modules()
        if isinstance(layer, _BatchNorm)
        and layer.training
        and layer.running_mean is not None
        and layer.momentum is not None
        and (1 - layer.momentum) ** steps > MAX_INITIAL_SHARE
    ]


@contextmanager
def settled(training: Training, batches: EpochBatches) -> Iterator[None]:
    """The net in eval mode, with settled statistics; on leaving they are training's own again."""
    net = training.net
    layers = unsettled(net, training.epochs_done * len(batches) + training.steps_done)
    net.eval()
    before = [(buffer, buffer.clone()) for layer in layers for buffer in layer.buffers(recurse=False)]
    try:
        if layers:
            _average(training, batches, layers)
        yield
    finally:
        for buffer, value in before:
            buffer.copy_(value)  # in place: a recorded test reads this address


@torch.no_grad()
def _average(training: Training, batches: EpochBatches, layers: list[_BatchNorm]) -> None:
    """Set the layers' statistics to their average over the first training batches of a fixed epoch."""
    net, mode, device = training.net, training.attempt.mode, training.device
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # torch's word for the cumulative average
        layer.train()
    try:
        for inputs in islice(batches.epoch_inputs(0), MAX_BATCHES):
            images, _ = batches.assemble(inputs)
            with torch.autocast(device.type, torch.bfloat16, enabled=mode.precision == "bf16"):
                net(images.contiguous(memory_format=memory_format(mode)))
            training.journal.beat()
    finally:
        nonstandard_images(batches)  # not read for training, so not counted
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
            layer.eval()
