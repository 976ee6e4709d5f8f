"""redun in a notebook: a real kernel runs real cells."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbclient", reason="nbclient is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")

SETUP = """
%load_ext redun
from redun import task, run, Scheduler

def helper(x):
    return x + 1

@task()
def double(x: int) -> int:
    print("body", x)
    return 2 * helper(x)

@task()
def main(n: int = 2) -> list:
    return [double(i) for i in range(n)]
"""

#: Runs the cells that it reads, and prints what each gave, as JSON.
RUNNER = """
import json, sys, nbclient, nbformat
cells = json.load(sys.stdin)
book = nbformat.v4.new_notebook()
book.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
nbclient.NotebookClient(book, timeout=120, kernel_name="python3", allow_errors=True).execute()
print(json.dumps([cell.outputs for cell in book.cells]))
"""

INTERRUPTER = """
import sys
from jupyter_client import KernelManager
manager = KernelManager(kernel_name="python3")
manager.start_kernel()
client = manager.client()
client.start_channels()
client.wait_for_ready(timeout=60)

def run(cell, until=None):
    request = client.execute(cell)
    lines = []
    while True:
        message = client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") != request:
            continue
        content = message["content"]
        lines.append(content.get("text") or content.get("ename") or content.get("data", {}).get("text/plain", ""))
        if until is not None and until in lines[-1]:
            manager.interrupt_kernel()
            until = None
        if message["msg_type"] == "status" and content["execution_state"] == "idle":
            return "|".join(map(str, lines))

