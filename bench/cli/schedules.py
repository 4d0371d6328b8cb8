"""``bench schedules``: the learning-rate schedules that a suite can name, as a list or as a picture."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click

from bench.catalog.options import Option
from bench.catalog.training import SCHEDULES, WARMUP
from bench.cli.options import json_option
from bench.cli.output import check_writable, note, print_json, say
from bench.errors import UsageError

OPTIONS = {name: option for spec in SCHEDULES.values() for name, option in spec.options.items()} | WARMUP


def _help(name: str, option: Option) -> str:
    kinds = ", ".join(kind for kind, spec in SCHEDULES.items() if name in spec.options)
    return f"{option.doc[0].upper()}{option.doc[1:]}{f' ({kinds})' if kinds else ''}."


PICTURE_OPTIONS = {
    "kind": f"Schedules to draw: {', '.join(SCHEDULES)}.  [default: those that have the given options, else all]",
    "epochs": "Epochs of training; without those of warm-up, T_max of cosine.  [default: 100]",
    "lr": "Learning rate at the start.  [default: 0.1]",
    **{name: _help(name, option) for name, option in OPTIONS.items()},
}
"""Option of ``--plot`` -> its help. Those of the catalog's schedules follow from it."""


def _is_list(name: str) -> bool:
    return name in OPTIONS and OPTIONS[name].type in ("ints", "floats")


def picture_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options of ``--plot``, each of which may be given several times."""
    for name, text in reversed(PICTURE_OPTIONS.items()):
        metavar = "N,N,..." if _is_list(name) else "VALUE,..."
        function = click.option(f"--{name.replace('_', '-')}", name, multiple=True, metavar=metavar, help=text)(
            function
        )
    return function


@click.command()
@json_option
@click.option("--plot", type=click.Path(), help="Draw learning rates by epoch into this .svg or .png file.")
@picture_options
def schedules(as_json: bool, plot: str | None, **values: Sequence[str]) -> None:
    """List the learning-rate schedules that a suite can name, or draw them with --plot.

    A picture has one line for every combination of the given values: --kind step --gamma 0.1,0.5 draws two. An option
    that takes several numbers itself is given several times: --milestones 30,60 --milestones 50,80. The curves come
    from the schedulers that train; a warm-up rises step by step.
    """
    given = {
        name: [part.strip() for text in texts for part in ([text] if _is_list(name) else text.split(","))]
        for name, texts in values.items()
        if texts
    }
    if plot is not None:
        if as_json:
            raise UsageError("--json prints the list of schedules and --plot draws them; leave one of them out")
        _draw(given, Path(plot))
    elif given:
        raise UsageError(f"--{next(iter(given)).replace('_', '-')} is an option of --plot FILE")
    elif as_json:
        print_json({"schedules": [schedule_entry(kind) for kind in SCHEDULES]})
    else:
        for kind, spec in SCHEDULES.items():
            say(f"{kind}: {spec.formula}")
            for name, option in {**spec.options, **WARMUP}.items():
                default = "required" if option.default is None else f"default {option.default}"
                say(f"    {name:<14} {option.doc} ({default})")


def _draw(given: Mapping[str, Sequence[str]], path: Path) -> None:
    from bench.api.schedules import check_picture, draw_schedules
    from bench.workspace.files import write_atomically

    check_picture(path)
    check_writable(path, "--plot")
    write_atomically(path.resolve(), draw_schedules(given, path))
    note(f"written to {path}")


def schedule_entry(kind: str) -> dict[str, object]:
    """A schedule as ``schedules --json`` shows it."""
    spec = SCHEDULES[kind]
    options = {name: option_entry(option) for name, option in {**spec.options, **WARMUP}.items()}
    return {"kind": kind, "formula": spec.formula, "options": options}


def option_entry(option: Option) -> dict[str, object]:
    """An option as JSON shows it."""
    return {"type": option.type, "default": option.default, "required": option.default is None, "doc": option.doc}
