"""What a net's scores are: the one rule for training, tests and measuring.

A tensor is the scores. Of anything else the main classifier's are taken, so that auxiliary heads are not trained: the
attribute or key ``logits``, else the key ``out``, else the first element of a tuple or list.

Shapes: N images per batch, K classes.
"""

from collections.abc import Mapping

from torch import Tensor

from bench.errors import ModelError


def main_scores(output: object) -> Tensor:
    """The scores (N, K) in what a net returned.

    Raises:
        ModelError: There are none by the rule.
    """
    if isinstance(output, Tensor):  # almost always, and the only thing that costs a step anything
        return output
    found = getattr(output, "logits", None)
    if found is None and isinstance(output, Mapping):
        found = output.get("logits", output.get("out"))
    elif found is None and isinstance(output, tuple | list) and output:
        found = output[0]
    if isinstance(found, Tensor):
        return found
    keys = f" with the keys {', '.join(map(repr, output))}" if isinstance(output, Mapping) else ""
    raise ModelError(
        f"it returns a {type(output).__name__}{keys}; return the scores as a tensor, or under the name 'logits'"
    )


def scores_problem(scores: Tensor, images: int, num_classes: int) -> str | None:
    """Why scores are not one number per image and class, as the end of a sentence that begins with the net; or None."""
    shape = tuple(scores.shape)
    if not scores.dtype.is_floating_point:
        return f"returns {str(scores.dtype).removeprefix('torch.')} numbers; scores must be floating-point"
    if shape == (images, num_classes):
        return None
    if len(shape) == 2 and shape[0] == images:
        return f"returns {shape[1]} outputs, the data set has {num_classes} classes"
    flat = "; flatten its output" if shape == (images, num_classes, *(1,) * (len(shape) - 2)) else ""
    return f"returns the shape {shape} for {images} images of {num_classes} classes, not {(images, num_classes)}{flat}"
