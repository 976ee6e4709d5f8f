"""How long a file and a function may be: past that it is a design question. There is no list of exceptions."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.house.source_tree import FOLDERS, ROOT

FILE_LINES = 600
FUNCTION_LINES = 60


def _sources() -> list[Path]:
    return [
        path
        for folder in (*FOLDERS, "tests", "benchmarks", "examples")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not any(parent.is_symlink() for parent in path.parents)
    ]


def test_no_file_is_longer_than_600_lines():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in _sources()}
    assert len(lengths) > 50
    assert {path: lines for path, lines in lengths.items() if lines > FILE_LINES} == {}


def test_no_function_is_longer_than_60_lines():
    long = {}
    for path in _sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    long[f"{path.relative_to(ROOT)}:{node.name}"] = lines
    assert long == {}
