"""A worker process that trains a cell: what it imports, on the other side of the wall."""

import json
import time
from pathlib import Path

from helpers.cells import MakeCell
from helpers.runs import SLOT, attempt_of

from bench.scheduler.launcher import LocalLauncher
from bench.workspace.paths import CellFolder

MODEL = """
import json, pathlib, sys, torch
class Net(torch.nn.Sequential):
    def __init__(self, num_classes):
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, num_classes))
    def eval(self):  # called after an epoch of training
        pathlib.Path("modules.json").write_text(json.dumps(sorted(sys.modules)))
        return super().eval()
"""


def test_a_trained_worker_has_imported_neither_the_scheduler_nor_mlflow(project: Path, make_cell: MakeCell) -> None:
    (project / "nets.py").write_text(MODEL)
    cell = make_cell("nets.py:Net", input_size=8, epochs=1)
    folder = CellFolder.of(project / ".bench", cell.id)
    attempt = attempt_of(cell, folder, project / "data")
    handle = LocalLauncher().start(attempt, SLOT)
    deadline = time.monotonic() + 100
    while (code := handle.poll()) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert code == 0, folder.attempt(1).log.read_text()
    modules = json.loads((project / "modules.json").read_text())
    assert "bench.worker.train" in modules
    sides = ("bench.scheduler", "bench.cli", "bench.api", "bench.suite", "bench.tracking", "bench.report", "mlflow")
    assert [name for name in modules if name.startswith(sides)] == []
