"""Run the code of a net, which may do anything: what it raises becomes a sentence, what it changes is put back.

Called by :mod:`bench.worker.models` to build nets and by :mod:`bench.worker.check` to try them. What no code can put
back (a crash, a hang, an exit below Python) is the scheduler's business, see :mod:`bench.scheduler.calls`.
"""

import os
import random
import signal
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import torch
from torch import nn

import bench
from bench.errors import ModelError
from bench.model_names import base_name
from bench.worker.failures import first_line

IMAGES = 2
"""Images that a net is tried with: batch normalisation needs more than one value per channel."""
_FOREIGN = tuple(
    f"{Path(folder).absolute()}{os.sep}"
    for folder in (
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        bench.__path__[0],
    )
)
"""Folders whose code is no net's own."""


@contextmanager
def own_code(model: str, doing: str, *, hint: str = "") -> Iterator[None]:
    """Run code of a net in a block.

    Args:
        model: Its name.
        doing: What is done with it, as in "could not be DOING".
        hint: Appended to what an error of values or shapes says.

    Raises:
        ModelError: The block raised anything at all, ``sys.exit`` included; names the net and the line of its code.
    """
    try:
        with _surroundings():
            yield
    except ModelError:
        raise
    except BaseException as error:  # users' code may raise anything, and only this net may fail
        raise ModelError(_sentence(model, doing, error, hint)) from error


def first_images(input_size: int) -> torch.Tensor:
    """Two black images (2, 3, H, W): what a net is tried with before it is trained."""
    return torch.zeros(IMAGES, 3, input_size, input_size)


def run_once(model: str, net: nn.Module, input_size: int, *, hint: str = "") -> object:
    """What a net returns for the first images.

    Args:
        model: Its name.
        net: The net.
        input_size: Height and width of the images in pixels.
        hint: What an error of values or shapes should say at its end; by default what the images are like.

    Raises:
        ModelError: It raised something; the text names the net and the line of its code.
    """
    size = f"{input_size}x{input_size}"
    hint = hint or f"; images have 3 channels here: (N, 3, {input_size}, {input_size}) float32"
    with own_code(model, f"run on {size} images", hint=hint):
        output: object = net(first_images(input_size))
    return output


def _sentence(model: str, doing: str, error: BaseException, hint: str) -> str:
    where = f" ({line})" if (line := own_line(error)) else ""
    if isinstance(error, SystemExit):
        return f"{model} could not be {doing}: it called sys.exit({error.code!r}){where}"
    shapes = isinstance(error, RuntimeError | ValueError | IndexError | AssertionError)
    shapes = shapes and not isinstance(error, NotImplementedError | RecursionError)
    return f"{model} could not be {doing}: {type(error).__name__}: {first_line(error)}{where}{hint if shapes else ''}"


def own_line(error: BaseException) -> str:
    """The innermost line of users' code that an error passed, as ``nets.py, line 3``; empty if there is none."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename).absolute()
        if not frame.filename.startswith("<") and not str(path).startswith(_FOREIGN):
            with suppress(ValueError, OSError):
                path = path.relative_to(Path.cwd())
            return f"{path}, line {frame.lineno}"
    return ""


@contextmanager
def kept_random_states() -> Iterator[None]:
    """Give every global random generator its state back after a block: torch's, Python's and NumPy's."""
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        random.setstate(states[1])
        np.random.set_state(states[2])


@contextmanager
def _surroundings() -> Iterator[None]:
    """Put back what code changes for the whole process, and that bench, or another net, relies on."""
    dtype, threads, gradients = torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()
    folder, arguments = Path.cwd(), sys.argv
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(gradients)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        sys.argv = arguments
        with suppress(OSError):  # it may have deleted the folder
            os.chdir(folder)
        for number, handler in handlers.items():
            with suppress(ValueError, TypeError):  # not the main thread, or a handler that is not Python's
                if signal.getsignal(number) is not handler:
                    signal.signal(number, handler)


def as_program(model: str) -> list[str]:
    """The arguments of a program that is a net's file: its code may parse them when it is imported."""
    return [base_name(model).rpartition(":")[0] or model]
