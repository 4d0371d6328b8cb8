"""How cells and outcomes are written as MLflow's params, tags and notes, and read back.

Used by :class:`bench.tracking.runs.Store` and the forwarder. Pure functions: nothing here talks to a store.
"""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, replace

from bench.codec import read_known, read_object
from bench.recipe import describe_recipe, recipe_params
from bench.tracking.uri import redact_text
from bench.values import Cell, Outcome, Suite
from bench.workspace.cells import GONE
from bench.workspace.host import LEASE_S, LEASE_TAG, PROCESS_TAGS, is_gone, process_tags

NOTE_LIMIT = 15_000
"""Characters of an experiment's note; MLflow takes 20,000."""


TAG_LIMIT = 7_500
"""Characters of a tag; MLflow cuts at 8,000."""

ACCEPTED_TAG = "bench.accepted"
"""The fingerprint under which a stale result was kept knowingly, as JSON."""

_LINES_LEFT_OUT = "... {:,} more lines are left out here."

SUPERSEDED = {"bench.superseded": "true", "bench.state": "superseded"}
"""The tags of a run that a newer one has replaced. Readers trust the first; the UI's view hides them by the second."""

INTERNAL_TAG = "bench.internal"
"""What only bench reads, as JSON: people who look at a run see one tag of it. Older runs have a tag for each."""

FOLDED_TAGS = ("bench.boot_id", "bench.pid", "bench.pid_started", LEASE_TAG, "bench.outcome")
"""The tags that are keys of :data:`INTERNAL_TAG`."""

OUTCOME_TAGS = (
    "bench.cell",
    "bench.superseded",
    "bench.state",
    "bench.outcome",
    INTERNAL_TAG,
    ACCEPTED_TAG,
    "mlflow.source.git.commit",
)
"""The tags that :func:`to_outcome` and its callers read."""

ORPHAN_TAGS = ("bench.cell", "bench.state", INTERNAL_TAG, *PROCESS_TAGS)
"""The tags that :func:`is_orphan` reads."""


def describe_cell(cell: Cell) -> str:
    """The description of a cell's run: what was trained on what, and how."""
    return (
        f"{cell.model} on {cell.dataset}, schedule {cell.schedule_name}, seed {cell.seed}.\n\n"
        f"{describe_recipe(cell.recipe)}.\n\nCell `{cell.id}`: `bench show {cell.id}` says what is known of it."
    )


def describe_suite(suite: Suite) -> str:
    """The description of a suite's experiment, before its table."""
    return f"{suite.description or f'Suite {suite.name}'}. Made by `bench run {suite.path}`: one run per cell."


def fold_tags(tags: Mapping[str, str], before: Mapping[str, str]) -> dict[str, str]:
    """Tags as they are written: those that only bench reads as one, with those that the run has from ``before``."""
    internal = {key: tags[key] for key in FOLDED_TAGS if key in tags}
    if not internal:
        return dict(tags)
    rest = {key: value for key, value in tags.items() if key not in internal}
    return {**rest, INTERNAL_TAG: json.dumps({**_internal(before), **internal}, sort_keys=True)}


def unfold_tags(tags: Mapping[str, str]) -> Mapping[str, str]:
    """Tags of a run with those that are folded into one."""
    return {**tags, **_internal(tags)} if INTERNAL_TAG in tags else tags


def _internal(tags: Mapping[str, str]) -> dict[str, str]:
    try:
        content = read_object(tags.get(INTERNAL_TAG, "{}"))
    except ValueError:
        return {}
    return {key: value for key, value in content.items() if key in FOLDED_TAGS and isinstance(value, str)}


def params_of(cell: Cell) -> dict[str, str]:
    """The params of a cell's run: its axes and its recipe, under short keys."""
    params: dict[str, object] = {
        "model": cell.model,
        "dataset": cell.dataset,
        "schedule": cell.schedule_name,
        "seed": cell.seed,
        **recipe_params(cell.recipe),
        "decay": cell.schedule.name,
        **{f"decay_{key}": value for key, value in cell.schedule.as_dict().items()},
    }
    return {key: str(value) for key, value in params.items()}


