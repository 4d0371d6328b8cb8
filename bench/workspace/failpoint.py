"""Named places at which tests have a process killed, to prove that nothing is lost there.

``BENCH_FAILPOINT=NAME=FILE`` kills the process at the place called NAME with SIGKILL, once for each time that FILE can
be removed: a test writes the file again for another kill. Without the variable a failpoint does nothing.
"""

import os
import signal
from pathlib import Path


def failpoint(name: str) -> None:
    """Die here if a test asks for it."""
    wanted, _, token = os.environ.get("BENCH_FAILPOINT", "").partition("=")
    if wanted != name:
        return
    try:
        Path(token).unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
