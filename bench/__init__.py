"""Results tables of image classification, made from real runs.

The functions of :mod:`bench.api` are the public ones; nothing is imported before one of them is used.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.api import curves, load_net, load_suite, measure, plan, predictions, report, results, run

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "curves",
    "load_net",
    "load_suite",
    "measure",
    "plan",
    "predictions",
    "report",
    "results",
    "run",
]


class _Package(ModuleType):
    """This module, with functions that are imported when they are used (PEP 562)."""

    def __getattr__(self, name: str) -> object:
        if name in __all__:
            from bench import api

            return api.PUBLIC[name]
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def __setattr__(self, name: str, value: object) -> None:
        """Keep ``bench.report`` the function: importing the room bench.report would put the module in its place."""
        if name not in __all__:
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *__all__})


sys.modules[__name__].__class__ = _Package
