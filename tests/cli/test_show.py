"""`redun show`: one screen about anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from redun.cli import exits
from redun.core.digest import Digest
from redun.core.objects import TaskRecord, TraceRecord
from tests.cli.screens import TASKS, Screens, masked, screens_in


@pytest.fixture
def screens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Screens]:
    with screens_in(tmp_path, monkeypatch, capsys) as screens:
        yield screens


def test_an_execution_tells_what_ran_and_why_and_what_it_depended_on(screens: Screens) -> None:
    screens.history.run(TASKS)
    screens.history.run(TASKS.replace("RATE = 3", "RATE = 4"))
    lines = masked(screens("show", "-")).splitlines()
    assert lines[:2] == ["Exec UUID DONE TIME", "  run w.py main"]
    assert lines[2].startswith("  host ")
    assert lines[3:] == [
        "  took DURATION, after Exec ID",
        "",
        "Result: [8, ('data', 0.1), 6]",
        "Jobs: 1 done, 4 cached",
        "",
        "Ran: 1 job (code 1)",
        "  Job ID  n.scale: code changed: constant w.RATE: 3 -> 4",
        "",
        "Depends on the code of 5 tasks:",
        "  n.main ID, n.make ID, n.read ID, n.scale ID, n.use ID",
        "and on what is outside:",
        "  File(path=in.txt, hash=ID)",
        "  the code of w.Model",
    ]


def test_a_failed_execution_tells_the_error(screens: Screens) -> None:
    screens.history.run("@task()\ndef main(): return 1 / 0")
    shown = screens("show", "-")
    assert "Failed: ZeroDivisionError: division by zero\nJobs: 1 failed\n" in shown
    assert screens.json("show", "-")["error"] == "ZeroDivisionError: division by zero"


def test_an_execution_that_runs_has_no_result_so_far(screens: Screens) -> None:
    screens.history.run(TASKS)
    screens.history.store.begin_run(["run", "slow.py", "main"], {})
    shown = screens("show", "-")
    assert " RUNNING " in shown.splitlines()[0]
    assert "\nResult: none so far\n" in shown
    assert "Result: none to compare\n" in screens("diff", "~1", "-")
    assert screens("explain", "-").endswith("No job ran.\n")


def test_a_job_tells_its_answer_its_values_and_what_it_called(screens: Screens) -> None:
    screens.history.run(TASKS)
    assert masked(screens("show", screens.job("scale"))) == (
        "Job FULL DONE TIME:  n.scale(x=2)\n"
        "  in Exec ID > Job ID n.main\n"
        "  on default, DURATION\n"
        "\n"
        "Ran: no earlier call of this task\n"
        "\n"
        "CallNode FULL\n"
        "  x = ID 2\n"
        "  -> ID 6\n"
        "\n"
        "Depends on the code of 1 task:\n"
        "  n.scale ID\n"
    )
    shown = masked(screens("show", screens.job("main")))
    assert "It called (4):\n  Job ID of Exec ID, DONE TIME: n.scale(x=2)\n" in shown


def test_a_call_tells_who_made_it_who_called_it_and_what_it_called(screens: Screens) -> None:
    screens.history.run(TASKS)
    ran = screens.job("scale")
    screens.history.run(TASKS, replay="step")
    call = screens.json("show", ran)["job"]["call"]
    shown = masked(screens("show", call))
    assert shown == (
        "CallNode FULL n.scale\n"
        "  Task ID\n"
        "  x = ID 2\n"
        "  -> ID 6\n"
        "\n"
        "Made by:\n"
        "  Job ID of Exec ID, DONE TIME: n.scale(x=2)\n"
        "\n"
        "It answered, in the newest execution that has it:\n"
        "  Job ID of Exec ID, CACHED TIME: n.scale(x=2)\n"
        "\n"
        "Called by:\n"
        "  CallNode ID n.main(lr=0.1)\n"
        "\n"
        "Depends on the code of 1 task:\n"
        "  n.scale ID\n"
    )
    root = screens.json("show", screens.json("show", "-")["root"]["call"])
    assert root["calls"]["items"][0]["text"] == "n.scale(x=2)"
    assert root["made_by"]["task"] == "n.main"


def test_a_value_tells_who_made_it_and_who_used_it(screens: Screens) -> None:
    screens.history.run(TASKS)
    value = screens.json("show", screens.job("make"))["result"]
    assert masked(screens("show", value)) == (
        "Value FULL w.Model, 20 bytes\n"
        "  Model(size=3)\n"
        "\n"
        "Made by:\n"
        "  Job ID of Exec ID, DONE TIME: n.make()\n"
        "\n"
        "Used by:\n"
        "  Job ID of Exec ID as model, DONE TIME: n.use(model=Model(size=3))\n"
        "\n"
        "Depends on the code of 1 task:\n"
        "  n.make ID\n"
        "and on what is outside:\n"
        "  the code of w.Model\n"
    )
    constant = screens.json("show", "n.scale")["uses"][0]["target"]
    assert "No call in the history gave it or took it as an argument" in screens("show", constant)


def test_a_value_that_callers_hand_on_is_made_by_the_one_that_called_nothing(screens: Screens) -> None:
    screens.history.run("redun_namespace = 'n'\n@task()\ndef leaf(): return 'x'\n@task()\ndef main(): return leaf()")
    value = screens.json("show", screens.job("leaf"))["result"]
    assert [job["task"] for job in screens.json("show", value)["made_by"]["items"]] == ["n.leaf", "n.main"]


def test_a_task_tells_what_is_tracked_of_its_code_and_its_versions(screens: Screens) -> None:
    screens.history.run(TASKS)
    screens.history.run(TASKS.replace("RATE = 3", "RATE = 4"))
    screens.history.run(TASKS.replace("RATE = 3", "RATE = 4"))
    assert masked(screens("show", "scale")) == (
        "Task FULL n.scale(x)\n"
        "  3 jobs in 3 executions\n"
        "\n"
        "What of its code is tracked: its own text, and everything of the user's own that it uses\n"
        "  own text      source ID\n"
        "  constant      w.RATE = 4  value ID\n"
        "  function      w.helper  source ID\n"
        "\n"
        "Versions, newest first:\n"
        "* Task ID TIME to TIME, 2 executions, last Exec ID\n"
        "  Task ID TIME, 1 execution, last Exec ID\n"
        "\n"
        "  def scale(x):\n"
        "      return helper(x)\n"
    )
    older = screens.json("show", "scale")["versions"][1]["task"]
    assert "  constant      w.RATE = 3  value" in screens("show", older)
    assert "\n* Task " in screens("show", older)


def test_a_task_tells_what_is_not_tracked(screens: Screens) -> None:
    screens.history.run(
        "redun_namespace = 'n'\ncount = 0\ndef bump():\n    global count\n    count += 1\n"
        "@task()\ndef main():\n    bump()\n    return count"
    )
    shown = screens("show", "n.main")
    assert "Not tracked:\n  w.count: is assigned through `global`\n" in shown


def test_a_source_tells_which_tasks_are_made_of_it(screens: Screens) -> None:
    screens.history.run(TASKS)
    task = screens.json("show", "n.scale")
    own = masked(screens("show", task["text"]))
    assert own.endswith("Used by:\n  Task ID n.scale\n")
    helper = masked(screens("show", task["uses"][1]["target"]))
    assert "  def helper ( x ) :\n      return x * RATE\n" in helper
    assert helper.endswith("Used by:\n  Task ID n.scale, which uses it\n")


def test_other_objects_tell_their_content_and_what_they_point_to(screens: Screens) -> None:
    screens.history.run(TASKS)
    root = screens.json("show", screens.json("show", "-")["root"]["call"])
    call = screens.history.store.get(Digest(bytes.fromhex(root["id"])))
    assert call[0] == "call"
    page = screens.json("cat-object", "-")["content"]["pages"][0]
    shown = screens("show", page)
    assert shown.startswith(f"jobs {page}, ")
    assert "Points to " in shown
    head = screens.json("cat-object", page)["content"]["rows"][0]["head"]
    assert screens.json("show", head)["kind"] == "footprint"
    blob = screens.history.store.put("blob", b"some bytes").hex()
    assert screens("show", blob).startswith(f"blob {blob}, 10 bytes\n  10 bytes\n")
    trace = screens.history.store.put("trace", TraceRecord("KeyError: 'k'").payload()).hex()
    assert "KeyError: 'k'" in screens("show", trace)


def test_an_expression_tells_which_call_it_is_the_reduction_of(screens: Screens) -> None:
    screens.history.run(TASKS)
    call = screens.json("log", screens.job("main"))["node"]
    shown = masked(screens("show", call["reduction"]))
    assert shown.startswith("expr FULL, ")
    assert shown.endswith("Used by:\n  CallNode ID n.main(lr=0.1)\n")


def test_a_task_that_nothing_used_says_so(screens: Screens) -> None:
    screens.history.run(TASKS)
    lone = screens.history.store.put("task", TaskRecord("lone", "version", version="1").payload()).hex()
    shown = screens("show", lone)
    assert "What of its code is tracked: its version alone\n  version       1\n" in shown
    assert "No execution in the history used it." in shown


def test_what_is_not_there_is_not_found(screens: Screens) -> None:
    screens.history.run(TASKS)
    assert screens.fails("show", "ffffffff")[0] == exits.MISSING
    assert screens.fails("show", "~5")[0] == exits.MISSING
    assert screens.fails("show")[0] == exits.USAGE


def test_every_screen_is_one_screen(screens: Screens) -> None:
    screens.history.run(
        "redun_namespace = 'n'\n@task()\ndef leaf(n): return list(range(n))\n"
        "@task()\ndef main(): return [leaf(n) for n in range(300)]"
    )
    for name in ("-", screens.job("main"), screens.json("show", "-")["root"]["call"], "n.leaf"):
        assert len(screens("show", name).splitlines()) < 50
    assert len(screens("show", screens.json("show", screens.job("main"))["result"]).splitlines()) < 50
    assert "redun show greeter" in screens("show", "--help")
