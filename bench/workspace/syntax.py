"""Python source as syntax trees: what :mod:`bench.workspace.net_source` asks of single statements."""

import ast
from collections.abc import Iterator
from functools import lru_cache

DYNAMIC = {"globals", "locals", "vars", "exec", "eval", "__import__", "import_module"}
"""Functions whose use may reach any definition of a file."""

HARMLESS = {"partial", "getLogger", "namedtuple", "TypeVar"}
"""Functions whose call in a top-level assignment does nothing else, so that it counts only if its name is reached."""


@lru_cache(maxsize=512)
def parse(content: bytes) -> list[ast.stmt]:
    """The top-level statements of a file's content; imports of several names become several statements.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: It cannot be parsed.
    """
    statements: list[ast.stmt] = []
    for statement in ast.parse(content).body:
        if isinstance(statement, ast.Import):
            statements += [ast.Import(names=[alias]) for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom):
            statements += [
                ast.ImportFrom(module=statement.module, names=[alias], level=statement.level)
                for alias in statement.names
            ]
        else:
            statements.append(statement)
    return statements


def bound_by(statement: ast.stmt) -> Iterator[str]:
    """The names that a top-level statement binds; those inside of a function or class are its own."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
        return
    for node in ast.walk(statement):
        match node:
            case ast.Import():
                yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
            case ast.ImportFrom():
                yield from (alias.asname or alias.name for alias in node.names)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name


def is_plain(target: ast.expr) -> bool:
    """Whether an assignment binds names and changes nothing else."""
    elements = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
    return all(isinstance(element, ast.Name | ast.Tuple | ast.List | ast.Starred) for element in elements)


def calls(value: ast.expr | None) -> bool:
    """Whether an expression calls a function when it is evaluated, other than the :data:`HARMLESS` ones."""
    todo: list[ast.AST] = [value] if value else []
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Lambda):
            continue  # not executed yet
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if name not in HARMLESS:
                return True
        todo += ast.iter_child_nodes(node)
    return False


def is_dynamic(node: ast.AST) -> bool:
    """Whether a node may look up any top-level name of its file."""
    if isinstance(node, ast.Attribute):
        of_sys = isinstance(node.value, ast.Name) and node.value.id == "sys"
        return node.attr == "import_module" or (node.attr == "modules" and of_sys)
    return isinstance(node, ast.Name) and node.id in DYNAMIC


def dump(node: object) -> str:
    """A syntax tree as text, without positions and docstrings; unlike ``ast.dump``, equal in all versions of Python."""
    if isinstance(node, list):
        return f"[{','.join(map(dump, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    parts = []
    for name, value in ast.iter_fields(node):
        if name in ("body", "orelse") and _is_documented(node, name):
            value = value[1:]  # noqa: PLW2901 - the docstring
        if value not in (None, []) and name not in ("kind", "ctx", "type_comment"):
            parts.append(f"{name}={dump(value)}")
    return f"{type(node).__name__}({','.join(parts)})"


def _is_documented(node: ast.AST, field_name: str) -> bool:
    documented = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and field_name == "body"
    return documented and ast.get_docstring(node, clean=False) is not None  # type: ignore[arg-type]
