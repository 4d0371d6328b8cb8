"""What bench does, callable from Python: every command of the command line is one call of a function of this room.

Nothing here prints, reads a terminal or exits: faults are raised as :mod:`bench.errors`, and the caller passes in what
shows progress. The functions below are the public ones, also reached as ``bench.run`` and so on. A package and not one
file, because the steps of a run (:mod:`bench.api.run`) should fit on a page.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pandas import DataFrame

    from bench.api.nets import TrainedNet
    from bench.api.options import RunResult
    from bench.scheduler.attempts import RunObserver
    from bench.values import Cost, Plan, Stem, Suite


def load_suite(path: str | Path, *, overrides: Sequence[str] = ()) -> "Suite":
    """Read a suite file. ``overrides`` are ``recipe.KEY=VALUE`` strings that change the recipe of every cell.

    Raises:
        SuiteError: The file is wrong; every fault is named with its line and column.
    """
    from bench.suite import load_suite as load

    return load(str(path), overrides=overrides)


def plan(suite: "Suite", *, tracking_uri: str | None = None) -> "Plan":
    """What :func:`run` would do with a suite: every cell with its state, params, FLOPs and estimated time.

    Raises:
        TrackingError: The store cannot be read.
    """
    from bench.api.outcomes import find_store
    from bench.api.plans import plan_suite

    return plan_suite(suite, find_store(tracking_uri))


def run(suite: "Suite", *, observer: "RunObserver | None" = None, **options: object) -> "RunResult":
    """Train the cells of a suite that have no result, and return the outcomes and tables.

    Cells run in processes of their own. Interrupting saves the running cells; the same call continues.

    Args:
        suite: What to run.
        observer: Is told when cells start, advance and end.
        **options: Fields of :class:`bench.api.options.RunOptions`, e.g. ``max_cells=2`` or ``offline=True``.

    Raises:
        UsageError: An option is unknown or does not fit.
        TrackingError: The store cannot be used.
        DataError: Data is missing and cannot be downloaded.
        DiskError: BENCH_HOME cannot be written.
    """
    from bench.api.options import Caller, make_options
    from bench.api.run import run_suites
    from bench.scheduler.attempts import SilentObserver

    caller = Caller(display=lambda _: nullcontext(observer or SilentObserver()))
    [result] = run_suites([suite], make_options(options), caller)
    return result


def results(
    suites: "Suite | Sequence[Suite] | None" = None,
    *,
    by: "Literal['cell', 'row']" = "cell",
    tracking_uri: str | None = None,
) -> "DataFrame":
    """The results of suites, in their order: one row per cell, or one per row of a table.

    By cell: axes, recipe, state, accuracies in percent, cost, speed and run id, see
    :func:`bench.report.frame.results_frame`. By row: the columns of ``bench report --format csv``, e.g. ``top1_mean``,
    ``top1_std`` (of the seeds, NaN for one) and ``top1_n``.

    Args:
        suites: One suite, several, or None for every suite that has results.
        by: ``cell`` or ``row``.
        tracking_uri: The store; by default the one in use.

    Raises:
        UsageError: There is no suite, two have one name, or ``by`` is another word.
        TrackingError: The store cannot be read.
    """
    from bench.api.frames import results_of

    return results_of(suites, by, tracking_uri)


def curves(suites: "Suite | Sequence[Suite] | None" = None, *, tracking_uri: str | None = None) -> "DataFrame":
    """One row per cell and epoch: losses, learning rate and accuracies, from the journals on this machine.

    Args:
        suites: One suite, several, or None for every suite that has results.
        tracking_uri: The store that is asked which suites there are.

    Raises:
        UsageError: There is no suite, or two have one name.
        TrackingError: The store cannot be read.
    """
    from bench.api.frames import curves_of

    return curves_of(suites, tracking_uri)


def predictions(run: str, *, tracking_uri: str | None = None) -> "DataFrame":
    """What the net of a finished run says about each test image: one row per image, in the order of the test set.

    Columns: ``image`` (its index), ``file`` (``CLASS/NAME``, where images are files of this machine), ``label`` and
    ``label_name`` (the true class), ``predicted``, ``predicted_name`` and ``score`` (the likeliest class and its
    probability), the same with ``_2`` to ``_5`` for the next ones, and ``correct``.

    Args:
        run: An MLflow run's id, a cell's id, or the beginning of one.
        tracking_uri: The store; by default the one in use.

    Raises:
        UsageError: No finished run, or several, are meant.
        MissingFileError: Its predictions are no longer there.
        TrackingError: The store cannot be read.
    """
    from bench.api.outcomes import find_store
    from bench.api.run_files import find_run
    from bench.api.run_predictions import predictions_of

    return predictions_of(find_run(run, find_store(tracking_uri)))


def load_net(run: str, *, check: bool = True, device: str = "cpu", tracking_uri: str | None = None) -> "TrainedNet":
    """The net of a finished run with its weights: a torch module in eval mode, built as it was for training.

    Its attribute ``card`` (:class:`bench.worker.weights.NetCard`) has ``classes``, ``input_size``, ``mean``,
    ``deviation`` and ``normalise``, which makes uint8 images into what the net takes. Imports torch into this process,
    and for a net of a file the code of that file.

    Args:
        run: An MLflow run's id, a cell's id, or the beginning of one.
        check: Test the net on its test set first: a net of another stem can have the same names of weights.
        device: Where it is put and tested, e.g. ``cuda``.
        tracking_uri: The store; by default the one in use.

    Raises:
        UsageError: No finished run, or several, are meant.
        MissingFileError: Its weights are no longer there.
        ModelError: The weights are damaged, or are not of the net that is built today, or its top-1 is not the
            recorded one.
        DataError: The data set is needed and is missing.
        TrackingError: The store cannot be read.
    """
    from bench.api.nets import load_net as load

    return load(run, check=check, device=device, tracking_uri=tracking_uri)


def report(
    suites: "Suite | Sequence[Suite] | None" = None,
    *,
    format: str = "markdown",  # noqa: A002 - the command's word
    best: bool = False,
    columns: str | Sequence[str] = (),
    sort: str = "",
    highlight: bool = False,
    pivot: str = "",
    title: str = "",
    separate: bool = False,
    against: str | Path = "",
    tracking_uri: str | None = None,
) -> str:
    """The tables of one suite, several, or every one that has results as text, in a format of ``bench report``.

    The cell of a notebook shows them as tables.

    The other arguments are that command's options, e.g. ``columns="model,top1,time"`` or ``sort="top1:asc"``; see
    :func:`bench.report.layout.make_layout`. Formats for programs (JSON, CSV) have every figure whatever they say.
    ``against`` is the JSON of an older report, which the tables are compared with.

    Raises:
        UsageError: There is no such format, column or pivot, no suite, two of one name, or nothing to compare with.
        TrackingError: The store cannot be read.
    """
    from bench.api.against import check_options, compare
    from bench.api.outcomes import choose_suites, find_store
    from bench.api.reports import draw, make_reports
    from bench.report.layout import make_layout
    from bench.report.notebook import ReportText
    from bench.report.render import find_format

    find_format(format)
    layout = make_layout(columns=columns, sort=sort, highlight=highlight, pivot=pivot, title=title, separate=separate)
    check_options(str(against) or None, None, format)
    store = find_store(tracking_uri)
    reports, _ = make_reports(choose_suites(suites, store), store, format, best, layout=layout)
    if against:
        reports = compare(reports, str(against), partial=False)
    return ReportText.of(draw(reports, format), reports)


def measure(
    model: str,
    *,
    dataset: str | None = None,
    input_size: int | None = None,
    num_classes: int | None = None,
    stem: "Stem | None" = None,
) -> "Cost":
    """Params and FLOPs of a net for one image; one multiply-add counts as one flop.

    Raises:
        UsageError: The net or the data set is unknown, or the net has no such stem.
        ModelError: The net cannot be built or measured.
    """
    from bench.api.measuring import measure_models

    [measured] = measure_models([model], dataset=dataset, input_size=input_size, num_classes=num_classes, stem=stem)
    return measured.cost


_FUNCTIONS = (load_suite, plan, run, results, curves, predictions, load_net, report, measure)
PUBLIC = {function.__name__: function for function in _FUNCTIONS}
"""The functions by name. Importing :mod:`bench.api.run` puts that module in the place of the attribute ``run``."""
