"""The notebook among the examples: its cells run in order, and from the store when they are run again."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbclient", reason="nbclient is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "notebook"
RUNNER = """
import json, nbclient, nbformat
book = nbformat.read("temperatures.ipynb", 4)
nbclient.NotebookClient(book, timeout=120, kernel_name="python3").execute()
print(json.dumps([cell.outputs for cell in book.cells if cell.cell_type == "code"]))
"""


def played(place: Path) -> list[list[dict[str, Any]]]:
    done = subprocess.run([sys.executable, "-c", RUNNER], cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[list[dict[str, Any]]] = json.loads(done.stdout)
    return found


def texts(cells: list[list[dict[str, Any]]], kind: str) -> list[str]:
    return [out["data"]["text/plain"] for cell in cells for out in cell if out["output_type"] == kind]


def test_the_notebook_gives_what_it_shows_and_the_second_time_from_the_store(tmp_path: Path) -> None:
    place = tmp_path / "notebook"
    shutil.copytree(EXAMPLE, place, ignore=shutil.ignore_patterns(".redun"))
    shown = [
        cell["outputs"] for cell in json.loads((place / "temperatures.ipynb").read_text())["cells"] if "outputs" in cell
    ]
    first = played(place)
    results = ["".join(text) for text in texts(shown, "execute_result")]
    assert texts(first, "execute_result") == results
    # after the last edit: `summer` of three stations
    assert "3 ran, 2 cached" in texts(first, "display_data")[-1]
    again = played(place)
    assert texts(again, "execute_result") == results
    assert [text.partition(": ")[2].partition(" in ")[0] for text in texts(again, "display_data")] == [
        "1 cached",
        "5 cached",
        "5 cached",
    ]
