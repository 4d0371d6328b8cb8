"""Suite files for tests, as content and as text, and what their faults are."""

import json
import time
from typing import Any

import pytest

from bench.errors import SuiteError
from bench.suite import parse_suite
from bench.values import Suite

GOOD: dict[str, Any] = {
    "suite": "s",
    "recipe": {"epochs": 5, "optimizer": {"name": "sgd", "lr": 0.1}, "augment": ["random_crop"]},
    "schedules": {"late": {"kind": "multistep", "milestones": [2, 4]}},
    "grid": {"model": ["resnet18", "vgg11"], "dataset": "cifar10", "schedule": ["late", "cosine"], "seed": [0, 1]},
}

HEAD = "suite: s\n"
GRID = "grid: {model: resnet18, dataset: cifar10, schedule: cosine}\n"


def parse(content: dict[str, Any] | str) -> Suite:
    """The suite of a file with this content or text."""
    return parse_suite(content if isinstance(content, str) else json.dumps(content), "f.yaml")


def faults(text: str) -> list[str]:
    """The faults of a file that must be refused."""
    with pytest.raises(SuiteError) as caught:
        parse_suite(text, "f.yaml")
    return list(caught.value.faults)


def assert_refused(text: str, sentence: str) -> None:
    """A file is refused in under a second with a fault that contains a sentence, and every fault has a place."""
    began = time.process_time()
    found = faults(text)
    assert time.process_time() - began < 1.0
    assert any(sentence in fault for fault in found), found
    assert all(fault.startswith("f.yaml:") for fault in found)
