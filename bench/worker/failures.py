"""Why an attempt failed: its kind, a sentence, and the traceback on disk. Called by :mod:`bench.worker.main`."""

import sys
import traceback
from collections.abc import Iterator

from bench.errors import BenchError, DivergedError
from bench.values import Failure, FailureKind
from bench.workspace.files import write_atomically
from bench.workspace.paths import AttemptFolder

OUT_OF_MEMORY = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""Messages of CUDA and its libraries when they, and not torch's allocator, run out of memory."""


class KnownFailureError(BenchError):
    """What a net was found to fail with before its attempt began."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.error)
        self.failure = failure


def describe(error: BaseException) -> Failure:
    """An error as the answer to a request, with the traceback of what caused it."""
    kind, reason = classify(error)
    return Failure(error=reason, kind=kind, traceback="".join(traceback.format_exception(error)))


def classify(error: BaseException) -> tuple[FailureKind, str]:
    """The kind of a failure and a sentence for it."""
    import torch

    if isinstance(error, KnownFailureError):
        return error.failure.kind, str(error)
    for cause in causes(error):
        reported = isinstance(cause, RuntimeError) and any(words in str(cause) for words in OUT_OF_MEMORY)
        if reported or isinstance(cause, torch.OutOfMemoryError | MemoryError):
            return "oom", f"out of memory: {first_line(cause)}"
    if isinstance(error, DivergedError):
        return "diverged", str(error)
    if isinstance(error, BenchError):
        return "error", str(error)
    return "error", f"{type(error).__name__}: {first_line(error)}"


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error and those behind it, newest first: the error that ends a capture hides what went wrong in it."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def first_line(error: BaseException) -> str:
    """The first line of an error's text, cut to what fits a table's footnote."""
    return (str(error).strip().splitlines() or ["no message"])[0][:300]


def write_traceback(paths: AttemptFolder, text: str = "") -> None:
    """Write a traceback to the worker's log and to its own file; by default that of the current error."""
    text = text or traceback.format_exc()
    sys.stderr.write(text)
    write_atomically(paths.traceback, text)
