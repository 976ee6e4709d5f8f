"""`redun diff`: what differs between two executions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from redun.cli import exits
from tests.cli.screens import TASKS, Screens, masked, screens_in


@pytest.fixture
def screens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Screens]:
    with screens_in(tmp_path, monkeypatch, capsys) as screens:
        yield screens


def test_an_edited_helper_is_shown_with_what_it_led_to(screens: Screens) -> None:
    screens.history.run(TASKS)
    screens.history.run(TASKS)
    screens.history.run(TASKS.replace("x * RATE", "x + RATE"))
    assert masked(screens("diff", "~1", "-")) == (
        "A: Exec ID [ DONE ] TIME:  run w.py main\n"
        "B: Exec ID [ DONE ] TIME:  run w.py main\n"
        "\n"
        "Result:\n"
        "  A: [6, ('data', 0.1), 6]\n"
        "  B: [5, ('data', 0.1), 6]\n"
        "  result[0]: 6 -> 5\n"
        "\n"
        "Code that differs:\n"
        "  n.scale: Task ID -> ID\n"
        "    function w.helper\n"
        "      @@ -1,2 +1,2 @@\n"
        "       def helper ( x ) :\n"
        "      -    return x * RATE\n"
        "      +    return x + RATE\n"
        "\n"
        "Jobs: 5 in A, 5 in B; 4 cached in both, 0 ran in both\n"
        "\n"
        "Ran in B and cached in A (1):\n"
        "  Job ID  n.scale: code changed: function w.helper\n"
        "\n"
        "Values that differ, innermost first (2):\n"
        "  Job ID / Job ID  n.scale(x=2)\n"
        "    result: 6 -> 5\n"
        "  Job ID / Job ID  n.main(lr=0.1)\n"
        "    result[0]: 6 -> 5\n"
    )


def test_a_cold_and_a_warm_run_differ_in_what_ran(screens: Screens) -> None:
    screens.history.run(TASKS)
    screens.history.run(TASKS)
    shown = masked(screens("diff", "~1", "-"))
    assert "Result: the same: [6, ('data', 0.1), 6]\n" in shown
    assert "Ran in A and cached in B (5):\n  Job ID  n.main: no earlier call of this task\n" in shown
    assert "Code that differs" not in shown
    assert "Values that differ" not in shown


def test_an_execution_is_the_same_as_itself(screens: Screens) -> None:
    screens.history.run(TASKS)
    shown = screens("diff", "-", "-")
    assert "Jobs: 5 in A, 5 in B; 0 cached in both, 5 ran in both\n" in shown
    assert shown.endswith("5 ran in both\n")


def test_arguments_and_results_that_differ_are_told_by_their_places(screens: Screens) -> None:
    screens.history.run(TASKS)
    screens.history.run(TASKS, 0.2)
    shown = screens("diff", "~1", "-")
    assert "    args['cfg']['lr']: 0.1 -> 0.2\n    result[1]: 0.1 -> 0.2\n" in shown
    assert shown.index("n.read(") < shown.index("  n.main(lr=0.2)")


def test_jobs_that_nothing_stands_against_are_listed(screens: Screens) -> None:
    screens.history.run(TASKS)
    screens.history.run(TASKS.replace("[scale(2), ", "["))
    shown = masked(screens("diff", "~1", "-"))
    assert "Only in A (1):\n  Job ID  n.scale(x=2)\n" in shown
    assert "n.scale only in A: Task ID\n" in shown
    back = masked(screens("diff", "-", "~1"))
    assert "Only in B (1):\n  Job ID  n.scale(x=2)\n" in back


def test_jobs_are_matched_by_their_arguments_before_their_order(screens: Screens) -> None:
    text = """
redun_namespace = "n"
@task()
def square(n): return n * n
@task()
def main(numbers): return [square(n) for n in numbers]
"""
    screens.history.run(text, [1, 2, 3])
    screens.history.run(text, [3, 4, 1])
    found = screens.json("diff", "~1", "-")
    assert [(pair["text"], pair["result"]["old"]) for pair in found["values"][:1]] == [("n.square(n=4)", "4")]
    assert found["only_old"] == found["only_new"] == []


def test_a_failure_and_a_result_differ_as_a_whole(screens: Screens) -> None:
    screens.history.run("@task()\ndef main(): return 1")
    screens.history.run("@task()\ndef main(): return 1 / 0")
    shown = screens("diff", "~1", "-")
    assert "  A: 1\n  B: ErrorValue(ZeroDivisionError('division by zero'))\n" in shown
    assert "    result: 1 -> ErrorValue(ZeroDivisionError('division by zero'))\n" in shown


def test_long_lists_are_cut(screens: Screens) -> None:
    text = (
        "redun_namespace = 'n'\n@task()\ndef f(n): return n\n@task()\ndef main(k): return [f(n + k) for n in range(30)]"
    )
    screens.history.run(text, 0)
    screens.history.run(text, 1000)
    assert "  ... 11 more: -n 0 lists all\n" in screens("diff", "~1", "-")
    assert "more: -n 0" not in screens("diff", "~1", "-", "-n", "0")


def test_json_has_all_of_it(screens: Screens) -> None:
    screens.history.run(TASKS)
    screens.history.run(TASKS.replace("RATE = 3", "RATE = 4"))
    found = screens.json("diff", "~1", "-")
    assert found["result"]["changes"] == [{"path": "result[0]", "how": "changed", "old": "6", "new": "8", "file": ""}]
    assert found["code"][0]["task"] == "n.scale"
    assert found["code"][0]["changes"][0]["what"] == "constant"
    assert found["jobs"] == {"ran_in_both": 1, "ran_in_old": 4, "ran_in_new": 0, "cached_in_both": 0}
    assert {ran["reason"]["why"] for ran in found["ran_in_old"]} == {"first"}


def test_what_is_no_execution_is_not_found(screens: Screens) -> None:
    screens.history.run(TASKS)
    code, said = screens.fails("diff", "-", screens.job("scale"))
    assert code == exits.MISSING
    assert "is a job, not an execution; redun log lists the executions" in said
    assert screens.fails("diff", "-", "~1")[0] == exits.MISSING
    assert screens.fails("diff", "-")[0] == exits.USAGE
    assert "redun diff ~1 -" in screens("diff", "--help")
