"""``bench init``: a first suite file, small enough to run in a minute, with comments that explain every key."""

import re
from pathlib import Path

from bench.errors import UsageError

TEMPLATE = """\
# A suite: bench trains every cell of the grid and prints one table. All keys: bench schema --markdown
suite: {name}
description: A first suite on scikit-learn's handwritten digits

recipe:                      # what all cells share; --set recipe.epochs=1 tries it quickly
  epochs: 5
  batch_size: 64
  optimizer: {{name: sgd, lr: 0.05, momentum: 0.9, weight_decay: 5.0e-4}}

grid:                        # the product of these lists; a second grid may follow as a list item
  model: [shufflenet_v2_x0_5, mobilenet_v2]    # bench models lists names; nets.py:my_net takes your own
  dataset: [digits]          # bench datasets lists names; folder:PATH takes your own images
  schedule: [cosine]         # bench schedules lists names
  seed: [0]                  # several seeds give a mean and a deviation
"""


def write_suite(path: Path) -> None:
    """Write a first suite file, whose suite is called like the file.

    Raises:
        UsageError: There is such a file already, or it cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(TEMPLATE.format(name=re.sub(r"^[^A-Za-z0-9]+|[^A-Za-z0-9._-]", "", path.stem)[:64] or "first"))
    except FileExistsError as error:
        raise UsageError(f"{path} exists already; name another file, e.g. bench init {path.stem}-2.yaml") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
