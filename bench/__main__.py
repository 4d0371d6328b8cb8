"""``python -m bench`` and the ``bench`` command."""

import gc
import sys
from pathlib import Path

SELDOM = (50_000, 20, 20)
"""Thresholds of the garbage collector. Imports make a hundred thousand objects and no garbage: collecting as often as
Python does by default takes a quarter of the start-up time."""


def main() -> None:
    """Run the command line."""
    gc.set_threshold(*SELDOM)
    search_current_folder_last()
    from bench.cli import cli

    try:
        cli(prog_name="bench")
    finally:
        gc.freeze()  # Python's last collection would look at all that was imported: 0.7 s after MLflow


def search_current_folder_last() -> None:
    """Have a file called ``random.py`` in the current folder hide no library, as ``python -m`` would.

    A checkout of bench itself stays where it is.
    """
    here, checkout = Path.cwd(), Path(__file__).absolute().parents[1]
    if sys.path and sys.path[0] in ("", str(here)) and here != checkout:
        sys.path.append(sys.path.pop(0))


if __name__ == "__main__":
    main()
