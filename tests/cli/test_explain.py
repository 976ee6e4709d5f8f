"""`redun explain`: how a job was answered, and why it ran."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from redun.cli import exits
from redun.store.gc.collect import GcOptions
from redun.store.gc.retention import KeepRules
from tests.cli.screens import TASKS, Screens, masked, screens_in


@pytest.fixture
def screens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Screens]:
    with screens_in(tmp_path, monkeypatch, capsys) as screens:
        yield screens


def test_a_job_that_ran_tells_what_changed_and_what_it_is_compared_with(screens: Screens) -> None:
    screens.history.run(TASKS)
    screens.history.run(TASKS.replace("x * RATE", "x + RATE"))
    assert masked(screens("explain", screens.job("scale"))) == (
        "Job UUID [ DONE ] TIME:  n.scale(x=2)\n"
        "Traceback: Exec ID > Job ID main > Job ID scale\n"
        "\n"
        "Ran: code changed: function w.helper\n"
        "\n"
        "Compared with:\n"
        "  Job ID of Exec ID, TIME: n.scale(x=2)\n"
        "\n"
        "Code:\n"
        "  function w.helper\n"
        "    @@ -1,2 +1,2 @@\n"
        "     def helper ( x ) :\n"
        "    -    return x * RATE\n"
        "    +    return x + RATE\n"
    )


def test_an_earlier_call_that_was_pruned_and_collected_is_said_to_be_gone(screens: Screens) -> None:
    screens.history.run(TASKS)
    screens.history.run(TASKS.replace("x * RATE", "x + RATE"))
    before = screens.json("explain", screens.job("scale"))["reason"]
    store = screens.history.store
    store.prune(store.plan_pruning(KeepRules(last=1)))
    store.collect_garbage(GcOptions(expiry_s=0))
    screens("log")
    assert masked(screens("explain", screens.job("scale"))) == (
        "Job UUID [ DONE ] TIME:  n.scale(x=2)\n"
        "Traceback: Exec ID > Job ID main > Job ID scale\n"
        "\n"
        "Ran: code changed; the earlier call is no longer in the store\n"
        "\n"
        "Compared with:\n"
        "  CallNode ID, which is no longer in the store\n"
    )
    reason = screens.json("explain", screens.job("scale"))["reason"]
    assert (reason["gone"], reason["compared"], reason["code"]) == (True, before["compared"], [])
    assert "n.scale: code changed; the earlier call is no longer in the store\n" in screens("explain", "-")


def test_arguments_are_told_place_by_place(screens: Screens) -> None:
    screens.history.run(TASKS)
    Path("in.txt").write_text("other data")
    screens.history.run(TASKS, 0.2)
    shown = screens("explain", screens.job("read"))
    assert "Ran: argument changed: args['file']: content of in.txt: 3a6eb079 -> 87351795; args['cfg']['lr']" in shown
    assert (
        "Arguments:\n  args['file']: content of in.txt: 3a6eb079 -> 87351795\n  args['cfg']['lr']: 0.1 -> 0.2\n"
        in shown
    )


def test_the_class_of_an_argument_is_shown_as_a_diff(screens: Screens) -> None:
    screens.history.run(TASKS)
    screens.history.run(TASKS.replace("self.size * 2", "self.size * 5"))
    shown = screens("explain", screens.job("use"))
    assert "Ran: code changed: w.Model, which an argument is made of\n" in shown
    assert "    -        return self . size * 2\n    +        return self . size * 5\n" in shown


def test_a_first_job_has_nothing_to_be_compared_with(screens: Screens) -> None:
    screens.history.run(TASKS)
    assert "\n\nRan: no earlier call of this task\n" in screens("explain", screens.job("main"))


def test_a_whole_replay_and_what_is_inside_it_tell_where_they_ran(screens: Screens) -> None:
    screens.history.run(TASKS)
    ran = screens.job("scale")
    screens.history.run(TASKS)
    whole = masked(screens("explain", screens.job("main")))
    assert whole.split("\n\n", 1)[1] == (
        "Replayed whole: nothing that its subtree depended on had changed\n"
        "\n"
        "It ran in:\n"
        "  Job ID of Exec ID, TIME: n.main(lr=0.1)\n"
        "\n"
        "Depends on the code of 5 tasks:\n"
        "  n.main ID, n.make ID, n.read ID, n.scale ID, n.use ID\n"
        "and on what is outside:\n"
        "  File(path=in.txt, hash=ID)\n"
        "  the code of w.Model\n"
    )
    inner = screens("explain", screens.job("scale"))
    assert "Part of a whole replay\n\nThe replay:\n  Job " in inner
    assert f"It ran in:\n  Job {ran} of Exec" in inner


def test_a_step_tells_which_jobs_below_it_ran(screens: Screens) -> None:
    screens.history.run(TASKS)
    screens.history.run(TASKS.replace("RATE = 3", "RATE = 4"))
    shown = screens("explain", screens.job("main"))
    assert "Replayed one step: what its body returned is remembered, and what that calls was evaluated\n" in shown
    assert (
        f"Jobs below it that ran: 1\n  Job {screens.job('scale')}  n.scale: code changed: constant w.RATE: 3" in shown
    )
    assert "Answered with its result, which is remembered\n\nIt ran in:\n" in screens("explain", screens.job("make"))


def test_a_step_without_need_tells_that_nothing_ran(screens: Screens) -> None:
    screens.history.run(TASKS)
    screens.history.run(TASKS, replay="step")
    assert "No job below it ran.\n" in screens("explain", screens.job("main"))


def test_a_joined_job_tells_whom_it_joined(screens: Screens) -> None:
    screens.history.run("redun_namespace = 'n'\n@task()\ndef f(): return 1\n@task()\ndef main(): return [f(), [f()]]")
    rows = [line.split() for line in screens("log", "-").splitlines() if "n.f()" in line]
    ids = {row[2]: row[1] for row in rows}
    shown = screens("explain", ids["[CACHED]"])
    assert "Joined another job of the same call in this execution\n\nThe job that it joined:\n" in shown
    assert f"  Job {ids['[']} of Exec" in shown


@pytest.mark.parametrize(
    ("options", "argv", "said"),
    [
        (".options(cache=False)", (), "cache=False in the options of the call"),
        ("", (), "an option of the task"),
    ],
)
def test_the_option_that_switched_the_cache_off_is_named(
    screens: Screens, options: str, argv: tuple[str, ...], said: str
) -> None:
    declared = "" if options else "cache=False"
    text = f"redun_namespace = 'n'\n@task({declared})\ndef f(): return 1\n@task()\ndef main(): return f{options}()"
    screens.history.run(text)
    assert f"Ran: the cache is off for this call: {said}\n" in screens("explain", screens.job("f"))


def test_an_option_of_the_command_line_is_named(screens: Screens) -> None:
    text = "redun_namespace = 'n'\n@task(cache=False)\ndef main(): return 1"
    screens.history.run(text, argv=("run", "-o", "cache=false", "w.py", "main"))
    assert ": an option on the command line\n" in screens("explain", screens.job("main"))
    screens.history.run(TASKS, cache=False, argv=("run", "--no-cache", "w.py", "main"))
    assert "Ran: the cache is off for this run: --no-cache\n" in screens("explain", screens.job("main"))


def test_an_execution_lists_each_job_that_ran_and_those_alike_once(screens: Screens) -> None:
    text = """
