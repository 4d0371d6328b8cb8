"""``python -m bench`` and the ``bench`` command."""

import gc

SELDOM = (50_000, 20, 20)
"""Thresholds of the garbage collector. Imports make a hundred thousand objects and no garbage: collecting as often as
Python does by default takes a quarter of the start-up time."""


def main() -> None:
    """Run the command line."""
    gc.set_threshold(*SELDOM)
    from bench.cli import cli

    try:
        cli(prog_name="bench")
    finally:
        gc.freeze()  # Python's last collection would look at all that was imported: 0.7 s after MLflow


if __name__ == "__main__":
    main()
