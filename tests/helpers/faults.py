"""What a disturbed run must equal: the same run without a disturbance, to the bit."""

from contextlib import suppress
from pathlib import Path

import psutil
from helpers.cli import assert_equal_weights, bench, epochs_of, runs, table_of, undisturbed, weights_of

NAPPING = "nets.py:Napping"
"""A net that is long enough to be killed in, and whose dropout must be resumed."""


def assert_whole(project: Path, suite: str, uri: str = "") -> None:
    """The cells of a disturbed run equal those of an undisturbed one: weights, epochs, points in MLflow, and table."""
    peaceful = assert_same_bits(project, suite)
    expected = epochs_of(peaceful)
    found = runs(project, uri=uri)
    assert sorted(each["tags"]["bench.cell"] for each in found) == sorted(expected)
    for each in found:
        assert (each["status"], each["tags"]["bench.state"]) == ("FINISHED", "complete")
        epochs = expected[each["tags"]["bench.cell"]]
        for key, points in each["points"].items():
            assert [tuple(point) for point in points] == [(epoch, epochs[epoch][key]) for epoch in sorted(epochs)], key
    quiet = bench("report", suite, "--tracking-uri", f"sqlite:///{project}/none.db", env={"BENCH_HOME": str(peaceful)})
    uri = uri or f"sqlite:///{project}/mlflow.db"
    assert table_of(bench("report", suite, "--tracking-uri", uri).stdout) == table_of(quiet.stdout)


def assert_same_bits(project: Path, suite: str) -> Path:
    """Weights and epochs of a disturbed run equal those of an undisturbed one, whose BENCH_HOME is returned."""
    peaceful = undisturbed(project, suite)
    assert_equal_weights(weights_of(project / ".bench"), weights_of(peaceful))
    assert epochs_of(project / ".bench") == epochs_of(peaceful)
    return peaceful


def grandchildren() -> list[int]:
    """Living children of workers that run in the current folder: other tests have theirs elsewhere."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any("# grandchild" in word for word in process.info["cmdline"] or []):
            with suppress(psutil.Error):  # it has died since
                if Path(process.cwd()) == Path.cwd():
                    found.append(process.pid)
    return found
