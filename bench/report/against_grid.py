"""What formats show of a comparison with an older report: a table of what changed, sentences below it, and JSON.

Made of :func:`bench.report.against.changes`. Texts are raw; each format escapes them.
"""

from collections.abc import Callable
from dataclasses import asdict

from bench.report.against import LEVEL, Change, Difference, changes, signed
from bench.report.columns import accuracy
from bench.report.grid import Entry, Grid, Heading, Line
from bench.report.model import Report, Row
from bench.text import counted, millions


def against_grid(report: Report) -> Grid | None:
    """The rows that changed, as a table for formats for people; None if nothing is compared, or nothing changed."""
    found = [change for change in changes(report) if change.is_one]
    if not found:
        return None
    columns: dict[tuple[str, str, bool], Callable[[Change], str]] = {("model", "Model", False): lambda c: c.row.label}
    if len({change.dataset for change in found}) > 1:
        columns["dataset", "Data set", False] = lambda c: c.dataset
    if len({change.row.schedule for change in found}) > 1:
        columns["decay", "Schedule", False] = lambda c: c.row.schedule
    # where there is no room, the last ones go first
    columns |= {
        ("before", "Before", True): lambda c: _result(c.before),
        ("now", "Now", True): lambda c: _result(c.now),
        ("change", "Change", True): lambda c: signed(c.top1.change) if c.top1 else "-",
        ("verdict", "Verdict", False): _verdict,
        ("interval", "95% interval", True): lambda c: _interval(c.top1),
        ("also", "Also changed", False): _also,
        ("seconds", "Time", True): lambda c: _share(c, "seconds"),
    }
    lines = [
        Line(
            rows=(change.row,),
            entries=tuple(Entry(text=text(change), value=None, rows=(change.row,)) for text in columns.values()),
        )
        for change in found
    ]
    headings = tuple(Heading(name=name, text=text, numeric=numeric) for name, text, numeric in columns)
    path = report.against.path if report.against else ""
    title = f"Against {path}: {'best top-1' if report.best else 'top-1'}(%)"
    return Grid(title=title, tables=report.tables, headings=headings, lines=tuple(lines))


def against_sentences(report: Report) -> list[str]:
    """What the table of changes means, and how many rows are in it; empty if nothing is compared."""
    if report.against is None:
        return []
    found = changes(report)
    changed = sum(change.is_one for change in found)
    sentences = [f"Against {report.against.path}: {changed} of {counted(len(found), 'row')} changed."]
    if not changed:
        return sentences
    sentences.append(
        "Change: top-1 now minus before, in percentage points. Time: change of the mean wall time of a run."
    )
    if any(change.top1 and change.top1.low is not None for change in found):
        sentences.append(
            "Significant: the 95% interval of Welch's t test over the seeds of both sides does not hold 0. Each row is "
            "tested by itself, so of 20 rows that did not change one is called significant."
        )
    if report.against.partial:
        sentences.append("Only some cells were asked for, so rows that are gone are not listed.")
    return sentences


def _result(row: Row | None) -> str:
    if row is None:
        return "-"
    state = "" if row.state == "complete" else row.state
    return ", ".join(filter(None, [accuracy(row.top1) if row.top1 or not state else "", state]))


def _verdict(change: Change) -> str:
    if change.top1 is None:
        return "no result" if change.kind == "same recipe" else change.kind
    return change.top1.verdict + (", other recipe" if change.recipe else "")


def _interval(top1: Difference | None) -> str:
    if top1 is None or top1.low is None or top1.high is None:
        return "-"
    return f"{signed(top1.low)} to {signed(top1.high)}"


def _share(change: Change, name: str) -> str:
    """How much a figure grew or fell, in percent of what it was."""
    old, new = getattr(change.before, name, None), getattr(change.now, name, None)
    if not old or new is None:
        return "-"
    return f"{100 * (new - old) / old:+.1f}%" if new != old else "0%"


def _also(change: Change) -> str:
    words = [*change.recipe]
    for name, digits in (("params", 3), ("flops", 1)):
        old, new = getattr(change.before, name, None), getattr(change.now, name, None)
        if change.before and change.now and old != new:
            words.append(f"{name} {millions(old, digits)} to {millions(new, digits)} M ({_share(change, name)})")
    return ", ".join(words) or "-"


def against_json(report: Report) -> dict[str, object]:
    """The comparison as JSON has it, every row included, under the key ``against``; empty if nothing is compared."""
    if report.against is None:
        return {}
    rows = [_record(change) for change in changes(report)]
    return {"against": {"path": report.against.path, "level": LEVEL, "rows": rows}}


def _record(change: Change) -> dict[str, object]:
    row = change.row

    def sides(name: str) -> dict[str, object]:
        old, new = getattr(change.before, name, None), getattr(change.now, name, None)
        if isinstance(old, int | float) and isinstance(new, int | float):
            return {"before": old, "now": new, "change": new - old}
        return {"before": old, "now": new}

    top1 = {
        side: asdict(found.top1) if found and found.top1 else None
        for side, found in (("before", change.before), ("now", change.now))
    }
    return {
        "suite": row.suite,
        "dataset": change.dataset,
        "model": row.model,
        "label": row.label,
        "stem": row.stem,
        "schedule": row.schedule,
        "kind": change.kind,
        "recipe": [*change.recipe],
        "top1": top1 | (asdict(change.top1) if change.top1 else {}),
        **{name: sides(name) for name in ("params", "flops", "state", "seconds")},
    }
