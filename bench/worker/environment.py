"""Describe where an attempt runs: versions, host and device. Called by :mod:`bench.worker.main`."""

import platform
from importlib import metadata

import torch

import bench
from bench.values import Attempt
from bench.worker import compat
from bench.workspace.host import cpu_name


def describe_environment(attempt: Attempt) -> dict[str, str]:
    """Versions, host and device of this attempt."""
    if attempt.device == "cuda":
        name = torch.cuda.get_device_name(0)
    else:
        name = f"{cpu_name()}, {attempt.mode.threads} thread{'s' if attempt.mode.threads > 1 else ''}"
    versions = {}
    for package in ("torchvision", "timm", "fvcore", "numpy"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "bench": bench.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "cuda": str(torch.version.cuda),
        "platform": platform.platform(),
        "host": platform.node(),
        "device": attempt.device,
        "device_name": name,
        "threads": str(attempt.mode.threads),
        "compat": "on" if compat.active() else "off",
        **versions,
    }
