"""``bench clean``: what takes up space and can be made again or is not needed."""

from collections.abc import Sequence

import click

from bench.cli.output import columns, confirm, note, say, size

KINDS = ("packs", "attempts", "checkpoints", "weights")


@click.command()
@click.argument("kinds", metavar="[KIND]...", nargs=-1, type=click.Choice(KINDS))
@click.option("--yes", is_flag=True, help="Do not ask.")
def clean(kinds: Sequence[str], yes: bool) -> None:
    """Show how much space each kind of files takes, and remove the kinds that are named.

    No number of a table is lost. Files of cells that are running are left alone.
    """
    from bench.api.removal import delete, find_waste

    waste = find_waste()
    say(
        columns(
            ("kind", "files", "size", ""), [(k, len(w.paths), size(w.size), w.description) for k, w in waste.items()]
        )
    )
    if not kinds:
        note("remove some of them with: bench clean KIND...")
        return
    chosen = [waste[kind] for kind in dict.fromkeys(kinds)]
    if not any(each.paths for each in chosen):
        note("there is nothing to remove")
        return
    if not yes:
        confirm(f"remove {', '.join(dict.fromkeys(kinds))} ({size(sum(each.size for each in chosen))})?")
    delete(path for each in chosen for path in each.paths)
    note("removed")
