"""Cells and outcomes as MLflow's params, tags and notes."""

import json
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.tracking.encoding import (
    ACCEPTED_TAG,
    FOLDED_TAGS,
    INTERNAL_TAG,
    NOTE_LIMIT,
    ORPHAN_TAGS,
    OUTCOME_TAGS,
    first_tags,
    fold_tags,
    is_orphan,
    lost_tags,
    outcome_tags,
    params_of,
    shorten,
    to_outcome,
    unfold_tags,
)
from bench.values import Cell, Cost, Outcome

COST = Cost(params=1_234_567, flops=7, conv_linear_macs=5, torch_macs=6, uncounted=("gelu x 2",))


def an_outcome(**changed: object) -> Outcome:
    content = {"state": "complete", "top1": 91.0625 + 1 / 7, "cost": COST, "commit": "abc", "attempts": 2, **changed}
    return Outcome(cell_id="c", **content)  # type: ignore[arg-type]


def read_back(outcome: Outcome) -> Outcome:
    """The outcome of a run whose tags were written from an outcome, with nothing but the tags that are read."""
    tags = {"bench.cell": outcome.cell_id, "mlflow.source.git.commit": outcome.commit, **outcome_tags(outcome)}
    tags["bench.state"] = outcome.state
    return to_outcome("run", {key: tags[key] for key in OUTCOME_TAGS if key in tags})


def test_params_of_a_cell_are_its_axes_recipe_and_schedule(make_cell: Callable[..., Cell]) -> None:
    params = params_of(make_cell(seed=3, lr=0.125))
    assert (params["model"], params["seed"], params["lr"]) == ("shufflenet_v2_x0_5", "3", "0.125")
    assert (params["schedule"], params["decay"], params["augment"]) == ("cosine", "cosine", "none")


def test_to_outcome_reads_what_outcome_tags_wrote() -> None:
    outcome = an_outcome()
    assert read_back(outcome) == an_outcome(run_id="run")


def test_to_outcome_takes_the_state_from_the_tag_that_is_written_last() -> None:
    tags = {**outcome_tags(an_outcome()), "bench.cell": "c"}
    assert to_outcome("run", tags).state == "running"
    assert to_outcome("run", {**tags, "bench.state": "failed"}).state == "failed"


def test_to_outcome_reads_nan() -> None:
    outcome = read_back(an_outcome(state="failed", kind="diverged", top1=math.nan))
    assert outcome.top1 is not None
    assert math.isnan(outcome.top1)


@pytest.mark.parametrize(
    "content",
    ['{"top1": 9', "[1]", "null", '{"top1": "x"}', '{"cost": {"params": 1}}', '{"epochs": {}}', '{"top1": true}'],
)
def test_to_outcome_of_a_damaged_tag_is_a_failure_that_names_the_run(content: str) -> None:
    outcome = to_outcome("run-1", {"bench.cell": "c", "bench.state": "complete", "bench.outcome": content})
    assert (outcome.cell_id, outcome.state, outcome.kind, outcome.run_id) == ("c", "failed", "error", "run-1")
    assert outcome.reason.startswith("the outcome in its run run-1 in the store cannot be read: ")


@given(st.text() | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(json.dumps))
def test_to_outcome_never_raises(content: str) -> None:
    assert to_outcome("run", {"bench.cell": "c", "bench.state": content, "bench.outcome": content}).cell_id == "c"


def test_to_outcome_ignores_what_a_newer_version_added() -> None:
    cost = {"params": 1, "flops": 2, "conv_linear_macs": 2, "torch_macs": 2, "energy": 3}
    content = json.dumps({"top1": 91, "epochs": 2, "mood": "good", "cost": cost})
    outcome = to_outcome("run", {"bench.cell": "c", "bench.state": "complete", "bench.outcome": content})
    assert (outcome.state, outcome.top1, outcome.epochs) == ("complete", 91, 2)
    assert outcome.cost is not None


