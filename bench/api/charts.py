"""The charts of a report as files."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import DISK_ERRORS, DiskError, UsageError
from bench.text import counted, one_line

if TYPE_CHECKING:
    from bench.api.options import Note
    from bench.report.charts import Chart
    from bench.report.model import Report
    from bench.tracking import Store
    from bench.values import Suite

SVG_POINTS = 2_000
"""A chart with more points is written as PNG only: its SVG would take megabytes and seconds."""


def prepare_folder(path: Path, option: str) -> Path:
    """A folder to write files into, made if need be, before work is done for it.

    Raises:
        UsageError: It is a file, or nothing can be written there.
    """
    if path.exists() and not path.is_dir():
        raise UsageError(f"{option} {path} is a file: name a folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        raise UsageError(f"{option} {path} cannot be written: {error.strerror}") from error


def plot_reports(reports: "Sequence[Report]", folder: Path, note: "Note") -> None:
    """Write the charts of all tables of reports; see :func:`write_charts`."""
    from bench.workspace.paths import bench_home

    whole = replace(
        reports[0],
        tables=tuple(table for report in reports for table in report.tables),
        suites=tuple(dict.fromkeys(suite for report in reports for suite in report.suites)),
    )
    write_charts(whole, bench_home(), folder, note)


def plot_classes(suites: "Sequence[Suite]", store: "Store | None", name: str, folder: Path, note: "Note") -> None:
    """Write the confusion matrix and the accuracy of each class of a row; ``name`` means the row.

    Raises:
        UsageError: No row or several rows are meant.
        MissingFileError: None of its runs has predictions.
        DiskError: The folder is full, or can no longer be written.
    """
    from bench.api.classes import class_report
    from bench.report.charts.classes import class_charts

    draw_charts(class_charts(class_report(suites, store, name)), folder, note)


def write_charts(report: "Report", home: Path, folder: Path, note: "Note") -> list[Path]:
    """Draw every chart of a report as SVG and PNG; ``note`` takes a sentence on what was written and what was not.

    Curves come from the journals below ``home``. A chart that cannot be drawn costs no other.

    Raises:
        DiskError: The folder is full, or can no longer be written.
    """
    from bench.report.charts import make_charts
    from bench.report.curves import curve_records

    return draw_charts(make_charts(report, curve_records(report.suites, home), note), folder, note)


def draw_charts(charts: "Sequence[Chart]", folder: Path, note: "Note") -> list[Path]:
    """Write charts as pictures; arguments and errors as in :func:`write_charts`."""
    from bench.report.charts.collect import failed

    written: list[Path] = []
    for chart in charts:
        try:
            written += _write(chart, folder)
        except OSError as error:
            if error.errno in DISK_ERRORS:
                raise DiskError(f"{folder}: {error.strerror}") from error
            note(f"{chart.name} was not written: {error.strerror} ({folder})")
        except Exception as error:  # whatever the drawing library raises
            note(failed(chart.name, error))
    if written:
        note(f"{counted(len(written), 'picture')} of {counted(len(charts), 'chart')} written to {folder}:")
        for chart in charts:
            files = [path.suffix[1:] for path in written if path.stem == chart.name]
            note(f"  {chart.name} ({', '.join(files) or 'failed'}): {one_line(chart.title)}")
    else:
        note(f"--plots: nothing to draw, because nothing has a figure yet; {folder} is as it was")
    return written


def _write(chart: "Chart", folder: Path) -> Sequence[Path]:
    from bench.report.charts import to_png, to_svg
    from bench.workspace.files import write_atomically

    files: dict[Path, str | bytes] = {}
    if chart.points <= SVG_POINTS:
        files[folder / f"{chart.name}.svg"] = to_svg(chart)
    files[folder / f"{chart.name}.png"] = to_png(chart)
    for path, content in files.items():
        write_atomically(path, content)
    return list(files)
