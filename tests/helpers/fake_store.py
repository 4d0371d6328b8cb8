"""A store without MLflow that remembers what was asked of it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any


class FakeStore:
    """A store, and its client, that keeps the calls that write."""

    uri = "sqlite:////fake.db"

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.points: dict[str, set[int]] = {}
        self.ended: dict[str, str] = {}
        self.client = self

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda run_id, *arguments, **options: self.calls.append((name, *arguments, *options.values()))

    def check_present(self) -> None:
        pass

    def translated(self, _: str) -> AbstractContextManager[None]:
        return nullcontext()

    def begin(self, *_: object, newest: bool, title: str) -> str:
        return "run"

    def folded(self, _: str, tags: Mapping[str, str]) -> Mapping[str, str]:
        return tags

    def steps(self, *_: object) -> dict[str, set[int]]:
        return self.points

    def ended_runs(self, _: str) -> dict[str, str]:
        return self.ended

    def log_batch(self, _: str, *, metrics: list[Any], tags: list[Any]) -> None:
        self.calls.append(("log_batch", len(metrics)))
        for metric in metrics:
            self.points.setdefault(metric.key, set()).add(metric.step)

    def names(self) -> list[str]:
        """The names of the calls since the last time."""
        names, self.calls = [name for name, *_ in self.calls], []
        return names