def first_tags(cell: Cell, suite_name: str, series: str) -> dict[str, str]:
    """The tags with which a cell's run is created."""
    return {
        "bench.cell": cell.id,
        "bench.suite": suite_name,
        "bench.state": "running",
        "bench.journal": series,
        LEASE_TAG: str(int(time.time() + LEASE_S)),
        **process_tags(),
    }


def outcome_tags(outcome: Outcome) -> dict[str, str]:
    """The tags of an outcome, without ``bench.state``, which is written after them."""
    tags = {
        "bench.outcome": outcome_tag(outcome),
        "bench.attempt": str(outcome.attempts),
        "bench.device": outcome.device,
        "bench.execution": outcome.mode,
    }
    # a later attempt overwrites what an earlier one has written; before there is a reason, an empty one is noise
    if outcome.reason or outcome.kind or outcome.attempts > 1:
        tags |= {"bench.failure": outcome.kind, "bench.reason": redact_text(outcome.reason)[:1000]}
    return tags


def outcome_tag(outcome: Outcome) -> str:
    """The JSON of the tag ``bench.outcome``, exact to the last digit, without what other tags and the run say."""
    content = asdict(replace(outcome, reason=redact_text(outcome.reason)[:1000]))
    del content["run_id"], content["commit"], content["cell_id"], content["stale"], content["accepted"]
    return json.dumps(content, sort_keys=True)


def to_outcome(run_id: str, tags: Mapping[str, str]) -> Outcome:
    """Read an outcome from the tags of a run. The state is that of ``bench.state``, which is written last.

    What a newer version added is ignored. A run whose outcome cannot be read has failed, and says so.
    """
    tags = unfold_tags(tags)
    state = tags.get("bench.state", "running")
    commit = tags.get("mlflow.source.git.commit", "")
    own = {"cell_id": tags["bench.cell"], "state": state, "run_id": run_id, "commit": commit}
    try:
        accepted = json.loads(tags.get(ACCEPTED_TAG, "{}"))
        return read_known(Outcome, {**read_object(tags.get("bench.outcome", "{}")), **own, "accepted": accepted})
    except ValueError as error:
        reason = f"the outcome in its run {run_id} in the store cannot be read: {error}"
        return Outcome(cell_id=tags["bench.cell"], state="failed", kind="error", reason=reason, run_id=run_id)


def lost_tags(outcome: Outcome) -> dict[str, str]:
    """The tags of a run whose process has died, from the outcome that the store has of it; without ``bench.state``."""
    lost = replace(outcome, state="interrupted", kind="lost", reason=GONE)
    return {"bench.outcome": outcome_tag(lost), "bench.failure": lost.kind, "bench.reason": lost.reason}


def is_orphan(tags: Mapping[str, str]) -> bool:
    """Whether a run that is still open belongs to a cell whose process has died."""
    return "bench.cell" in tags and tags.get("bench.state") == "running" and is_gone(unfold_tags(tags))


def shorten(markdown: str, hint: str, limit: int = NOTE_LIMIT) -> str:
    """Shorten a markdown text to a number of characters: first drop its list of runs, then cut between two lines.

    The hint, appended to a text that was shortened, says where the complete one is.
    """
    if len(markdown) <= limit:
        return markdown
    markdown = re.sub(r"<details>.*?</details>\n?", "", markdown, flags=re.DOTALL)
    end = f"\n\n{hint}\n"
    if len(markdown) + len(end) <= limit:
        return markdown + end
    kept = markdown[: limit - len(end) - len(_LINES_LEFT_OUT)].rpartition("\n")[0]
    left_out = markdown[len(kept) :].strip().count("\n") + 1
    return f"{kept}\n\n{_LINES_LEFT_OUT.format(left_out)}{end}"
