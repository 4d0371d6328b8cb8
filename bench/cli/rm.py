"""``bench rm``: remove results, from the store and from this machine."""

import click

from bench.cli.options import tracking_option
from bench.cli.output import confirm, note, size
from bench.text import counted


@click.command()
@click.argument("name", metavar="SUITE|CELL")
@click.option("--yes", is_flag=True, help="Do not ask.")
@tracking_option
def rm(name: str, yes: bool, tracking_uri: str | None) -> None:
    """Remove the results of a suite (its name or its file) or of a cell (the beginning of its id).

    It says first what would be removed, and asks. The suite file itself stays.
    """
    from bench.api.outcomes import find_store
    from bench.api.removal import find_removal, remove

    store = find_store(tracking_uri)
    removal = find_removal(name, store)
    if not removal.folders and not removal.runs:
        note(f"{removal.name} has no results here")
        return
    folders = f"{counted(len(removal.folders), 'folder')} of cells ({size(removal.size)})"
    note(f"{removal.name}: {folders}, {counted(len(removal.runs), 'MLflow run')}")
    if removal.kept:
        note(f"kept on this machine, because another suite has them, too: {counted(len(removal.kept), 'cell')}")
    if not yes:
        confirm("remove them?")
    remove(removal, store)
    if store and removal.runs:
        note("removed; the runs are in MLflow's bin, and mlflow gc frees their files")
    else:
        note("removed")
