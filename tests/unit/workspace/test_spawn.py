"""Entering a worker process."""

import subprocess
import sys
from pathlib import Path


def test_enter_leaves_terminal_and_variables_and_calls_by_name(tmp_path: Path) -> None:
    (tmp_path / "target.py").write_text(
        "import os, sys\n"
        "def run(word):\n"
        "    print(word, sorted(set(os.environ) - {'LC_CTYPE'}), os.getsid(0) == os.getpid())\n"
        "    sys.exit(3)\n"
    )
    log = tmp_path / "log.txt"
    log.write_text("before\n")
    code = (
        "import sys\nsys.path.insert(0, sys.argv[1])\nfrom bench.workspace.spawn import enter\n"
        "enter('target:run', sys.argv[2], {'ONLY': 'this'}, 'hello')"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path), str(log)], timeout=60, check=False)
    assert done.returncode == 3
    assert log.read_text() == "before\nhello ['ONLY'] True\n"
