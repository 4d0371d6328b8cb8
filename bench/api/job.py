"""What is handed from one step of a run to the next; see :mod:`bench.api.run`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from bench.api.known import Known
from bench.api.options import Caller, RunOptions
from bench.scheduler.devices import Machine
from bench.values import Mode, Suite

if TYPE_CHECKING:
    from bench.datasets.prepared import Prepared
    from bench.scheduler.devices import Slot
    from bench.tracking import Store
    from bench.values import Cost, DataKey, Failure


@dataclass(frozen=True, kw_only=True)
class Job:
    """The run of one suite: what stays the same through its steps."""

    whole: Suite
    suite: Suite
    """``whole`` with the cells that were asked for."""
    store: "Store | None"
    machine: Machine
    """The devices that ``options`` name, found once."""
    known: Known
    marks: Mapping[str, int] = field(default_factory=dict)
    """By cell id: which result file was there when the suite began, see :func:`bench.workspace.cells.result_mark`."""
    first: bool = True
    """Whether no suite of the same command ran before: a store that has gone away since stops no later one."""
    options: RunOptions
    caller: Caller


class Needs(NamedTuple):
    """What the cells that will run need."""

    data: "Mapping[DataKey, Prepared]"
    costs: "Mapping[str, Cost]"
    """By cell id."""
    failures: "Mapping[str, Failure]" = MappingProxyType({})
    """By cell id, why nets could not be built or measured."""


class Sent(NamedTuple):
    """What became of the journals."""

    problems: Sequence[str]
    """What the store did not take, as sentences."""
    any: bool
    """Whether there was anything to send: if not, nothing is known that was not known before."""


class Layout(NamedTuple):
    """How the machine is divided."""

    slots: "list[Slot]"
    modes: Mapping[str, Mode]
    """By cell id; the other cells get the default."""
    seconds: Mapping[str, float]
    """Predicted training time by cell id, where speeds were measured."""
