"""Entering a worker process."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bench.errors import UsageError
from bench.workspace.spawn import MAX_SOCKET_FOLDER, shorten_socket_paths


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


SOCKET = (
    "import multiprocessing.util\nfrom multiprocessing.connection import Listener\n"
    "from bench.workspace.spawn import shorten_socket_paths\nshorten_socket_paths()\n"
    "Listener(family='AF_UNIX').close()\nprint(multiprocessing.util.get_temp_dir())"
)


@pytest.mark.parametrize("length", [10, 69, 76, 150])
def test_a_socket_can_be_made_however_deep_the_folder_of_temporary_files_is(length: int) -> None:
    folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="t"))
    deep = folder / ("d" * max(1, length - len(str(folder)) - 1))
    deep.mkdir()
    try:
        environment = {**os.environ, "TMPDIR": str(deep)}
        done = subprocess.run(
            [sys.executable, "-c", SOCKET], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(str(deep)) == (length <= MAX_SOCKET_FOLDER)
        assert list(deep.iterdir()) == []
        assert not Path(done.stdout.strip()).exists()
    finally:
        shutil.rmtree(folder)


def test_the_folder_of_temporary_files_stays_and_a_machine_without_a_short_one_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("d" * 100)))
    monkeypatch.setattr("bench.workspace.spawn.SHORT_FOLDERS", (str(tmp_path / "nowhere"),))
    monkeypatch.setattr("multiprocessing.process._current_process._config", {})
    with pytest.raises(UsageError, match="set TMPDIR to a shorter one"):
        shorten_socket_paths()
    assert tempfile.gettempdir() == str(tmp_path / ("d" * 100))
