"""How a worker names what ended its cell."""

import pytest
import torch

from bench.worker.failures import classify


def raised(error: Exception, before: Exception | None = None) -> Exception:
    """The error as it arrives, on top of another."""
    try:
        try:
            raise before or error
        except Exception:
            if before is None:
                raise
            raise error  # noqa: B904 - as torch's own context manager does
    except Exception as caught:
        return caught


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        MemoryError(),
    ],
    ids=["allocator", "driver", "cuBLAS", "host"],
)
def test_memory_that_ran_out_is_out_of_memory_whoever_says_so(error: Exception) -> None:
    assert classify(raised(error))[0] == "oom"


def test_a_capture_that_ran_out_of_memory_is_out_of_memory() -> None:
    text = "CUDA error: operation failed due to a previous error during capture"
    kind, reason = classify(raised(RuntimeError(text), torch.OutOfMemoryError("CUDA out of memory.")))
    assert (kind, reason) == ("oom", "out of memory: CUDA out of memory.")
    assert classify(raised(RuntimeError(text)))[0] == "error"
