"""Pictures of learning-rate schedules, from the schedulers that train."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from bench.catalog.options import Option, suggestion
from bench.catalog.training import DEFAULT_OPTIMIZER, OPTIMIZERS, SCHEDULES, WARMUP, schedule_options
from bench.errors import BenchError, UsageError
from bench.recipe import Component
from bench.text import counted

if TYPE_CHECKING:
    from bench.report.charts import Chart

SUFFIXES = (".svg", ".png")
MAX_LINES = 30
"""Lines of a picture that a legend can name."""
MAX_EPOCHS = 100_000
STEPS = 100
"""Steps per epoch, in which a warm-up rises. A training has its own number; more would be finer than a pixel."""
DEFAULT_EPOCHS = 100
DEFAULT_LR = OPTIMIZERS[DEFAULT_OPTIMIZER].options["lr"].default


@dataclass(frozen=True)
class Line:
    """A schedule to draw."""

    schedule: Component
    lr: float
    epochs: int


def check_picture(path: Path) -> None:
    """Refuse a file that is no picture.

    Raises:
        UsageError: Its ending says so.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--plot {path}: a picture is a {' or a '.join(SUFFIXES)} file")


def draw_schedules(given: Mapping[str, Sequence[str]], path: Path) -> bytes:
    """The learning rates of schedules by epoch, as the picture that a file's ending stands for.

    Args:
        given: Values of ``kind``, ``epochs``, ``lr`` and of the options of schedules, as texts. Every combination is a
            line; what has no value takes its default.
        path: The file that it is for; it is not written.

    Raises:
        UsageError: An option is unknown, wrong, of none of the schedules, or there are too many lines.
    """
    from bench.report.charts import to_png, to_svg

    check_picture(path)
    chart = schedules_chart(given)
    return to_svg(chart).encode() if path.suffix.lower() == ".svg" else to_png(chart)


def schedules_chart(given: Mapping[str, Sequence[str]]) -> "Chart":
    """The chart of :func:`draw_schedules`."""
    from bench.report.charts.decays import Decay, decay_chart
    from bench.scheduler.calls import call_worker
    from bench.values import Failure
    from bench.workspace.requests import Rates, Schedule

    lines = make_lines(given)
    requests = [Schedule(schedule=line.schedule, lr=line.lr, epochs=line.epochs, steps=STEPS) for line in lines]
    labels, shared = describe(lines)
    answers: list[Rates | Failure] = call_worker(requests, threads=1)
    decays = []
    for label, answer in zip(labels, answers, strict=True):
        if isinstance(answer, Failure):
            raise BenchError(f"{label}: {answer.error}")
        decays.append(Decay(label=label, epochs=answer.epochs))
    return decay_chart(decays, subtitle=shared)


def make_lines(given: Mapping[str, Sequence[str]]) -> list[Line]:
    """Every combination of the given values, by kind, checked as in a suite file."""
    from bench.suite.schedules import make_schedule

    given = {name: values for name, values in given.items() if values}
    kinds = _kinds(given)
    all_epochs = [_whole("epochs", text) for text in given.get("epochs", [str(DEFAULT_EPOCHS)])]
    rates = [_positive("lr", text) for text in given.get("lr", [str(DEFAULT_LR)])]
    lines: dict[Line, None] = {}
    for kind, epochs, lr in product(kinds, all_epochs, rates):
        for options in _combinations(kind, epochs, given):
            schedule = make_schedule(kind, options, lr=lr, epochs=epochs)
            lines[Line(schedule, lr, epochs)] = None
            if len(lines) > MAX_LINES:
                raise UsageError(f"these options make more than {MAX_LINES} lines; give fewer values, or fewer kinds")
    return list(lines)


