"""The templates of the package, filled: one environment for every format that has one.

A template that fails says so in a sentence that names it: it is a file of this package, so somebody changed it, or the
installation is broken.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING

from bench.errors import BenchError

if TYPE_CHECKING:
    import jinja2


def fill(name: str, values: Mapping[str, object], filters: Mapping[str, Callable[..., str]], *, escape: bool) -> str:
    """The text of a template.

    Args:
        name: Of a file in ``bench/report/templates``.
        values: What the template may use. A name that it uses and that is missing here is a fault.
        filters: Its filters.
        escape: Whether values are escaped for HTML.

    Raises:
        BenchError: The template is missing, or wrong.
    """
    import jinja2

    try:
        environment = _environment(escape)
        environment.filters.update(filters)
        return environment.get_template(name).render(values)
    except (jinja2.TemplateError, OSError, TypeError, ValueError) as error:
        line = getattr(error, "lineno", None)
        place = f", line {line}" if line else ""
        raise BenchError(
            f"the template bench/report/templates/{name}{place} cannot be filled: {error or type(error).__name__}; "
            "it is part of bench, so undo what was changed in it, or install bench again"
        ) from error


@cache
def _environment(escape: bool) -> "jinja2.Environment":
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("bench.report"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=escape,
    )


def read(name: str) -> str:
    """A file beside the templates that is used as it is.

    Raises:
        BenchError: It is missing.
    """
    from importlib.resources import files

    try:
        return (files("bench.report") / "templates" / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(
            f"bench/report/templates/{name} cannot be read: {error}; it is part of bench, so install bench again"
        ) from error
