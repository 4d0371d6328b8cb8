"""Checks by name: ``nox -s lint types layers tests``; ``nox --list`` shows them all.

Every session but ``minimums`` runs in the current environment, because a fresh one would install torch again. Set that
up with ``pip install -e '.[test]'``.
"""

from itertools import chain
from pathlib import Path

import nox
from packaging.requirements import Requirement

ROOT = Path(__file__).parent
BENCHMARKS = ROOT / "tests" / "benchmarks"
PROCESSES = ["-n", "2"]
"""How many run tests. Each of them imports torch and starts processes of its own, so no more by default."""

nox.options.sessions = ["lint", "types", "layers", "tests"]


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """The default tests; arguments after -- go to pytest."""
    session.run("pytest", *(session.posargs or PROCESSES))


@nox.session(venv_backend="none")
def slow(session: nox.Session) -> None:
    """Tests with real servers, a browser and longer trainings."""
    session.run("pytest", "-m", "slow", *(session.posargs or PROCESSES))


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Format and lint rules."""
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")


@nox.session(venv_backend="none")
def types(session: nox.Session) -> None:
    """Strict types, in the package and its tests."""
    session.run("mypy")


@nox.session(venv_backend="none")
def layers(session: nox.Session) -> None:
    """Import contracts between packages."""
    session.run("lint-imports")


@nox.session(python="3.11")
def minimums(session: nox.Session) -> None:
    """The default tests with the lowest versions that pyproject.toml promises, in a fresh environment (several GB)."""
    constraints = Path(session.create_tmp()) / "minimums.txt"
    constraints.write_text("\n".join(lower_bounds()))
    session.install("-c", str(constraints), "-e", ".[test]")
    session.run("pytest", *PROCESSES, *session.posargs)


@nox.session(venv_backend="none")
def benchmarks(session: nox.Session) -> None:
    """One benchmark: nox -s benchmarks -- NAME [ARGUMENTS]; without a name, the list of them."""
    names = sorted(path.stem for path in BENCHMARKS.glob("*.py"))
    if not session.posargs:
        session.log(f"name one of them: {', '.join(names)}")
        return
    name, *arguments = session.posargs
    session.run("python", str(BENCHMARKS / f"{name}.py"), *arguments)


def lower_bounds() -> list[str]:
    """Every direct dependency, of the package and its extras, pinned to its lower bound if it has one."""
    project = nox.project.load_toml(ROOT / "pyproject.toml")["project"]
    texts = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    requirements = [Requirement(text) for text in texts if ">=" in text]
    return [f"{requirement.name}{requirement.specifier}".replace(">=", "==") for requirement in requirements]
