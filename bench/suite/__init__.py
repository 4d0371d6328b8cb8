"""Suite files: YAML -> :class:`bench.values.Suite`, every cell with all defaults spelled out.

A file is read (``document``), validated (``schema``, errors as ``sentences``), resolved to cells (``resolve``) and
filtered (``filters``); ``reference`` documents it. Every fault of a file is reported at once, each as
``FILE:LINE:COLUMN: sentence``. Called before anything else happens; imports neither torch nor mlflow.
"""

from collections.abc import Sequence
from pathlib import Path

from bench.catalog.options import nearest
from bench.errors import SuiteError
from bench.suite.document import read
from bench.suite.filters import parse_overrides
from bench.suite.resolve import Resolver, validate
from bench.values import Cell, Execution, Suite


def load_suite(path: str, *, overrides: Sequence[str] = (), past: bool = False) -> Suite:
    """Read a suite file.

    Args:
        path: The file.
        overrides: ``recipe.KEY=VALUE`` strings, applied to every cell after everything else.
        past: It is read for the results that it has: the files of its nets may be missing.

    Raises:
        SuiteError: The file cannot be read or is not valid; it lists every fault.
        UsageError: An override is not valid.
    """
    file = Path(path)
    if file.is_dir():
        suites = sorted(str(suite) for suite in file.glob("*.yaml"))
        hint = f"; it contains {', '.join(suites[:3])}: name some or all of them ({file / '*.yaml'})" if suites else ""
        raise SuiteError([f"{path}: is a folder, not a suite file{hint}"])
    try:
        source = file.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise SuiteError([f"{path}: there is no such file{_similar(file)}"]) from None
    except OSError as error:
        raise SuiteError([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise SuiteError([f"{path}: is not UTF-8 text (byte {error.start})"]) from error
    return parse_suite(source, path, overrides=overrides, past=past)


def _similar(file: Path) -> str:
    """The suite that may be meant by a file that does not exist: here, beside it or in ``suites/``."""
    folders = dict.fromkeys([file.parent, Path("suites")])
    files = [suite for folder in folders if folder.is_dir() for suite in sorted(folder.glob("*.y*ml"))]
    exact = next((str(suite) for suite in files if suite.stem == file.stem), None)
    names = {suite.name: str(suite) for suite in reversed(files)}
    close = exact or names.get(nearest(file.name, names) or "")
    return f" (did you mean {close}?)" if close else ""


def parse_suite(source: str, path: str, *, overrides: Sequence[str] = (), past: bool = False) -> Suite:
    """Read a suite from its text; faults name it by ``path``. Arguments and errors are those of :func:`load_suite`."""
    document = read(source)
    if not document.faults and not isinstance(document.content, dict):
        what = "is empty" if document.content is None else "must hold keys and values at its top level"
        document.fault((1, 1), f"the file {what}; suites/README.md describes suite files")
    mapping = None if document.faults else validate(document, past=past)
    cells: list[Cell] = []
    if mapping is not None:
        cells = Resolver(document, mapping, parse_overrides(overrides)).cells()
    if document.faults or mapping is None:
        faults = sorted(set(document.faults))
        raise SuiteError([f"{path}:{line}:{column}: {text}" for (line, column), text in faults])
    return Suite(
        name=mapping.suite,
        description=mapping.description,
        path=path,
        source=source,
        cells=tuple(cells),
        execution=Execution(**mapping.execution.given()),
        overrides=tuple(overrides),
    )
