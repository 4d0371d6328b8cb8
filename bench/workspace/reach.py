"""Follow names and imports through the files of a net, from its function on; see :mod:`bench.workspace.net_source`."""

import ast
import hashlib
import importlib.util
import sys
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from bench.workspace.syntax import bound_by, calls, dump, is_dynamic, is_plain, parse


@dataclass
class Module:
    """A local module: its top-level statements, imports split into one statement per name."""

    name: str
    package: str
    statements: list[ast.stmt]
    bound: dict[str, list[int]] = field(default_factory=dict)
    """Numbers of the statements that bind a name."""
    reached: set[int] = field(default_factory=set)
    visited: bool = False


class Reached:
    """Follows names and imports from a function, with a list of what is left instead of recursion."""

    def __init__(self, roots: list[Path]) -> None:
        self.roots = roots
        self.libraries: set[str] = set()
        self._modules: dict[str, Module] = {}
        self._todo: list[tuple[Module, int]] = []

    def reach_function(self, module: Module, name: str) -> bool:
        """Follow everything from a function of a module; False if the module does not bind its name."""
        if name not in module.bound:
            return False
        self._visit(module)
        self._reach(module, name)
        while self._todo:
            self._follow(*self._todo.pop())
        return True

    def digest(self) -> str:
        """SHA-256 of what was reached, whatever the modules are called."""
        texts = [
            "\n".join(dump(module.statements[number]) for number in sorted(module.reached))
            for module in self._modules.values()
        ]
        content = "\n\n".join(sorted(filter(None, texts)))
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()

    def module(self, name: str, file: Path) -> Module:
        """The module of a file, read once."""
        if name not in self._modules:
            package = name if file.name == "__init__.py" else name.rpartition(".")[0]
            module = self._modules[name] = Module(name, package, parse(file.read_bytes()))
            for number, statement in enumerate(module.statements):
                for bound in bound_by(statement):
                    module.bound.setdefault(bound, []).append(number)
        return self._modules[name]

    def _find(self, name: str) -> Module | None:
        """The local module of a dotted name; None for a library's, which is noted, and for one that is missing."""
        top = name.partition(".")[0]
        if not name or top == "bench" or top in sys.stdlib_module_names:
            return None
        for number, root in enumerate(self.roots):
            place = root.joinpath(*name.split("."))
            for file in (place / "__init__.py", place.with_name(f"{place.name}.py")):
                # only what lies beside the net's file comes before installed libraries
                if file.is_file() and (number == 0 or not _is_installed(top)):
                    return self.module(name, file)
        self.libraries.add(top)
        return None

    def _visit(self, module: Module) -> None:
        """Reach what is executed when a module is imported."""
        if module.visited:
            return
        module.visited = True
        for number, statement in enumerate(module.statements):
            if isinstance(statement, ast.Import | ast.ImportFrom):
                self._import(module, statement, names=False)
            elif self._acts(module, statement):
                self._include(module, number)

    def _acts(self, module: Module, statement: ast.stmt) -> bool:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                # a decorator of the project may register what it decorates; those of libraries are taken not to
                return any(self._is_local(module, decorator) for decorator in statement.decorator_list)
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                return not all(map(is_plain, targets)) or calls(statement.value)
            case ast.Expr(value=ast.Constant()) | ast.Pass():
                return False
            case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
                return False
        return True

    def _is_local(self, module: Module, decorator: ast.expr) -> bool:
        node = decorator
        while isinstance(node, ast.Call | ast.Attribute):
            node = node.func if isinstance(node, ast.Call) else node.value
        numbers = module.bound.get(node.id, []) if isinstance(node, ast.Name) else []
        return any(self._is_own(module.statements[number]) for number in numbers)

    def _is_own(self, statement: ast.stmt) -> bool:
        if isinstance(statement, ast.Import):
            return self._find(statement.names[0].name) is not None
        if isinstance(statement, ast.ImportFrom):
            return bool(statement.level) or self._find(statement.module or "") is not None
        return True

    def _include(self, module: Module, number: int) -> None:
        if number not in module.reached:
            module.reached.add(number)
            self._todo.append((module, number))

    def _include_all(self, module: Module) -> None:
        self._visit(module)
        for number, statement in enumerate(module.statements):
            if not isinstance(statement, ast.If | ast.Expr) or self._acts(module, statement):
                self._include(module, number)

    def _reach(self, module: Module, name: str) -> None:
        for number in module.bound.get(name, ()):
            self._include(module, number)

    def _follow(self, module: Module, number: int) -> None:
        for node in ast.walk(module.statements[number]):
            if isinstance(node, ast.Import | ast.ImportFrom):
                self._import(module, node, names=True)
                continue
            if is_dynamic(node):
                self._include_all(module)
            if isinstance(node, ast.Name):
                self._reach(module, node.id)

    def _import(self, module: Module, node: ast.Import | ast.ImportFrom, *, names: bool) -> None:
        """Follow an import. ``names``: what it binds is used, and not only executed."""
        for alias in node.names:
            if isinstance(node, ast.Import):
                self._enter(alias.name, whole=names)
                continue
            base = _absolute(module.package, node)
            source = self._enter(base, whole=False)
            submodule = None if alias.name == "*" else self._submodule(source, base, alias.name)
            if submodule is not None:
                (self._include_all if names else self._visit)(submodule)
            elif source is not None and (names or alias.name == "*"):
                known = alias.name in source.bound
                self._reach(source, alias.name) if known else self._include_all(source)

    def _enter(self, name: str, *, whole: bool) -> Module | None:
        """Reach what an import of a dotted name executes: its packages, and the module itself, which is returned."""
        parts = name.split(".") if name else []
        found: Module | None = None
        for length in range(1, len(parts) + 1):
            found = self._find(".".join(parts[:length]))
            if found is not None:
                (self._include_all if whole else self._visit)(found)
        return found

    def _submodule(self, source: Module | None, base: str, name: str) -> Module | None:
        if source is not None and (name in source.bound or source.package != source.name):
            return None
        if source is None and base.partition(".")[0] in self.libraries and not self._is_namespace(base):
            return None
        return self._find(f"{base}.{name}" if base else name)

    def _is_namespace(self, name: str) -> bool:
        """Whether a dotted name is a folder without ``__init__.py``, whose modules are local."""
        return any(root.joinpath(*name.split(".")).is_dir() for root in self.roots)


def _absolute(package: str, node: ast.ImportFrom) -> str:
    """The dotted name that a ``from`` import names, seen from a package."""
    parts = package.split(".") if package else []
    climbed = parts[: len(parts) - (node.level - 1)] if node.level else []
    return ".".join([*climbed, *([node.module] if node.module else [])])


@lru_cache(maxsize=512)
def _is_installed(name: str) -> bool:
    """Whether a top-level name is an installed library. Nothing is imported."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    places = [spec.origin or "", *(spec.submodule_search_locations or ())] if spec else []
    return any("site-packages" in place or "dist-packages" in place for place in places)
