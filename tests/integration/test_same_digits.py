"""One cell, one number: its weights do not depend on what runs beside it, nor on how it was asked for."""

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.cells import suite_text

import bench

MODELS = ["shufflenet_v2_x0_5", "nets.py:net"]
ASKED: dict[str, tuple[list[str], dict[str, Any]]] = {
    "beside": (MODELS, {}),
    "alone": (MODELS[:1], {}),
    "one-slot": (MODELS, {"slots_per_device": 1}),
    "filter": (MODELS, {"filters": (f"model={MODELS[0]}",)}),
}


@pytest.mark.timeout(300)
def test_a_cell_has_the_same_weights_beside_others_alone_with_one_slot_and_through_a_filter(
    project: Path, tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests: dict[str, str] = {}
    for how, (models, options) in ASKED.items():
        home = project / how
        monkeypatch.setenv("BENCH_HOME", str(home))
        (project / f"{how}.yaml").write_text(suite_text(models, epochs=1))
        suite = bench.load_suite(f"{how}.yaml", overrides=["recipe.max_images_per_class=13"])
        done = bench.run(suite, device="cpu", offline=True, **options)
        cell = next(cell for cell in suite.cells if cell.model == MODELS[0])
        assert done.outcomes[cell.id].threads == 1
        digests[how] = json.loads((home / "cells" / cell.id / "result.json").read_text())["weights_sha256"]
    assert len(set(digests.values())) == 1, digests
