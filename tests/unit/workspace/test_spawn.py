"""Entering a worker process."""

import multiprocessing
import os
from pathlib import Path

from bench.workspace.spawn import enter


def test_enter_leaves_terminal_and_variables_and_calls_by_name(tmp_path: Path) -> None:
    (tmp_path / "target.py").write_text(
        "import os, sys\n"
        "def run(word):\n"
        "    print(word, sorted(set(os.environ) - {'LC_CTYPE'}), os.getsid(0) == os.getpid())\n"
        "    sys.exit(3)\n"
    )
    log = tmp_path / "log.txt"
    log.write_text("before\n")
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_enter_in, args=(tmp_path, "target:run", str(log), {"ONLY": "this"}, "hello"))
    process.start()
    process.join(60)
    assert process.exitcode == 3
    assert log.read_text() == "before\nhello ['ONLY'] True\n"


def _enter_in(folder: Path, target: str, log: str, environment: dict[str, str], word: str) -> None:
    import sys

    os.chdir(folder)
    sys.path.insert(0, str(folder))
    enter(target, log, environment, word)
