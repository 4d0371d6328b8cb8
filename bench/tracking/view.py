"""What the MLflow UI shows first of a suite: its training runs with accuracy and cost, and charts of accuracy.

MLflow keeps a view that people share as a tag of the experiment and opens it by its key in the address. ``bench ui``
writes the same tag. Without it the address still opens the training runs, with MLflow's own columns and charts.
"""

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from bench.errors import TrackingError, UsageError
from bench.tracking.runs import Store

if TYPE_CHECKING:
    from mlflow.entities import Experiment

VIEW_KEY = "bench"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW_KEY}"
NAME = "attributes.`Run Name`"
CREATED = "runDateAndNestInfo"
COLUMNS = (
    "metrics.`test/top1`",
    "metrics.`test/top5`",
    "metrics.`cost/params_m`",
    "metrics.`cost/flops_m`",
    "metrics.`time/total_s`",
    "metrics.`train/loss`",
    "params.`dataset`",
    "params.`schedule`",
    "params.`lr`",
    "params.`epochs`",
    "params.`seed`",
)
"""As MLflow's UI writes them."""

CURVES = ("test/top1", "test/top5", "test/loss", "train/loss", "train/lr")
"""The metrics whose charts come first. MLflow sorts sections by name, which would begin with charts of constants; it
adds those of the other metrics after these."""


def view_state() -> str:
    """The content of the tag: best accuracy first, without runs that a rerun has replaced."""
    state = {
        "selectedColumns": COLUMNS,
        "columnOrder": [NAME, CREATED, *COLUMNS],
        # whole names, and narrow numbers, so that accuracy and cost stand beside MLflow's own panels
        "columnWidths": {NAME: 340, CREATED: 145, **dict.fromkeys(COLUMNS, 88)},
        "orderByKey": COLUMNS[0],
        "orderByAsc": False,
        "searchFilter": "tags.`bench.state` != 'superseded'",
        "compareRunSections": [
            {"uuid": name, "name": name, "display": True, "isReordered": True}
            for name in dict.fromkeys(metric.split("/")[0] for metric in CURVES)
        ],
        "compareRunCharts": [_curve(metric) for metric in CURVES],
        "isAccordionReordered": True,  # or MLflow would sort the sections by name
    }
    return json.dumps(state, separators=(",", ":"))


def _curve(metric: str) -> dict[str, object]:
    """A chart of a metric over the epochs, with the keys that MLflow's UI gives to a chart of its own."""
    section, name = metric.split("/")
    return {
        "uuid": metric,
        "type": "LINE",
        "metricKey": metric,
        "metricSectionId": section,
        "displayName": name,
        "isGenerated": True,
        "deleted": False,
        "runsCountToCompare": 10,
        "lineSmoothness": 0,
        "xAxisKey": "step",
        "xAxisScaleType": "linear",
        "scaleType": "linear",
        "selectedXAxisMetricKey": "",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "range": {},
        "ignoreOutliers": False,
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
    }


def address_of(server: str, experiment_id: str) -> str:
    """Where the UI of a server shows the training runs of an experiment."""
    page = f"experiments/{experiment_id}/runs?workflowType=machine_learning&viewStateShareKey={VIEW_KEY}"
    return f"{server.rstrip('/')}/#/{page}"


def report_address(server: str, store: Store, experiment_id: str) -> str | None:
    """Where the UI shows the tables and the report of an experiment's suite; None if the suite has none yet.

    Raises:
        TrackingError: The store cannot be read.
    """
    with store.translated("cannot be read"):
        own = next(store.search([experiment_id], "tags.`bench.suite_run` = 'true'"), None)
    if own is None:
        return None
    return f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs/{own.info.run_id}/artifacts"


def experiment_to_show(store: Store, suite: str | None) -> str | None:
    """The id of a suite's experiment, by default of the one that was written last; None if there is none.

    Raises:
        UsageError: The suite has no runs in the store.
        TrackingError: The store cannot be read.
    """
    with store.translated("cannot be read"):
        found = store.client.search_experiments(
            filter_string="tags.`bench.suite` LIKE '%'", order_by=["last_update_time DESC"]
        )
    names = {each.tags["bench.suite"]: each for each in reversed(found)}
    if suite is not None and suite not in names:
        there = f"; there are: {', '.join(sorted(names))}" if names else ""
        raise UsageError(f"the suite {suite!r} has no runs in the store{there}")
    chosen = found[0] if suite is None and found else names.get(suite or "")
    if chosen is None:
        return None
    _keep_view(store, chosen)
    experiment_id: str = chosen.experiment_id
    return experiment_id


def _keep_view(store: Store, experiment: "Experiment") -> None:
    """Write the view into the experiment; a store that is read-only does without."""
    if experiment.tags.get(VIEW_TAG) != view_state():
        with suppress(TrackingError), store.translated("cannot be written"):
            store.client.set_experiment_tag(experiment.experiment_id, VIEW_TAG, view_state())
