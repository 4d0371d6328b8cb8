"""What every worker needs, imported once: for the fork server of :mod:`bench.scheduler.launcher`, and for nothing else.

Nothing is computed here and no thread is started: a process whose OpenMP or CUDA has begun is no good to fork.
"""

import gc
import os

gc.disable()  # importing leaves no garbage, and looking for it takes a quarter of the time

_nowhere = os.open(os.devnull, os.O_RDWR)
os.dup2(_nowhere, 1)  # whoever reads the scheduler's output must not wait for this process to end

import torch  # noqa: E402, F401

from bench.worker.compat import deferred_dynamo  # noqa: E402

with deferred_dynamo():
    import torchvision  # noqa: F401

    import bench.worker.train  # noqa: F401

os.dup2(_nowhere, 2)
os.close(_nowhere)
gc.enable()
gc.freeze()  # a collection in a worker would write to, and so copy, the pages that all workers share
