"""Charts of the classes of a row, from the predictions of its runs."""

from bench.report.charts.bars import confusion_map, per_class_bars
from bench.report.charts.chart import Chart, slug
from bench.report.classes import ClassReport
from bench.text import one_line


def class_charts(report: ClassReport) -> tuple[Chart, ...]:
    """The confusion matrix, where it can be read, and the accuracy of each class; means over the runs."""
    from bench.report.predictions import class_accuracies, mean_confusion

    each = class_accuracies(report.predictions)
    name, title = slug(f"{report.title} {report.label}"), one_line(f"{report.title}, {report.label}")
    runs = " ".join(run.run_id[:8] for run in report.runs if run.run_id) or "-"
    charts = (
        confusion_map(
            report.predictions[0].names,
            mean_confusion(report.predictions).tolist(),
            name=f"{name}-confusion",
            title=title,
            runs=runs,
        ),
        per_class_bars(
            [one.name for one in each],
            [one.accuracy.mean if one.accuracy else None for one in each],
            [one.images for one in each],
            name=f"{name}-classes",
            title=title,
            runs=runs,
        ),
    )
    return tuple(chart for chart in charts if chart is not None)
