"""Enter a worker process: leave the scheduler's terminal and variables, then call a function by its name.

The scheduler hands :func:`enter` to the fork server, which pickles it by name. It lives on both sides of the wall,
so that a worker process never imports :mod:`bench.scheduler` and the scheduler never imports :mod:`bench.worker`.
"""

import os
import tempfile
from collections.abc import Mapping
from multiprocessing import util
from pkgutil import resolve_name

from bench.errors import UsageError

MAX_SOCKET_FOLDER = 68
"""Longest folder of temporary files in bytes: a socket's path has at most 103 (macOS), and multiprocessing adds 33."""
SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")


def shorten_socket_paths() -> None:
    """Have multiprocessing keep the sockets of this process elsewhere if the folder of temporary files is too deep.

    Raises:
        UsageError: No other folder can be used.
    """
    if len(os.fsencode(tempfile.gettempdir())) <= MAX_SOCKET_FOLDER:
        return
    before = tempfile.tempdir
    try:
        for tempfile.tempdir in SHORT_FOLDERS:
            try:
                util.get_temp_dir()  # the first call decides for the life of the process, and removes the folder then
            except OSError:
                continue
            return
    finally:
        tempfile.tempdir = before
    raise UsageError(
        f"the folder of temporary files has too long a path for a socket, {tempfile.gettempdir()}; "
        "set TMPDIR to a shorter one"
    )


def enter(target: str, log: str, environment: Mapping[str, str], *arguments: object) -> None:
    """Run ``module:function`` in this process, which becomes the leader of a session of its own.

    Args:
        target: What to call, imported only now.
        log: File that standard output and error are appended to.
        environment: Replaces this process's variables.
        arguments: Passed on to the function.
    """
    os.setsid()  # so that signals reach all that the worker starts, and no terminal's Ctrl-C does
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    os.environ.clear()
    os.environ.update(environment)
    resolve_name(target)(*arguments)
