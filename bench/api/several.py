"""Several suites in one command: one that cannot be used keeps no other from being used."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench.errors import BenchError, DataError, DeletedExperimentError, ModelError, SuiteError, UsageError

ONE_SUITES = (UsageError, DataError, DeletedExperimentError, ModelError)
"""Errors that concern one suite. A store or a disk that cannot be used concerns all of them."""


class SuiteFaults:
    """The errors of single suites, said when they occur and raised together at the end.

    Args:
        suites: How many suites were asked for; the error of the only one is raised at once.
        note: Takes a sentence per error.
    """

    def __init__(self, suites: int, note: Callable[[str], None]) -> None:
        self._several, self._note = suites > 1, note
        self._errors: list[BenchError] = []

    @contextmanager
    def of(self, path: str) -> Iterator[None]:
        """Keep an error of the suite at this path, and go on after the block."""
        try:
            yield
        except ONE_SUITES as error:
            if not self._several:
                raise
            self._errors.append(error)
            text = str(error) if isinstance(error, SuiteError) else f"{path}: {error}"
            self._note(f"{text}\n{path} is left out; the other suites are not")

    def raise_all(self) -> None:
        """End with the errors, if there are any; the exit code is the highest of theirs.

        Raises:
            BenchError: The only error, or one that says what all of them say.
        """
        if len(self._errors) == 1:
            raise self._errors[0]
        if self._errors:
            together = BenchError("\n".join(dict.fromkeys(map(str, self._errors))))
            together.exit_code = max(error.exit_code for error in self._errors)
            raise together