def test_to_outcome_reads_under_which_fingerprint_a_stale_result_was_kept() -> None:
    tags = {"bench.cell": "c", "bench.state": "complete", ACCEPTED_TAG: '{"torch": "3.0"}'}
    assert to_outcome("run", tags).accepted == {"torch": "3.0"}


def test_outcome_tags_hide_credentials_and_shorten_the_reason() -> None:
    tags = outcome_tags(an_outcome(reason="http://me:secret@host " + "x" * 2000))
    assert "secret" not in "".join(tags.values())
    assert len(tags["bench.reason"]) == 1000
    assert len(json.loads(tags["bench.outcome"])["reason"]) == 1000


def test_lost_tags_keep_the_results_of_the_run() -> None:
    lost = to_outcome("run", {"bench.cell": "c", "bench.state": "interrupted", **lost_tags(an_outcome())})
    assert (lost.state, lost.kind, lost.top1) == ("interrupted", "lost", an_outcome().top1)
    assert lost.reason


class TestIsOrphan:
    def tags(self, make_cell: Callable[..., Cell], **changed: str) -> dict[str, str]:
        tags = {**first_tags(make_cell(), "a suite", "series"), **changed}
        return {key: tags[key] for key in ORPHAN_TAGS if tags.get(key)}

    def test_a_run_of_this_process_is_none(self, make_cell: Callable[..., Cell]) -> None:
        assert not is_orphan(self.tags(make_cell))

    def test_a_run_of_a_process_that_has_died_is_one(self, make_cell: Callable[..., Cell]) -> None:
        assert is_orphan(self.tags(make_cell, **{"bench.pid_started": "1"}))

    @pytest.mark.parametrize("changed", [{"bench.state": "complete"}, {"bench.cell": ""}])
    def test_a_run_that_ended_or_is_no_cells_is_none(
        self, make_cell: Callable[..., Cell], changed: dict[str, str]
    ) -> None:
        assert not is_orphan(self.tags(make_cell, **{"bench.pid_started": "1", **changed}))


class TestFoldTags:
    @given(st.dictionaries(st.sampled_from([*FOLDED_TAGS, "bench.cell", "bench.host"]), st.text()), st.data())
    def test_unfold_tags_gives_back_what_was_written_in_any_order(
        self, tags: dict[str, str], data: st.DataObject
    ) -> None:
        first = data.draw(st.sets(st.sampled_from(sorted(tags)))) if tags else set()
        run = fold_tags({key: tags[key] for key in first}, {})
        run |= fold_tags({key: value for key, value in tags.items() if key not in first}, run)
        assert {key: value for key, value in unfold_tags(run).items() if key != INTERNAL_TAG} == tags
        assert run.keys().isdisjoint(FOLDED_TAGS)

    def test_tags_of_older_runs_are_read(self) -> None:
        tags = {"bench.pid": "7", "bench.outcome": "{}"}
        assert unfold_tags(tags) == tags

    @pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"bench.pid": 7}'])
    def test_a_damaged_tag_is_empty(self, content: str) -> None:
        assert "bench.pid" not in unfold_tags({INTERNAL_TAG: content})


class TestShorten:
    def test_a_text_within_the_limit_stays(self) -> None:
        assert shorten("| a |", "(hint)") == "| a |"

    def test_the_list_of_runs_goes_first(self) -> None:
        details = f"<details>\n{'x' * NOTE_LIMIT}\n</details>\n"
        assert shorten(f"| a |\n{details}| b |", "(hint)") == "| a |\n| b |\n\n(hint)\n"

    def test_a_note_that_is_too_long_is_cut_after_a_line_and_says_where_the_rest_is(self) -> None:
        text = "\n".join(f"| row {number} |" for number in range(5000))
        short = shorten(text, "(the rest is there)")
        assert len(short) <= NOTE_LIMIT
        assert "more lines are left out here" in short
        assert short.rstrip().endswith("(the rest is there)")
        assert all(line.startswith("| row") and line.endswith("|") for line in short.split("\n\n")[0].splitlines())
