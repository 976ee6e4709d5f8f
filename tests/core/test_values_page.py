"""The page on values: what it shows runs."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.core.round_trips import round_trip

PAGE = (Path(__file__).parents[2] / "docs" / "values.md").read_text()


def test_the_examples_of_the_page_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    module = ModuleType("values_page")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(code, module.__dict__)  # the page's own text
    assert round_trip(module.Matrix([[1], [2]])).rows == [[1], [2]]
    marker = round_trip(module.Marker(str(tmp_path)))
    assert (marker.path, marker.scratch, marker.is_valid()) == (str(tmp_path), None, True)