def _kinds(given: Mapping[str, Sequence[str]]) -> list[str]:
    """The kinds that are named, else those that have one of the given options, else all."""
    own = [name for name in given if name not in ("kind", "epochs", "lr", *WARMUP)]
    kinds = list(given.get("kind", ()))
    for kind in kinds:
        if kind not in SCHEDULES:
            known = ", ".join(SCHEDULES)
            raise UsageError(f"--kind: unknown kind {kind!r} ({suggestion(kind, SCHEDULES, f'valid: {known}')})")
    chosen = kinds or [kind for kind, spec in SCHEDULES.items() if not own or any(name in spec.options for name in own)]
    for name in own:
        if not any(name in SCHEDULES[kind].options for kind in chosen):
            having = [kind for kind, spec in SCHEDULES.items() if name in spec.options]
            raise UsageError(
                f"{flag(name)} is an option of {', '.join(having)}, not of {' or '.join(chosen)}; leave it out"
            )
    return chosen


def _combinations(kind: str, epochs: int, given: Mapping[str, Sequence[str]]) -> Iterator[dict[str, object]]:
    """The options of a kind: each combination of what is given, with values for those that have no default."""
    values: dict[str, list[object]] = {}
    for name, option in schedule_options(kind).items():
        if name in given:
            values[name] = [read_value(text, option) for text in given[name]]
        elif option.default is None and name in EXAMPLES:
            values[name] = [EXAMPLES[name](epochs)]
    for combination in product(*values.values()):
        yield dict(zip(values, combination, strict=True))


EXAMPLES: dict[str, Callable[[int], object]] = {
    "gamma": lambda epochs: round(0.02 ** (1 / epochs), 4),  # ends at a fiftieth
    "step_size": lambda epochs: max(1, epochs * 3 // 10),
    "milestones": lambda epochs: sorted({max(1, epochs // 2), max(1, epochs * 4 // 5)}),
}
"""Option without a default -> an example for so many epochs, like those of tutorials."""


def read_value(text: str, option: Option) -> object:
    """An option's value from the command line: numbers where they are, else the text, which the check refuses."""
    if option.type in ("ints", "floats"):
        return [_number(part) for part in text.split(",")]
    return _number(text)


def _number(text: str) -> object:
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _whole(name: str, text: str) -> int:
    value = _number(text)
    if not isinstance(value, int) or not 1 <= value <= MAX_EPOCHS:
        raise UsageError(f"{flag(name)} must be a whole number from 1 to {MAX_EPOCHS}, not {text!r}")
    return value


def _positive(name: str, text: str) -> float:
    value = _number(text)
    if not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise UsageError(f"{flag(name)} must be a number above 0, not {text!r}")
    return float(value)


def flag(name: str) -> str:
    """The option of the command line that gives an option of a schedule."""
    return f"--{name.replace('_', '-')}"


def describe(lines: Sequence[Line]) -> tuple[list[str], str]:
    """What tells each line from the others, and what all share, in words."""
    facts = [_facts(line) for line in lines]
    common = {
        name: text
        for name, text in facts[0].items()
        if name in SHARED and all(fact.get(name) == text for fact in facts)
    }
    labels = [
        ", ".join([line.schedule.name, *(text for name, text in fact.items() if text and name not in common)])
        for line, fact in zip(lines, facts, strict=True)
    ]
    return labels, ", ".join(text for text in common.values() if text)


SHARED = ("lr", "epochs", *WARMUP)
"""What is said once if all lines have it."""


def _facts(line: Line) -> dict[str, str]:
    """Everything that a label may say of a line; empty for what says nothing."""
    options = line.schedule.as_dict()
    warmup, start = options["warmup_epochs"], options["warmup_start"]
    facts = {
        name: f"{name.replace('_', ' ')} {_shown(value)}"
        for name, value in options.items()
        if name not in WARMUP and (name != "eta_min" or value)
    }
    return {
        **facts,
        "lr": f"lr {line.lr:g}",
        "epochs": counted(line.epochs, "epoch"),
        "warmup_epochs": f"{counted(int(warmup), 'epoch')} of warm-up" if isinstance(warmup, int) and warmup else "",
        "warmup_start": f"from {_shown(start)} lr" if warmup and start != WARMUP["warmup_start"].default else "",
    }


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
