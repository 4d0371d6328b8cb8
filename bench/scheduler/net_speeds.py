"""How fast finished nets answer on this machine: timed by a worker once, then kept in the user's cache folder.

The key of a figure is everything that decides it: the net, its input and classes, the versions of the libraries, and
the hardware, threads and precision that computed it. The table's columns ``latency`` and ``throughput`` show what is
kept: of all conditions those that were measured last, so that a column never mixes two.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from bench.codec import read_known
from bench.scheduler.calls import call_worker
from bench.scheduler.devices import Slot, device_name
from bench.values import Failure, Mode, NetSpeed, Precision
from bench.workspace.cache import add_to_cache, read_cache
from bench.workspace.fingerprint import model_digest
from bench.workspace.requests import Measure, TimeNet

LIBRARIES = ("torch", "torchvision", "timm")

TIMING_RULES = 1
"""Raised whenever a net is timed in another way than before, so that it is measured again."""

Ask = Callable[..., list[NetSpeed | Failure]]
"""As :func:`bench.scheduler.calls.call_worker`."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Where and how a net is timed."""

    slot: Slot
    threads: int
    """CPU threads."""
    precision: Precision | None = None
    """None: each net in its own."""


def time_net(
    net: Measure, precision: str, conditions: Conditions, path: Path, *, again: bool = False, ask: Ask | None = None
) -> NetSpeed | Failure:
    """How fast a net answers: as it was measured before, or by a worker now. A failure is not kept.

    Args:
        net: The net.
        precision: That of its recipe.
        conditions: Where and how it is timed.
        path: The file of what was measured.
        again: Measure it even if it was before.
        ask: What measures; by default a worker process.
    """
    slot = conditions.slot
    mode = Mode(threads=conditions.threads, precision=conditions.precision or _precision(precision, slot.device))
    hardware = device_name(slot)
    key = json.dumps([_net(net), mode.precision, mode.threads, hardware])
    if not again and (entry := read_cache(path).get(key)):
        return read_known(NetSpeed, entry)
    request = TimeNet(**asdict(net), mode=mode, device=slot.device, hardware=hardware)
    [answer] = (ask or call_worker)([request], threads=mode.threads, visible=slot.visible)
    if isinstance(answer, NetSpeed):
        entry = {**asdict(answer), "net": _net(net), "kind": slot.device, "measured": time.time()}
        add_to_cache(path, {key: entry})
    return answer


def known_speeds(nets: Sequence[tuple[Measure, str]], path: Path) -> list[NetSpeed | None]:
    """What is kept of nets with the precision of their recipes, all in the conditions that were measured last."""
    wanted = [(_net(net), precision) for net, precision in nets]
    names = {net for net, _ in wanted}
    entries = sorted(
        (entry for entry in read_cache(path).values() if entry.get("net") in names),
        key=lambda entry: float(str(entry["measured"])),
    )
    if not entries:
        return [None] * len(nets)
    kind, device, threads = (entries[-1][name] for name in ("kind", "device", "threads"))
    found = {
        (entry["net"], entry["precision"]): read_known(NetSpeed, entry)
        for entry in entries
        if (entry["kind"], entry["device"], entry["threads"]) == (kind, device, threads)
    }
    return [found.get((net, _precision(precision, str(kind)))) for net, precision in wanted]


def _precision(precision: str, device: str) -> Precision:
    """What a recipe's precision means on a kind of device."""
    automatic = "bf16" if device == "cuda" else "fp32"
    return "bf16" if (automatic if precision == "auto" else precision) == "bf16" else "fp32"


def _net(net: Measure) -> str:
    versions = [f"{name} {metadata.version(name)}" for name in LIBRARIES]
    content = [TIMING_RULES, net.model, model_digest(net.model), net.stem, net.input_size, net.num_classes, *versions]
    return json.dumps(content)
