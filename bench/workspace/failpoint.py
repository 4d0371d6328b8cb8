"""Failpoints: named places at which tests kill the process, to prove that nothing is lost there.

``BENCH_FAILPOINT=NAME=FILE`` kills the process at the place called NAME with SIGKILL, once per time that FILE can be
deleted: a test writes the file again for another kill. Without the variable a failpoint does nothing.
"""

import os
import signal
from pathlib import Path


def failpoint(name: str) -> None:
    """Kill this process if a test has set this failpoint."""
    wanted, _, token = os.environ.get("BENCH_FAILPOINT", "").partition("=")
    if wanted != name:
        return
    try:
        Path(token).unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
