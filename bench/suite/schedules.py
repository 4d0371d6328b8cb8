"""One schedule with its options, for commands that take no suite; it is checked as a suite file's is."""

from collections.abc import Mapping

from pydantic import TypeAdapter, ValidationError

from bench.catalog.training import schedule_options, schedule_problem, with_defaults
from bench.errors import UsageError
from bench.recipe import Component
from bench.suite.schema import ScheduleMapping
from bench.suite.sentences import sentence


def make_schedule(kind: str, options: Mapping[str, object], *, lr: float, epochs: int) -> Component:
    """A schedule with defaults for the options that are not given.

    Raises:
        UsageError: An option is unknown, missing or wrong, or the schedule does not fit the epochs or the rate.
    """
    try:
        mapping = TypeAdapter(ScheduleMapping).validate_python({"kind": kind, **options})
    except ValidationError as error:
        faults = [sentence(each, (kind, *each["loc"][1:2])) for each in error.errors()]
        raise UsageError("\n".join(f"{kind}: {fault}" for fault in dict.fromkeys(faults))) from None
    given = {name: value for name, value in mapping.given().items() if name != "kind"}
    schedule = with_defaults(kind, given, schedule_options(kind))
    milestones = schedule.as_dict().get("milestones")
    if isinstance(milestones, tuple) and milestones[-1] >= epochs:
        raise UsageError(f"{kind}: milestone {milestones[-1]} is never reached in {epochs} epochs")
    if schedule["warmup_epochs"] >= epochs:
        raise UsageError(f"{kind}: the warm-up lasts all {epochs} epochs")
    if problem := schedule_problem(schedule, lr):
        raise UsageError(f"{kind}: {problem}")
    return schedule
