"""Write the tables of the installed MLflow, with an experiment and three runs in them, as SQL.

``python tests/helpers/dump_mlflow_store.py OUTPUT.sql`` in an environment with an old MLflow, which needs nothing else,
makes the stores in tests/helpers/stores/ that bench must be able to read.
"""

import json
import re
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric

SUITE = "old"
COMPLETE, FAILED = "c0ffee000001", "c0ffee000002"
"""Ids of the cells."""


def fill(client: MlflowClient) -> None:
    """Write an experiment: a superseded and a complete run of one cell, a failed run of another, the suite's run."""
    experiment = client.create_experiment(SUITE, artifact_location="/store/mlruns/old", tags={"bench.suite": SUITE})
    cells = [
        (1, COMPLETE, "complete", 50.0, {"bench.superseded": "true"}),
        (2, COMPLETE, "complete", 91.0625, {}),
        (3, FAILED, "failed", None, {}),
    ]
    for start_ms, cell_id, state, top1, more_tags in cells:
        outcome = json.dumps({"top1": top1, "epochs_done": 2, "epochs": 2, "state": state})
        tags = {"bench.cell": cell_id, "bench.outcome": outcome, "bench.state": state, **more_tags}
        run_id = client.create_run(experiment, start_time=start_ms, tags=tags, run_name=cell_id).info.run_id
        client.log_batch(run_id, metrics=[Metric("test/top1", top1 or 0.0, start_ms, step) for step in (1, 2)])
        client.set_terminated(run_id, "FINISHED" if state == "complete" else "FAILED", end_time=start_ms)
    tags = {"bench.suite_run": "true", "bench.suite": SUITE, "bench.suite_file": "suites/old.yaml"}
    client.create_run(experiment, start_time=4, tags=tags, run_name=f"suite {SUITE}")


def dump(database: Path) -> str:
    """All tables and rows as SQL, one statement per line."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("DELETE FROM experiments WHERE name = 'Default'")  # it names a folder of this machine
        statements = [re.sub(r"\s+", " ", line) for line in connection.iterdump()]
    return "".join(f"{statement}\n" for statement in statements)


def main() -> None:
    """Write the dump to the path of the command line."""
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "mlflow.db"
        fill(MlflowClient(f"sqlite:///{database}"))
        Path(sys.argv[1]).write_text(dump(database), encoding="utf-8")


if __name__ == "__main__":
    main()
