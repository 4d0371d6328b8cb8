"""Latency and throughput of finished nets: timed for ``bench measure --speed``, and looked up for tables."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.api.options import Note
    from bench.report.model import Row, Table
    from bench.values import Failure, NetSpeed, Precision
    from bench.workspace.requests import Measure


@dataclass(frozen=True, kw_only=True)
class SpeedOptions:
    """How nets are timed."""

    device: str = "auto"
    """As ``bench run --device``; of several GPUs the first is used."""
    threads: int = 1
    """CPU threads."""
    precision: "Precision | None" = None
    """None: that of each net's recipe, fp32 for a net without one."""
    again: bool = False
    """Measure what was measured before, too."""


def time_nets(
    nets: "Sequence[tuple[Measure, str]]", options: SpeedOptions, note: "Note" = lambda _: None
) -> "list[NetSpeed | Failure]":
    """Time nets, each with the precision of its recipe, one after the other and with nothing of bench beside.

    Raises:
        UsageError: There is no such device.
        BenchError: Cells train on this machine now.
    """
    from bench.scheduler.devices import Machine
    from bench.scheduler.net_speeds import Conditions, time_net
    from bench.workspace.locks import sole_use
    from bench.workspace.paths import devices_lock, net_speeds_file

    [slot, *_] = Machine.detect(options.device).slots(per_device=1, cells=1)
    conditions = Conditions(slot=slot, threads=options.threads, precision=options.precision)
    answers = []
    with sole_use(devices_lock()) as alone:
        if not alone:
            raise BenchError(
                "speed is measured with nothing beside it, and bench uses this machine now (bench status says for "
                "what); run this again afterwards"
            )
        for number, (net, precision) in enumerate(nets, 1):
            note(f"speed of {net.model}, {net.input_size}x{net.input_size} ({number} of {len(nets)})")
            answers.append(time_net(net, precision, conditions, net_speeds_file(), again=options.again))
    return answers


def with_speeds(tables: "Sequence[Table]") -> "tuple[Table, ...]":
    """Tables whose rows have the latency and throughput that were measured of their nets on this machine."""
    from bench.scheduler.net_speeds import known_speeds
    from bench.workspace.paths import net_speeds_file

    path = net_speeds_file()
    if not path.exists():
        return tuple(tables)
    nets = [
        (_net(row, table.num_classes or 0), str(row.recipe.get("precision"))) for table in tables for row in table.rows
    ]
    speeds = iter(known_speeds(nets, path))
    return tuple(replace(table, rows=tuple(replace(row, speed=next(speeds)) for row in table.rows)) for table in tables)


def _net(row: "Row", num_classes: int) -> "Measure":
    from bench.values import Stem
    from bench.workspace.requests import Measure

    stem: Stem = "small" if row.stem == "small" else "standard"
    return Measure(model=row.model, stem=stem, input_size=row.input_size, num_classes=num_classes)
