"""``bench show``: everything that is known of one cell."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bench.cli.options import json_option, tracking_option
from bench.cli.output import columns, note, print_json, say
from bench.text import percent

if TYPE_CHECKING:
    from bench.api.cells import FoundCell
    from bench.values import Outcome


@click.command()
@click.argument("cell")
@tracking_option
@json_option
def show(cell: str, tracking_uri: str | None, as_json: bool) -> None:
    """Show everything that is known of one cell; CELL is the beginning of its id, as bench plan lists it."""
    from bench.api.cells import find_cell, outcome_of
    from bench.api.outcomes import find_readable_store

    store = find_readable_store(tracking_uri, note)
    found = find_cell(cell, store)
    outcome = outcome_of(found, store)
    if as_json:
        print_json(
            {
                "cell": {"id": found.cell.id, **asdict(found.cell)},
                "suites": [suite.name for suite in found.suites],
                "outcome": asdict(outcome),
                "folder": str(found.folder.root),
            }
        )
        return
    rows = [row for row in [*of_cell(found), *of_outcome(outcome), *of_folder(found)] if row[1]]
    say(columns((), rows))


def of_cell(found: "FoundCell") -> list[tuple[str, str]]:
    """What the cell is."""
    from bench.recipe import describe_recipe

    cell = found.cell
    return [
        ("cell", cell.id),
        ("suites", ", ".join(suite.name for suite in found.suites)),
        ("model", f"{cell.model} ({cell.recipe.stem} stem)"),
        ("data set", cell.dataset),
        ("schedule", f"{cell.schedule_name}: {cell.schedule}"),
        ("seed", str(cell.seed)),
        ("recipe", describe_recipe(cell.recipe)),
    ]


def of_outcome(outcome: "Outcome") -> list[tuple[str, str]]:
    """What came of it."""
    from bench.scheduler.estimates import duration

    def text(value: float | None, form: str) -> str:
        return "" if value is None else form.format(value)

    cost = outcome.cost
    return [
        ("state", outcome.state + (f" ({outcome.kind})" if outcome.kind else "")),
        ("reason", outcome.reason),
        ("stale", outcome.stale),
        ("epochs", f"{outcome.epochs_done} of {outcome.epochs}" if outcome.epochs else ""),
        ("top-1", "" if outcome.top1 is None else f"{percent(outcome.top1)}%"),
        ("top-5", "" if outcome.top5 is None else f"{percent(outcome.top5)}%"),
        ("test loss", text(outcome.test_loss, "{:.4f}")),
        ("params", f"{cost.params:,}" if cost else ""),
        ("flops", f"{cost.flops:,}" if cost else ""),
        ("time", "" if outcome.total_s is None else duration(outcome.total_s)),
        ("images/s", text(outcome.images_per_s, "{:,.0f}")),
        ("memory", text(outcome.peak_mb, "{:,.0f} MB")),
        ("device", outcome.device),
        ("computed", outcome.mode),
        ("commit", outcome.commit),
        ("MLflow run", outcome.run_id),
    ]


def of_folder(found: "FoundCell") -> list[tuple[str, str]]:
    """Where its files are on this machine."""
    folder = found.folder
    files = [folder.weights, folder.predictions, folder.environment]
    attempts = folder.attempts()
    return [
        ("folder", str(folder.root) if folder.root.is_dir() else ""),
        ("attempts", str(len(attempts)) if attempts else ""),
        ("files", ", ".join(file.name for file in files if file.exists())),
        ("log", str(attempts[-1].log) if attempts else ""),
        ("traceback", str(attempts[-1].traceback) if attempts and attempts[-1].traceback.exists() else ""),
    ]
