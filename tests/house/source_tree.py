"""The source tree as the house tests see it: our modules, their syntax trees, and what they import."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: Folder of the repository -> package, as pyproject.toml maps them.
FOLDERS = {
    "redun": "redun",
    "redun_core": "redun.core",
    "store": "redun.store",
    "executor": "redun.executor",
    "cli": "redun.cli",
}


@dataclass(frozen=True)
class Module:
    """One file of ours."""

    name: str
    path: Path

    @property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.path.read_text(), str(self.path))


@dataclass(frozen=True)
class Import:
    """One name that a module imports.

    Attributes:
        source: module that imports.
        target: module that is imported: `a.b` for `from a import b` where `b` is a module.
        line: where.
        where: `top`, `function`, or `typing` (under `if TYPE_CHECKING`).
        level: leading dots.
    """

    source: str
    target: str
    line: int
    where: str
    level: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line} imports {self.target}"


def modules() -> dict[str, Module]:
    """Returns every module of ours by its import name; links are not followed, each file is met once."""
    found = {}
    for folder, package in FOLDERS.items():
        for path in sorted(_files(ROOT / folder)):
            parts = [package, *path.relative_to(ROOT / folder).with_suffix("").parts]
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = Module(name, path)
    return found


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            yield from _files(path)
        elif path.suffix == ".py":
            yield path


def imports(module: Module, known: dict[str, Module]) -> list[Import]:
    """Returns everything that a module imports, wherever the statement stands."""
    return list(_imports(module.name, module.tree, known, "top"))


def _imports(source: str, node: ast.AST, known: dict[str, Module], where: str) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(source, alias.name, child.lineno, where)
        elif isinstance(child, ast.ImportFrom):
            base = child.module or ""
            for alias in child.names:
                whole = f"{base}.{alias.name}"
                yield Import(source, whole if whole in known else base, child.lineno, where, child.level)
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _imports(source, child, known, "function")
        elif isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for part in child.body:
                yield from _imports(source, ast.Module([part], []), known, "typing")
            for part in child.orelse:
                yield from _imports(source, ast.Module([part], []), known, where)
        else:
            yield from _imports(source, child, known, where)


def all_imports() -> list[Import]:
    """Returns what all modules of ours import."""
    known = modules()
    return [found for module in known.values() for found in imports(module, known)]
