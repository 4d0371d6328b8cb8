"""Trained nets in the caller's own process: the one module of the API that imports the worker, and with it torch.

For Python only: no command loads a net in its own process (``lint-imports`` checks it); see :mod:`bench.api.export`.
"""

from bench.api.outcomes import find_store
from bench.api.run_files import find_run
from bench.worker.load import TrainedNet
from bench.worker.load import load_net as load
from bench.workspace.paths import data_home

__all__ = ["TrainedNet", "load_net"]


def load_net(run: str, *, check: bool, device: str, tracking_uri: str | None) -> TrainedNet:
    """See :func:`bench.api.load_net`."""
    found = find_run(run, find_store(tracking_uri))
    with found.file("weights.safetensors") as path:
        return load(found.trained(path), data_home(), check=check, device=device)
