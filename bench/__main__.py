"""``python -m bench`` and the ``bench`` command."""


def main() -> None:
    """Run the command line."""
    from bench.cli import cli

    cli(prog_name="bench")


if __name__ == "__main__":
    main()
