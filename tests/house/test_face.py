"""The face of the package: every name that `import redun` promises, and the paths that workflows import from."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import redun
from tests.house.source_tree import FOLDERS, ROOT, modules

FACES = [
    name
    for name in modules()
    if name.count(".") == 1 and modules()[name].path.parent == ROOT / "redun" and name != "redun.__main__"
]


def in_fresh_python(code: str) -> str:
    """Returns what a fresh interpreter prints for a piece of code."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={})
    return done.stdout.strip()


@pytest.mark.parametrize("name", redun.__all__)
def test_every_promised_name_is_there(name: str):
    assert getattr(redun, name) is not None


def test_an_unknown_name_is_an_attribute_error_that_names_it():
    with pytest.raises(AttributeError, match="'redun' has no attribute 'tsak'"):
        redun.tsak  # noqa: B018


def test_dir_lists_what_is_promised():
    assert dir(redun) == sorted(redun.__all__)


def test_type_checkers_see_the_names_that_run_time_hands_out():
    tree = ast.parse((ROOT / "redun" / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname or alias.name: (statement.module, alias.name)
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert seen == redun._HOMES
    assert sorted({*seen, "run"}) == sorted(redun.__all__)


@pytest.mark.parametrize("first", ["redun.task", "redun.namespace"])
def test_importing_a_module_does_not_hide_the_function_of_its_name(first: str):
    code = f"import {first}; from redun import task, namespace; print(type(task).__name__, type(namespace).__name__)"
    assert in_fresh_python(code) == "function function"


def test_a_function_stays_what_it_is_when_its_module_is_imported_later():
    assert in_fresh_python("from redun import task; import redun.task as t; print(t is task)") == "True"
    assert in_fresh_python("from redun import task as a; from redun.task import task as b; print(a is b)") == "True"


@pytest.mark.parametrize("name", FACES)
def test_a_face_module_only_hands_names_on(name: str):
    module = modules()[name]
    allowed = (ast.Expr, ast.Import, ast.ImportFrom, ast.Assign)
    assert [type(node).__name__ for node in module.tree.body if not isinstance(node, allowed)] == []
    face = importlib.import_module(name)
    public = {
        alias.asname or alias.name
        for node in module.tree.body
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
    }
    assert set(face.__all__) == public
    assert face.__doc__


def test_the_wheel_carries_the_mark_of_typed_packages():
    assert (ROOT / "redun" / "py.typed").read_bytes() == b""


def test_every_folder_of_ours_has_a_package_file():
    for folder in FOLDERS:
        assert (ROOT / folder / "__init__.py").is_file()


def test_workflows_are_written_against_the_face_alone():
    for path in Path(ROOT / "examples").rglob("*.py"):
        assert "redun.core" not in path.read_text()
