"""What ``bench data`` does beyond looking: import a copy, generate imagenet300's list, inspect the images of data sets.

Called by the command line. Decoding happens in workers; nothing here prints.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import DataError, UsageError
from bench.workspace.paths import data_home

if TYPE_CHECKING:
    from bench.datasets.prepared import Card


def import_copy(names: Sequence[str], path: Path) -> Mapping[str, Any]:
    """Have a worker decode a data set from a folder or an archive into the data folder. Returns its card.

    Raises:
        UsageError: More than one name, or a data set that cannot be imported.
        DataError: The path holds something else, or only a part of the data set.
    """
    from bench.datasets.formats import FORMATS
    from bench.scheduler.calls import call_worker
    from bench.scheduler.devices import cpu_cores
    from bench.values import Failure
    from bench.workspace.requests import Import

    if len(names) > 1:
        raise UsageError(f"--from imports one data set at a time; name one of {', '.join(names)}")
    [name] = names
    if name not in FORMATS:
        raise UsageError(f"--from imports {', '.join(FORMATS)}; {name} is not one of them")
    if not path.exists():
        raise DataError(f"{path} does not exist; --from takes the folder or archive that holds {name}")
    [answer] = call_worker([Import(dataset=name, path=str(path), data_home=str(data_home()))], threads=cpu_cores())
    if isinstance(answer, Failure):
        raise DataError(answer.error)
    return answer.card


def generate_image_list(names: Sequence[str], origin: str) -> Path:
    """Write the image list of imagenet300 from the ImageNet that is here, complete or not. Returns its path.

    Raises:
        UsageError: Another data set, or another origin.
        DataError: ImageNet is missing, or the list cannot be written.
    """
    from bench.datasets.imagenet300 import write_list

    if list(names) != ["imagenet300"] or origin != "imagenet":
        raise UsageError("an image list is generated with: bench data get imagenet300 --from imagenet")
    return write_list(data_home())


def inspect_contents(names: Sequence[str]) -> "dict[str, Card]":
    """The content of data sets by name, from a worker: see :func:`bench.worker.data.contents.inspect`; or ``error``."""
    from bench.scheduler.calls import call_worker
    from bench.scheduler.devices import cpu_cores
    from bench.values import Failure
    from bench.workspace.requests import Inspect

    if not names:
        return {}
    answers = call_worker([Inspect(dataset=name, data_home=str(data_home())) for name in names], threads=cpu_cores())
    return {
        name: {"error": answer.error} if isinstance(answer, Failure) else dict(answer.contents)
        for name, answer in zip(names, answers, strict=True)
    }
