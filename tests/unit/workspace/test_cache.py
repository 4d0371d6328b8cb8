"""Caches of figures, which nothing depends on."""

from pathlib import Path

from bench.workspace.cache import add_to_cache, read_cache


def test_what_was_added_is_read_beside_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "home" / "costs.json"
    add_to_cache(path, {"a": {"params": 1}})
    add_to_cache(path, {"b": {"params": 2}})
    assert read_cache(path) == {"a": {"params": 1}, "b": {"params": 2}}


def test_a_folder_that_cannot_be_written_keeps_nobody_from_looking(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "costs.json"
    add_to_cache(path, {"a": {"params": 1}})
    assert read_cache(path) == {}
