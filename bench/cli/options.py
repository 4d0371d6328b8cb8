"""Options and small helpers that several commands share."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from bench.errors import DataError, UsageError

if TYPE_CHECKING:
    from bench.prepared import Prepared
    from bench.tracking import Store
    from bench.values import DataKey, Outcome, Suite

Command = TypeVar("Command", bound=Callable[..., Any])


def complete_models(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of models for the shell."""
    from bench.catalog import MODELS, timm_names

    names = [f"timm/{name}" for name in timm_names()] if incomplete.startswith("timm/") else [*MODELS, "timm/"]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def complete_datasets(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of data sets for the shell."""
    from bench.catalog import DATASETS, FOLDER_PREFIX

    return [CompletionItem(name) for name in [*DATASETS, FOLDER_PREFIX] if name.startswith(incomplete)]


def suite_options(command: Command) -> Command:
    """``SUITE...``, ``--filter`` and ``--set``."""
    for decorate in (
        click.argument("paths", metavar="SUITE...", nargs=-1, type=click.Path()),
        click.option(
            "filters", "--filter", metavar="AXIS=GLOB", multiple=True, help="Only cells that match. Repeatable."
        ),
        click.option(
            "overrides", "--set", metavar="recipe.KEY=VALUE", multiple=True, help="Change the recipe of every cell."
        ),
    ):
        command = decorate(command)
    return command


max_images_option = click.option(
    "--max-images-per-class",
    type=click.IntRange(min=1),
    metavar="N",
    help="Train and test on the first N images of each class by a hash of their names: makes other cells.",
)
tracking_option = click.option(
    "tracking_uri",
    "--tracking-uri",
    metavar="URI",
    help="MLflow store. Default: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db in the current folder.",
)
json_option = click.option("as_json", "--json", is_flag=True, help="Print JSON.")


def all_overrides(overrides: Sequence[str], max_images_per_class: int | None) -> Sequence[str]:
    """The ``--set`` strings, with ``--max-images-per-class`` as one more."""
    if max_images_per_class is None:
        return overrides
    return [*overrides, f"recipe.max_images_per_class={max_images_per_class}"]


def load_suites(paths: Sequence[str], overrides: Sequence[str]) -> list["Suite"]:
    """Read all suite files; the faults of all of them are raised together.

    Raises:
        SuiteError: A file is wrong.
        UsageError: Two suites have the same name, or an override is wrong.
    """
    from bench.errors import SuiteError
    from bench.suite import load_suite

    suites: list[Suite] = []
    faults: list[str] = []
    for path in dict.fromkeys(paths):
        try:
            suites.append(load_suite(path, overrides=overrides))
        except SuiteError as error:
            faults.extend(error.faults)
    if faults:
        raise SuiteError(faults)
    names: dict[str, str] = {}
    for suite in suites:
        if suite.name in names:
            raise UsageError(
                f"{names[suite.name]} and {suite.path} are both called {suite.name!r}: a suite's name is its MLflow "
                "experiment's, so give one of them another"
            )
        names[suite.name] = suite.path
    return suites


def required(paths: Sequence[str]) -> Sequence[str]:
    """At least one suite file.

    Raises:
        UsageError: None was named.
    """
    if not paths:
        found = sorted(str(path) for path in Path("suites").glob("*.yaml"))
        raise UsageError("name a suite file" + (f", e.g. {found[0]} (there are {len(found)} here)" if found else ""))
    return paths


def select(suite: "Suite", filters: Sequence[str]) -> "Suite":
    """The suite with only the cells that the filters leave."""
    from bench.suite import filter_cells

    return filter_cells(suite, filters) if filters else suite


def known_outcomes(
    store: "Store | None", suite: "Suite", data: "Mapping[DataKey, Prepared] | None" = None
) -> tuple[dict[str, "Outcome"], dict[str, "Outcome"]]:
    """What the store knows of a suite's cells, and that merged with what their folders say, stale results marked.

    Runs whose process is gone are settled first, in the journals of this machine and in the store. ``data`` is what is
    known already of data sets as they are now.
    """
    from bench.history import local_outcomes, settle
    from bench.paths import bench_home
    from bench.plan import mark_stale, merge_outcomes

    home = bench_home()
    settle(suite, home)
    if store:
        store.settle_orphans(suite.name)
    stored = store.outcomes(suite.name) if store else {}
    merged = merge_outcomes(stored, local_outcomes(suite, home, stored))
    return stored, mark_stale(suite.cells, merged, current_digests(suite, merged, data or {}))


def current_digests(
    suite: "Suite", outcomes: "dict[str, Outcome]", data: "Mapping[DataKey, Prepared]"
) -> "dict[DataKey, str]":
    """Digests of the data of cells that have a result, as the data is now; images that changed are decoded for it."""
    from bench.catalog import FOLDER_PREFIX
    from bench.fetch import status
    from bench.paths import data_home
    from bench.prepared import look

    home = data_home()
    complete = [cell for cell in suite.cells if cell.id in outcomes and outcomes[cell.id].state == "complete"]
    digests = {}
    for key in dict.fromkeys(cell.data_key for cell in complete):
        found = data.get(key) or look(key, home)
        if not found and key[0].startswith(FOLDER_PREFIX) and status(key[0], home).state == "ready":
            found = packed([key])[key]
        digests[key] = found.digest if found else ""
    return digests


def packed(needed: "Iterable[DataKey]") -> "dict[DataKey, Prepared]":
    """Pack or index data sets once, so that all cells share them, and return what is known of each.

    Raises:
        DataError: One is broken; every such data set is named.
    """
    from bench.devices import cpu_cores
    from bench.launch import ask_worker
    from bench.paths import data_home
    from bench.prepared import look

    home = data_home()
    found = {key: look(key, home) for key in needed}
    missing = [key for key, known in found.items() if known is None]
    if missing:
        fields = ("dataset", "input_size", "max_images_per_class")
        requests = [{**dict(zip(fields, key, strict=True)), "data_home": str(home)} for key in missing]
        answers = ask_worker("pack", requests, threads=cpu_cores())
        if errors := [answer["error"] for answer in answers if "error" in answer]:
            raise DataError("\n".join(errors))
        found.update({key: look(key, home) for key in missing})
    if changed := [key[0] for key, known in found.items() if known is None]:
        raise DataError(f"{', '.join(changed)} changed while it was made ready; run again when nothing writes to it")
    return {key: known for key, known in found.items() if known is not None}


def open_store_if_there(tracking_uri: str | None) -> "Store | None":
    """Open the store for reading, or None if there is none yet: looking must not create one."""
    from bench.tracking import Store, resolve_uri, store_exists

    uri = resolve_uri(tracking_uri, Path.cwd())
    return Store(uri) if store_exists(uri) else None


def columns(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Aligned plain text columns, one line a row."""
    from tabulate import tabulate

    lines = [[" ".join(str(value).split("\n")).strip() for value in row] for row in rows]
    return str(tabulate(lines, headers, tablefmt="plain", disable_numparse=True))


def print_json(content: dict[str, Any]) -> None:
    """Print a JSON document with its schema version at the top."""
    click.echo(json.dumps({"schema": 1, **content}, indent=2))


def write_output(text: str, output: str | None) -> None:
    """Print to standard output, or replace a file whole.

    Raises:
        UsageError: The file cannot be written.
    """
    if output is None:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        return
    from bench.paths import write_atomically

    path = Path(output)
    check_writable(path)
    write_atomically(path, text if text.endswith("\n") else text + "\n")


def check_writable(path: Path) -> None:
    """Refuse an output path before work is done for it.

    Raises:
        UsageError: It is a folder, its folder does not exist, or nothing can be written there.
    """
    import tempfile

    if path.is_dir():
        raise UsageError(f"--output {path} is a folder: name a file in it")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            return
    except OSError as error:
        raise UsageError(f"--output {path} cannot be written: {error.strerror} ({path.parent.absolute()})") from error


def note(text: str) -> None:
    """Say something on standard error."""
    click.echo(text, err=True)
