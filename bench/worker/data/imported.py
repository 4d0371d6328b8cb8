"""Import a data set from elsewhere: its decoded arrays are copied into the data folder, and read from there.

Called for ``bench data get NAME --from PATH``; :mod:`bench.worker.data.readers` reads what was imported.
"""

from pathlib import Path

from bench.codec import JsonObject
from bench.datasets.reading import writing
from bench.datasets.stored import IMPORTED, find_copy
from bench.worker.data.pack import content_digest, write_whole
from bench.worker.data.readers import read
from bench.workspace.locks import wait_for_lock


def import_dataset(name: str, path: Path, home: Path) -> JsonObject:
    """Decode a data set at ``path`` and keep its arrays in the data folder. Returns their card.

    Raises:
        DataError: What is there is not the data set, or a disk error; then nothing is kept.
    """
    copy = find_copy(name, path)
    raw = read(name, copy)
    card = {
        "name": name,
        "form": copy.description,
        "origin": str(path),
        "digest": content_digest(raw),
        "train_images": len(raw.train_labels),
        "test_images": len(raw.test_labels),
    }
    with writing(name, home / name):
        home.mkdir(parents=True, exist_ok=True)
        with wait_for_lock(home / f".{name}.lock"):
            return write_whole(home / name / IMPORTED, raw, card, hashed=True)
