"""The source of a file of nets on digits: quick ones, and some that fail in a way of their own."""

TINY_MODEL = '''
import torch
from torch import nn


def net(num_classes):
    """Two layers, quick to train and to count."""
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 32), nn.ReLU(), nn.Linear(32, num_classes))


def dropping(num_classes):
    """The same with dropout, whose randomness must be resumed too."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(3 * 8 * 8, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, num_classes)
    )


class Failing(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.layer = nn.Linear(3 * 8 * 8, num_classes)

    def forward(self, images):
        if self.training and len(images) > 2:
            raise RuntimeError("the net fails on purpose")
        return self.layer(images.flatten(1))


class Killed(Failing):
    def forward(self, images):
        if self.training and len(images) > 2:
            import os
            os._exit(0)
        return self.layer(images.flatten(1))


class Slow(Failing):
    def forward(self, images):
        if self.training and len(images) > 2:
            import time
            time.sleep(0.2)
        return self.layer(images.flatten(1))


class Napping(nn.Module):
    """Dropout, and a nap a step: long enough to be killed in, without a load on the machine."""

    def __init__(self, num_classes, nap=0.02):
        super().__init__()
        self.nap = nap
        self.layers = dropping(num_classes)

    def forward(self, images):
        if self.training and len(images) > 2:
            import time
            time.sleep(self.nap)
        return self.layers(images)


def napping_too(num_classes):
    return Napping(num_classes, nap=0.021)


class Gated(nn.Module):
    """Trains an epoch only when the file ``gate`` in the current folder holds its number or a greater one."""

    def __init__(self, num_classes):
        super().__init__()
        self.layers = dropping(num_classes)
        self.epoch, self.tested = 0, True

    def forward(self, images):
        import pathlib, time
        if len(images) > 2:  # fewer are what a net is measured with
            if self.training and self.tested:
                self.epoch += 1
            self.tested = not self.training
            while self.training and int(pathlib.Path("gate").read_text() or 0) < self.epoch:
                time.sleep(0.02)
        return self.layers(images)


class Crashing(Failing):
    def forward(self, images):
        if self.training and len(images) > 2:
            import ctypes
            ctypes.string_at(0)
        return self.layer(images.flatten(1))


class Greedy(Failing):
    """Out of memory as often as the file ``out-of-memory`` has letters."""

    def forward(self, images):
        if self.training and len(images) > 2:
            import pathlib
            left = pathlib.Path("out-of-memory")
            if text := left.read_text():
                left.write_text(text[1:])
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return self.layer(images.flatten(1))


class Hanging(Failing):
    """Waits for ever, with a child that does not listen to SIGTERM."""

    def forward(self, images):
        if self.training and len(images) > 2:
            import subprocess, sys, time
            script = "import signal as s, time; s.signal(s.SIGTERM, s.SIG_IGN); time.sleep(1000)  # grandchild"
            subprocess.Popen([sys.executable, "-c", script])
            while True:
                time.sleep(1000)
        return self.layer(images.flatten(1))
'''