try:
    run("from redun import task, run\\nimport time")
    run("@task()\\ndef slow():\\n    print('begun', flush=True)\\n    time.sleep(600)")
    run("@task()\\ndef quick():\\n    return 6 * 7")
    print(run("run(slow())", until="begun"))
    print(run("run(quick())"))
    run("%load_ext redun")
    print(run("%redun log"))
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
"""


def python(directory: Path, program: str, text: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=directory, input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def outputs(directory: Path, cells: Sequence[str]) -> list[list[dict[str, Any]]]:
    import json

    found: list[list[dict[str, Any]]] = json.loads(python(directory, RUNNER, json.dumps(cells)))
    return found


def result(cell: list[dict[str, Any]]) -> str:
    """Returns what a cell gave."""
    return next(str(out["data"]["text/plain"]) for out in cell if out["output_type"] == "execute_result")


def printed(cell: list[dict[str, Any]]) -> str:
    return "".join(out["text"] for out in cell if out["output_type"] == "stream")


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> list[list[dict[str, Any]]]:
    directory = tmp_path_factory.mktemp("book")
    return outputs(
        directory,
        [
            SETUP,
            "run(main())",
            "run(main())",
            "def helper(x):\n    return x + 2",
            "run(main())",
            "@task()\ndef double(x: int) -> int:\n    print('body', x)\n    return 3 * helper(x)",
            "run(main())",
            "main(n=3)[0] + double(1)",
            "Scheduler().execute(main())",
            "%redun log",
            "@task()\ndef bad() -> int:\n    raise ValueError('<b>no</b>')\nScheduler().execute(bad())",
            "%redun log nothing-like-that",
            "@task()\nasync def waits() -> int:\n    return sum(await main())\nrun(waits())",
            "%unload_ext redun",
            "run(main())",
        ],
    )


def test_cells_are_cached_and_an_edit_of_a_helper_in_another_cell_is_seen(book: list[Any]) -> None:
    assert (result(book[1]), printed(book[1]).count("body")) == ("[2, 4]", 2)
    assert (result(book[2]), printed(book[2]).count("body")) == ("[2, 4]", 0)
    assert (result(book[4]), printed(book[4]).count("body")) == ("[4, 6]", 2)


def test_a_cell_that_defines_a_task_again_is_an_edit(book: list[Any]) -> None:
    assert (result(book[6]), printed(book[6]).count("body")) == ("[6, 9]", 2)


def test_a_run_shows_its_jobs_below_the_cell_and_updates_in_place(book: list[Any]) -> None:
    shown = [out for out in book[2] if out["output_type"] == "display_data"]
    assert len(shown) == 1
    assert "DONE: 1 cached" not in shown[0]["data"]["text/plain"]
    assert "DONE: 3 cached" in shown[0]["data"]["text/plain"]
    assert "<details>" in shown[0]["data"]["text/html"]


def test_an_expression_is_shown_as_a_tree_and_not_evaluated(book: list[Any]) -> None:
    [out] = [out for out in book[7] if out["output_type"] == "execute_result"]
    assert "<summary>" in out["data"]["text/html"]
    assert "double(1)" in out["data"]["text/html"]
    assert "body" not in printed(book[7])


def test_an_execution_is_shown_with_its_jobs_by_task(book: list[Any]) -> None:
    [out] = [out for out in book[8] if out["output_type"] == "execute_result"]
    assert "DONE" in out["data"]["text/html"]
    assert "double" in out["data"]["text/html"]


def test_commands_work_in_a_cell(book: list[Any]) -> None:
    assert printed(book[9]).startswith("Recent executions:")
    assert printed(book[9]).count("Exec ") == 4
    assert "nothing-like-that" in printed(book[11])
    assert "redun ended with exit code 3" in printed(book[11])


def test_an_error_is_shown_as_text(book: list[Any]) -> None:
    [out] = [out for out in book[10] if out["output_type"] == "execute_result"]
    assert "&lt;b&gt;no&lt;/b&gt;" in out["data"]["text/html"]
    assert "<b>no</b>" not in out["data"]["text/html"]


def test_async_tasks_run_although_the_kernel_has_a_loop_of_its_own(book: list[Any]) -> None:
    assert result(book[12]) == "15"


def test_unloading_leaves_runs_without_a_display(book: list[Any]) -> None:
    assert result(book[14]) == "[6, 9]"
    assert not [out for out in book[14] if out["output_type"] == "display_data"]


def test_the_store_serves_the_next_kernel(tmp_path: Path) -> None:
    outputs(tmp_path, [SETUP, "run(main())"])
    again = outputs(tmp_path, [SETUP, "run(main())"])
    assert (result(again[1]), printed(again[1])) == ("[2, 4]", "")


def test_a_class_defined_again_in_another_cell_is_seen(tmp_path: Path) -> None:
    cells = ["from redun import task, run\n@task()\ndef get() -> int:\n    return Place.planets"]
    for planets in (8, 9, 8):
        cells += [f"class Place:\n    planets = {planets}", "run(get())"]
    found = outputs(tmp_path, cells)
    assert [result(found[n]) for n in (2, 4, 6)] == ["8", "9", "8"]


def test_what_a_cell_changes_in_place_is_seen_and_what_a_body_fills_is_not_while_its_cell_runs(tmp_path: Path) -> None:
    cells = [
        "from redun import task, run\nimport numpy as np",
        "NAMES, TABLE, FLAGS = [1], {'k': [1]}, np.zeros(2)",
        "class Settings:\n    n = 0\nsettings = Settings()\nsettings.n = 1",
        "@task()\ndef look():\n    return [list(NAMES), TABLE['k'], int(FLAGS.sum()), settings.n]",
        "SEEN = {}\n@task()\ndef fill(x):\n    print('body', x)\n    SEEN[x] = 1\n    return x",
        "run(look())",
        "NAMES.append(2)",
        "run(look())",
        "TABLE['k'].append(2); FLAGS[0] = 1; settings.n = 2",
        "run(look())",
        "print(run([fill(1), fill(2)]), run([fill(1), fill(2)]))",
    ]
    gave = outputs(tmp_path, cells)
    assert result(gave[5]) == "[[1], [1], 0, 1]"
    assert result(gave[7]) == "[[1, 2], [1], 0, 1]"
    assert result(gave[9]) == "[[1, 2], [1, 2], 1, 2]"
    assert printed(gave[10]).count("body") == 2


def test_an_interrupted_cell_leaves_a_usable_kernel_and_an_interrupted_execution(tmp_path: Path) -> None:
    told = python(tmp_path, INTERRUPTER)
    assert "KeyboardInterrupt" in told
    assert "|42|" in told
    assert "INTERR" in told
    assert "DONE" in told
