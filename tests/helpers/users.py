"""An ordinary user for tests of permissions, also where root runs them: root may read and write everything."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Be a user without privileges in the block."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def open_folder() -> Iterator[Path]:
    """An empty folder that every user may enter: those of pytest lie in folders that are private to who runs it."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))  # TMPDIR may be private, too
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
