"""The commands that look things up: ``measure``, ``models``, ``datasets``, ``schedules`` and ``ui``."""

import fnmatch
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from bench.catalog import (
    DATASETS,
    MODELS,
    SCHEDULES,
    WARMUP,
    Option,
    dataset_problem,
    default_stem,
    model_forms,
    model_problem,
    timm_names,
)
from bench.cli.common import columns, complete_datasets, complete_models, json_option, print_json, tracking_option
from bench.errors import ModelError, UsageError


@click.command()
@click.argument("names", metavar="MODEL...", nargs=-1, required=True, shell_complete=complete_models)
@click.option("--dataset", shell_complete=complete_datasets, help="Take input size and classes from this data set.")
@click.option("--input-size", type=click.IntRange(1, 4096), help="Height and width in pixels.")
@click.option("--num-classes", type=click.IntRange(1), help="Classes of the head.")
@click.option("--stem", type=click.Choice(["small", "standard"]), help="Form of the net. Default: by input size.")
@json_option
def measure(
    names: Sequence[str],
    dataset: str | None,
    input_size: int | None,
    num_classes: int | None,
    stem: str | None,
    as_json: bool,
) -> None:
    """Count params and FLOPs of models; one multiply-add counts as one flop.

    Without --dataset the input is 224 pixels with 1000 classes.
    """
    from bench.costs import measure_all
    from bench.paths import bench_home

    size, classes = shape(dataset, input_size, num_classes)
    requests = [request(name, stem, size, classes) for name in names]
    answers = measure_all(requests, bench_home())
    if errors := [answer["error"] for answer in answers if "error" in answer]:
        raise ModelError("\n".join(errors))
    if as_json:
        print_json({"models": [entry(answer) for answer in answers]})
        return
    rows = [
        (
            answer["model"],
            answer["stem"],
            f"{size}x{size}",
            classes,
            f"{answer['params'] / 1e6:.3f}",
            f"{answer['flops'] / 1e6:.3f}",
            f"{answer['conv_linear_macs'] / 1e6:.3f}",
            remark(answer),
        )
        for answer in answers
    ]
    headers = ("model", "stem", "input", "classes", "params(M)", "flops(M)", "conv+linear(M)", "")
    click.echo(columns(headers, rows))


def shape(dataset: str | None, input_size: int | None, num_classes: int | None) -> tuple[int, int]:
    """Input size and classes that the options name.

    Raises:
        UsageError: The data set is unknown, or both it and --num-classes say how many classes there are.
        DataError: A folder data set is not there.
    """
    if dataset is None:
        return input_size or 224, num_classes or 1000
    if num_classes is not None:
        raise UsageError("--dataset already says how many classes there are; leave --num-classes out")
    if problem := dataset_problem(dataset):
        raise UsageError(problem)
    from bench.catalog import FOLDER_INPUT_SIZE
    from bench.fetch import num_classes as classes_of
    from bench.paths import data_home

    default = DATASETS[dataset].input_size if dataset in DATASETS else FOLDER_INPUT_SIZE
    return input_size or default, classes_of(dataset, data_home())


def request(name: str, stem: str | None, size: int, classes: int) -> dict[str, Any]:
    """What a worker is asked about one model.

    Raises:
        UsageError: There is no such model, or it has no such form.
    """
    if problem := model_problem(name):
        raise UsageError(problem)
    if stem and stem not in model_forms(name):
        raise UsageError(f"{name} has no {stem} stem; leave --stem out")
    return {"model": name, "stem": stem or default_stem(name, size), "input_size": size, "num_classes": classes}


def entry(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer as ``measure --json`` shows it."""
    fields = ("model", "stem", "input_size", "num_classes", "params", "flops", "conv_linear_macs", "uncounted")
    return {field: answer[field] for field in fields}


def remark(answer: dict[str, Any]) -> str:
    """What a reader must know of a measurement."""
    from bench.costs import to_cost

    cost = to_cost(answer)
    remarks = []
    if not cost.agrees:
        remarks.append(f"torch's counter says {cost.torch_macs / 1e6:.3f} M conv+linear")
    if cost.uncounted:
        remarks.append(f"uncounted: {', '.join(cost.uncounted)}")
    return "; ".join(remarks)


@click.command()
@click.argument("pattern", default="*")
@click.option("--timm", is_flag=True, help="List timm's models too.")
@json_option
def models(pattern: str, timm: bool, as_json: bool) -> None:
    """List the models that a suite can name, those that match PATTERN (a glob such as 'resnet*')."""
    names = [*MODELS, *([f"timm/{name}" for name in timm_names()] if timm or pattern.startswith("timm/") else [])]
    found = [name for name in names if fnmatch.fnmatchcase(name, pattern)]
    if as_json:
        print_json({"models": [{"model": name, "stems": model_forms(name)} for name in found]})
        return
    click.echo(columns(("model", "stems"), [(name, ", ".join(model_forms(name))) for name in found]))
    click.echo(f"\n{len(found)} models; also timm/NAME ({len(timm_names())} nets) and path/to/file.py:function")


@click.command()
@json_option
def datasets(as_json: bool) -> None:
    """List the data sets that a suite can name."""
    if as_json:
        fields = ("title", "num_classes", "input_size", "channels", "train_images", "test_images", "licence", "source")
        content = [{"dataset": name, **{f: getattr(spec, f) for f in fields}} for name, spec in DATASETS.items()]
        print_json({"datasets": content})
        return
    rows = [
        (name, spec.title, spec.num_classes, spec.input_size, f"{spec.train_images:,}", f"{spec.test_images:,}")
        for name, spec in DATASETS.items()
    ]
    click.echo(columns(("dataset", "title", "classes", "pixels", "train", "test"), rows))
    click.echo("\nalso folder:PATH, a tree of train/CLASS/*.jpg and val/ or test/; bench data list says what is here")


@click.command()
@json_option
def schedules(as_json: bool) -> None:
    """List the learning-rate schedules that a suite can name."""
    if as_json:
        print_json({"schedules": [schedule_entry(kind) for kind in SCHEDULES]})
        return
    for kind, spec in SCHEDULES.items():
        click.echo(f"{kind}: {spec.formula}")
        for name, option in {**spec.options, **WARMUP}.items():
            default = "required" if option.default is None else f"default {option.default}"
            click.echo(f"    {name:<14} {option.doc} ({default})")


def schedule_entry(kind: str) -> dict[str, Any]:
    """A schedule as ``schedules --json`` shows it."""
    spec = SCHEDULES[kind]
    options = {name: option_entry(option) for name, option in {**spec.options, **WARMUP}.items()}
    return {"kind": kind, "formula": spec.formula, "options": options}


def option_entry(option: Option) -> dict[str, Any]:
    """An option as JSON shows it."""
    return {"type": option.type, "default": option.default, "required": option.default is None, "doc": option.doc}


@click.command()
@tracking_option
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True)
def ui(tracking_uri: str | None, port: int, host: str) -> None:
    """Open the MLflow UI on the store in use; Ctrl-C ends it."""
    from bench.tracking import resolve_uri, serve_ui, store_exists

    uri = resolve_uri(tracking_uri, Path.cwd())
    if not store_exists(uri):
        example = shlex.join(["bench", "run", "suites/digits.yaml"])
        raise UsageError(f"there is no store here yet ({uri}); {example} makes one")
    raise SystemExit(serve_ui(uri, port=port, host=host))
