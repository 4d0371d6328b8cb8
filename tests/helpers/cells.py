"""Small cells, and the text of small suite files."""

import json
from collections.abc import Callable

from bench.catalog.training import DEFAULT_RECIPE, OPTIMIZERS, SCHEDULES, WARMUP, with_defaults
from bench.values import Cell, Recipe

MakeCell = Callable[..., Cell]
"""As :func:`make_small_cell`."""


def make_small_cell(
    model: str = "shufflenet_v2_x0_5",
    dataset: str = "digits",
    schedule: str = "cosine",
    seed: int = 0,
    **recipe: object,
) -> Cell:
    """A small cell on digits; keywords change the cell or its recipe."""
    content = {**DEFAULT_RECIPE, "epochs": 2, "batch_size": 64, "stem": "small", "input_size": 8, **recipe}
    lr = content.pop("lr", 0.05)
    content["optimizer"] = with_defaults("sgd", {"lr": lr}, OPTIMIZERS["sgd"].options)  # type: ignore[dict-item]
    options = with_defaults(schedule, {}, {**SCHEDULES[schedule].options, **WARMUP})
    return Cell(
        model=model,
        dataset=dataset,
        schedule=options,
        schedule_name=schedule,
        recipe=Recipe(**content),  # type: ignore[arg-type]
        seed=seed,
    )


def suite_text(
    models: list[str], *, epochs: int = 2, schedules: str = "cosine", name: str = "tiny", lr: float = 0.05
) -> str:
    """A suite of nets on digits, as a file's text."""
    return (
        f"suite: {name}\n"
        f"recipe: {{epochs: {epochs}, batch_size: 64, optimizer: {{name: sgd, lr: {lr}}}}}\n"
        f"grid: {{model: {json.dumps(models)}, dataset: digits, schedule: {schedules}}}\n"
    )