redun_namespace = "n"
@task()
def square(n): return n * n
@task()
def main(n): return [square(i) for i in range(n)]
"""
    screens.history.run(text, 50)
    screens.history.run(text.replace("n * n", "n * n * 1"), 50)
    lines = screens("explain", "-").split("-" * 80 + "\n")[1]
    assert masked(lines) == "Job ID  n.square: code changed: its own text (and 49 more jobs)\n"
    screens.history.run(text.replace("n * n", "n * n * 1"), 50)
    assert screens("explain", "-").endswith("No job ran.\n")
    assert screens("explain", "~2", "-n", "1").endswith("... 1 more: -n 0 lists all\n")


def test_json_has_the_reason_and_its_parts(screens: Screens) -> None:
    screens.history.run(TASKS)
    screens.history.run(TASKS.replace("RATE = 3", "RATE = 4"))
    job = screens.json("explain", screens.job("scale"))
    assert (job["kind"], job["how"], job["task"]) == ("job", "ran", "n.scale")
    assert job["reason"]["text"] == "code changed: constant w.RATE: 3 -> 4"
    assert job["reason"]["compared"] == job["made_by"]["call"]
    assert job["reason"]["code"][0]["values"][0]["old"] == "3"
    step = screens.json("explain", screens.job("main"))
    assert [below["task"] for below in step["ran_below"]] == ["n.scale"]
    assert [name for name, _ in step["depends"]["tasks"]] == ["n.main", "n.make", "n.read", "n.scale", "n.use"]
    run = screens.json("explain", "-")
    assert [ran["reason"]["why"] for ran in run["ran"]] == ["code"]


def test_a_call_stands_for_its_newest_job(screens: Screens) -> None:
    screens.history.run(TASKS)
    call = screens.json("explain", screens.job("scale"))["call"]
    assert screens("explain", call) == screens("explain", screens.job("scale"))


def test_what_is_no_job_is_not_found(screens: Screens) -> None:
    screens.history.run(TASKS)
    code, said = screens.fails("explain", "n.scale")
    assert code == exits.MISSING
    assert "n.scale is a task, and only jobs are answered; redun show n.scale tells what it is; " in said
    assert screens.fails("explain", "ffffffff")[0] == exits.MISSING
    assert screens.fails("explain", "~9")[0] == exits.MISSING
    assert screens.fails("explain")[0] == exits.USAGE


def test_a_job_that_failed_before_it_was_looked_up_tells_why(screens: Screens) -> None:
    text = """
redun_namespace = "n"
@task()
def write(): return File("out.txt")
@task()
def change(file):
    with open("out.txt", "w") as stream: stream.write("x")
    return 1
@task()
def late(file, _): return 2
@task()
def main():
    file = write()
    return late(file, change(file))
"""
    Path("out.txt").write_text("first")
    os.utime("out.txt", (1, 1))
    screens.history.run(text)
    shown = screens("explain", screens.job("late"))
    assert "Ended before it was looked up\n" in shown
    assert "out.txt changed after it was named as an argument of n.late" in shown


def test_the_expression_that_was_run_is_no_call(screens: Screens) -> None:
    from redun.executor.scheduler import Scheduler

    screens.history.run(TASKS)
    module = screens.history.project.load("w")
    Scheduler(screens.history.store).execute([module.scale(2), module.scale(3)])
    root = screens("log", "-").split("Job ")[1][:8]
    assert "The expression that was run; it is not a call that could be looked up\n" in screens("explain", root)


def test_help_shows_an_example(screens: Screens) -> None:
    assert "redun explain -" in screens("explain", "--help")
