"""Try a net of a file before anything is trained: two images forward, once in eval and once in training mode.

Called by :mod:`bench.worker.measure`. Says in a sentence what no recipe could train. An error of values or shapes in
training mode is left to the training itself: two black images may be at fault and not the net.

Shapes: H = W = input size, K classes.
"""

from contextlib import suppress

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from bench.errors import ModelError
from bench.worker.models.own_code import IMAGES, first_images, own_code, run_once
from bench.worker.models.scores import main_scores, scores_problem

CERTAIN = (NameError, AttributeError, ImportError, NotImplementedError)
"""What would be raised for every batch."""


def check(model: str, net: nn.Module, *, input_size: int, num_classes: int) -> None:
    """Refuse a net that cannot be trained; it is left in training mode, with changed statistics and gradients.

    Raises:
        ModelError: It cannot; the text names the net.
    """
    if not any(parameter.requires_grad for parameter in net.parameters()):
        raise ModelError(f"{model} has no trainable parameter")
    with torch.no_grad():
        output = run_once(model, net.eval(), input_size)
    _scores(model, output, num_classes, "")
    with own_code(model, "trained"):
        try:
            output = net.train()(first_images(input_size))
        except CERTAIN:
            raise
        except Exception:
            return
    scores = _scores(model, output, num_classes, " in training mode")
    if not scores.requires_grad:
        raise ModelError(f"{model} returns scores without gradients: its forward detaches them or runs under no_grad")
    with own_code(model, "trained"), suppress(RuntimeError, ValueError):
        F.cross_entropy(scores.float(), torch.zeros(IMAGES, dtype=torch.int64)).backward()  # type: ignore[no-untyped-call]
    if any(parameter.grad is not None and parameter.grad.layout != torch.strided for parameter in net.parameters()):
        raise ModelError(f"{model} has sparse gradients, which bench does not train: leave sparse=True out")


def _scores(model: str, output: object, num_classes: int, when: str) -> torch.Tensor:
    try:
        scores = main_scores(output)
    except ModelError as error:
        raise ModelError(f"{model} cannot be trained: {error}{when}") from None
    if problem := scores_problem(scores, IMAGES, num_classes):
        raise ModelError(f"{model} {problem}{when}")
    return scores
