"""Files of runs in a store, read where they lie or downloaded. Called by :mod:`bench.api.run_files`."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.tracking.reader import local_folder
from bench.tracking.runs import Store


@contextmanager
def artifact(store: Store, run_id: str, name: str) -> Iterator[Path | None]:
    """An artifact of a run as a file, for the length of a block; None if the run has none of this name.

    Raises:
        TrackingError: The store cannot be read.
    """
    uri = store.reader.artifact_uri(run_id) if store.reader else None
    folder = local_folder(uri) if uri else None
    if folder is not None and folder.is_dir():  # without MLflow, whose import takes seconds
        yield folder / name if (folder / name).is_file() else None
        return
    with tempfile.TemporaryDirectory() as download:
        yield None if uri == "" else _download(store, run_id, name, download)


def _download(store: Store, run_id: str, name: str, folder: str) -> Path | None:
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    with store.translated(f"cannot give {name} of the run {run_id}"):
        if name not in {file.path for file in store.client.list_artifacts(run_id)}:
            return None
        return Path(store.client.download_artifacts(run_id, name, folder))
