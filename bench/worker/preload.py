"""Imports what every worker needs, once, in the fork server of :mod:`bench.scheduler.launcher`; imported by it alone.

Computes nothing and starts no thread: forking a process whose OpenMP or CUDA has started is unsafe.
"""

import gc
import os

gc.disable()  # imports leave no garbage, and looking for it takes a quarter of their time

_nowhere = os.open(os.devnull, os.O_RDWR)
os.dup2(_nowhere, 1)  # a reader of the scheduler's output waits until every process has closed it

import torch  # noqa: E402, F401

from bench.worker.compat import deferred_dynamo  # noqa: E402

with deferred_dynamo():
    import torchvision  # noqa: F401

    import bench.worker.train  # noqa: F401

os.dup2(_nowhere, 2)  # after the imports, whose errors must be seen
os.close(_nowhere)
gc.enable()
gc.freeze()  # a collection in a worker would write to the pages that all workers share, and so copy them
