"""Every exception that bench raises on purpose.

::

    BenchError                        exit 1   a fault that a person can fix; its text says how
    ├── UsageError                    exit 2   the command line, or a file that it names, is wrong
    │   └── SuiteError                exit 2   all faults of suite files, each FILE:LINE:COLUMN: sentence
    ├── DataError                     exit 3   a data set is missing, incomplete or broken
    ├── TrackingError                 exit 3   the tracking store cannot be used
    │   └── DeletedExperimentError    exit 3   a suite's experiment was deleted in the store
    ├── DiskError                     exit 3   BENCH_HOME cannot be written: the disk is full or read-only
    ├── ModelError                    exit 1   a net cannot be built or measured as asked
    ├── DivergedError                 exit 1   the loss of a cell is no longer a finite number
    └── InterruptedTrainingError               a worker was asked to stop; its state is saved

The command line prints the text and exits with ``exit_code``; a worker writes it to its journal. Subclasses that one
module raises and catches itself stand in that module.
"""

import errno
from collections.abc import Sequence

DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.EFBIG})
"""Error numbers of a disk that is full, over quota, read-only, broken or gone. They are no fault of a cell, so no cell
is marked as failed because of them."""


class BenchError(Exception):
    """A fault that a person can fix. The text is shown as it is, without a traceback."""

    exit_code = 1


class UsageError(BenchError):
    """The command line or a file it names is wrong."""

    exit_code = 2


class SuiteError(UsageError):
    """All faults of a suite file at once."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class DataError(BenchError):
    """A data set is missing, incomplete or broken."""

    exit_code = 3


class DiskError(BenchError):
    """The folder of cells cannot be written."""

    exit_code = 3


class TrackingError(BenchError):
    """The tracking store cannot be opened, read or written."""

    exit_code = 3


class DeletedExperimentError(TrackingError):
    """Somebody deleted a suite's experiment in the store; bench does not restore it."""


class ModelError(BenchError):
    """A net cannot be built or measured as asked."""


class DivergedError(BenchError):
    """The loss of a cell is no longer a finite number."""


class InterruptedTrainingError(BenchError):
    """A worker was asked to stop while it trained; its state is saved, and another attempt resumes from it."""
