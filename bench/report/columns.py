"""The columns that a table can have: :data:`COLUMNS` is the registry that ``--columns`` and ``--sort`` choose from.

To add a column, add one entry: a heading, the text of a row and the value that it is sorted by. Texts are raw; each
format escapes them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bench.catalog.options import nearest
from bench.errors import UsageError
from bench.report.model import Row, Statistic
from bench.text import millions, percent

Value = float | str | None


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table."""

    heading: str
    description: str
    """What it shows, with its unit, as the reference of ``--columns`` shows it."""
    text: Callable[[Row], str]
    """What stands in a row, unescaped; ``-`` where there is nothing to show."""
    value: Callable[[Row], Value]
    """What it is sorted by; None where a row has nothing."""
    numeric: bool = True
    """Numbers are aligned right."""
    better: Literal["", "higher", "lower"] = ""
    """Which values are better, for marking the best; empty where neither is."""


def find_column(name: str) -> Column:
    """A column by name.

    Raises:
        UsageError: There is no such column.
    """
    if name not in COLUMNS:
        close = nearest(name, [*COLUMNS, *(column.heading for column in COLUMNS.values())])
        close = next((known for known, column in COLUMNS.items() if close == column.heading), close)
        hint = f"did you mean {close!r}? " if close else ""
        raise UsageError(f"unknown column {name!r}; {hint}valid columns: {', '.join(COLUMNS)}")
    return COLUMNS[name]


def accuracy(value: Statistic | None) -> str:
    """``93.76`` or ``93.76 ± 0.12 (n=3)``; ``-`` if there is no value."""
    if value is None:
        return "-"
    return percent(value.mean) + ("" if value.std is None else f" ± {percent(value.std)} (n={value.n})")


def _mean(value: Statistic | None) -> Value:
    return value.mean if value else None


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}".replace(",", " ")


def _text(key: str) -> Callable[[Row], str]:
    return lambda row: str(row.recipe.get(key, "-"))


def _recipe(key: str) -> Callable[[Row], Value]:
    def value(row: Row) -> Value:
        found = row.recipe.get(key)
        return found if isinstance(found, int | float) else None

    return value


COLUMNS: dict[str, Column] = {
    "model": Column(
        heading="Model", description="the net", text=lambda r: r.name, value=lambda r: r.name, numeric=False
    ),
    "schedule": Column(
        heading="Schedule",
        description="the learning-rate schedule, as the suite names it",
        text=lambda r: r.schedule,
        value=lambda r: r.schedule,
        numeric=False,
    ),
    "recipe": Column(
        heading="Recipe",
        description="what of the recipe differs between rows",
        text=lambda r: r.variant,
        value=lambda r: r.variant,
        numeric=False,
    ),
    "suite": Column(
        heading="Suite",
        description="the suite that the row is of",
        text=lambda r: r.suite,
        value=lambda r: r.suite,
        numeric=False,
    ),
    "epochs": Column(heading="Epochs", description="epochs", text=_text("epochs"), value=_recipe("epochs")),
    "batch": Column(
        heading="Batch", description="images per step", text=_text("batch_size"), value=_recipe("batch_size")
    ),
    "lr": Column(heading="lr", description="base learning rate", text=_text("lr"), value=_recipe("lr")),
    "params": Column(
        heading="Params(M)",
        description="trainable parameters, in millions",
        text=lambda r: millions(r.params),
        value=lambda r: r.params,
    ),
    "flops": Column(
        heading="Flops(M)",
        description="fvcore's total for one image, in millions of multiply-adds",
        text=lambda r: millions(r.flops, 1),
        value=lambda r: r.flops,
    ),
    "input": Column(
        heading="Input size",
        description="pixels",
        text=lambda r: f"{r.input_size}x{r.input_size}",
        value=lambda r: r.input_size,
    ),
    "top1": Column(
        heading="Top-1(%)",
        description="of the test set after the last epoch",
        text=lambda r: accuracy(r.top1),
        value=lambda r: _mean(r.top1),
        better="higher",
    ),
    "top5": Column(
        heading="Top-5(%)",
        description="of the test set after the last epoch",
        text=lambda r: accuracy(r.top5),
        value=lambda r: _mean(r.top5),
        better="higher",
    ),
    "best": Column(
        heading="Best top-1(%)",
        description="of the best epoch on the test set itself, so optimistic",
        text=lambda r: accuracy(r.best),
        value=lambda r: _mean(r.best),
        better="higher",
    ),
    "gap": Column(
        heading="Best - last",
        description="what choosing the epoch on the test set gains, in percentage points",
        text=lambda r: accuracy(r.gap),
        value=lambda r: _mean(r.gap),
    ),
    "loss": Column(
        heading="Test loss",
        description="of the last epoch",
        text=lambda r: _number(r.loss.mean if r.loss else None, 4),
        value=lambda r: _mean(r.loss),
        better="lower",
    ),
    "ece": Column(
        heading="ECE(%)",
        description="expected calibration error of the last epoch (Guo et al. 2017; 15 bins of equal width)",
        text=lambda r: accuracy(r.ece),
        value=lambda r: _mean(r.ece),
        better="lower",
    ),
    "time": Column(
        heading="Time(s)",
        description="wall time of a run, mean over its seeds, in seconds",
        text=lambda r: _number(r.seconds, 1),
        value=lambda r: r.seconds,
        better="lower",
    ),
    "images_s": Column(
        heading="Images/s",
        description="training images per second, evaluation and start-up excluded",
        text=lambda r: _number(r.images_per_s.mean if r.images_per_s else None, 0),
        value=lambda r: _mean(r.images_per_s),
        better="higher",
    ),
    "peak_mb": Column(
        heading="Peak(MB)",
        description="peak memory in megabytes, of the process on a CPU, of torch's allocator on a GPU",
        text=lambda r: _number(r.peak_mb.mean if r.peak_mb else None, 0),
        value=lambda r: _mean(r.peak_mb),
        better="lower",
    ),
    "latency": Column(
        heading="Latency(ms)",
        description="time that the finished net takes for one image, as bench measure --speed measured it",
        text=lambda r: _number(r.speed.latency_ms if r.speed else None, 2),
        value=lambda r: r.speed.latency_ms if r.speed else None,
        better="lower",
    ),
    "throughput": Column(
        heading="Throughput(images/s)",
        description="images per second of the finished net in batches of 64, as bench measure --speed measured it",
        text=lambda r: _number(r.speed.images_per_s if r.speed else None, 0),
        value=lambda r: r.speed.images_per_s if r.speed else None,
        better="higher",
    ),
    "seeds": Column(
        heading="Seeds",
        description="how many seeds have a result",
        text=lambda r: str(r.top1.n if r.top1 else 0),
        value=lambda r: r.top1.n if r.top1 else 0,
    ),
    "device": Column(
        heading="Device",
        description="what it was trained on",
        text=lambda r: ", ".join(dict.fromkeys(run.device for run in r.runs if run.device)) or "-",
        value=lambda r: ", ".join(dict.fromkeys(run.device for run in r.runs if run.device)),
        numeric=False,
    ),
    "state": Column(
        heading="State",
        description="complete, or why there is no figure",
        text=lambda r: r.state,
        value=lambda r: r.state,
        numeric=False,
    ),
    "run": Column(
        heading="Run",
        description="the MLflow runs, first eight digits of their ids",
        text=lambda r: " ".join(run.run_id[:8] for run in r.runs if run.run_id) or "-",
        value=lambda r: r.runs[0].run_id if r.runs else "",
        numeric=False,
    ),
}
"""Name -> column, in the order in which they are offered."""
