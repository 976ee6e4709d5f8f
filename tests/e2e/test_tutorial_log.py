"""The `log` steps of the tutorial on the real command, over the six executions that the tutorial makes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HELLO_WORLD = """\
# hello_world.py
from redun import task

redun_namespace = "redun.examples.hello_world"

@task()
def get_planet() -> str:
    return "World"

@task()
def greeter(greet: str, thing: str) -> str:
    return "{}, {}!".format(greet, thing)

@task()
def main(greet: str="Hello") -> str:
    return greeter(greet, get_planet())
"""
MARS = HELLO_WORLD.replace('"World"', "'Mars'")
BUG = MARS.replace("    return 'Mars'", "    x = 1 / 0\n    return 'Mars'")

NAMESPACE = "redun.examples.hello_world"
RULE = "-" * 80
#: What the tutorial runs, newest first, and how each ends.
COMMANDS = [
    ("FAILED", "run hello_world.py main"),
    (" DONE ", "run hello_world.py main"),
    (" DONE ", "run hello_world.py greeter --greet Yo --thing Venus"),
    (" DONE ", "run hello_world.py main --greet Hi"),
    (" DONE ", "run hello_world.py main"),
    (" DONE ", "run hello_world.py main"),
]


class Tutorial:
    """A directory in which the tutorial was followed.

    Attributes:
        said: what each run printed on standard error, newest first.
        shown: what `log` printed, by its arguments: nothing changes once all runs are done.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.said: list[str] = []
        self.shown: dict[tuple[str, ...], str] = {}

    def redun(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "redun.cli.app", *words]
        return subprocess.run(
            command, cwd=self.directory, env=os.environ, capture_output=True, text=True, timeout=60, check=False
        )

    def run(self, program: str, command: str) -> None:
        (self.directory / "hello_world.py").write_text(program)
        self.said.insert(0, self.redun(*command.split()).stderr)

    def log(self, *words: str) -> str:
        if words not in self.shown:
            done = self.redun("log", *words)
            assert (done.returncode, done.stderr) == (0, "")
            self.shown[words] = done.stdout
        return self.shown[words]

    def executions(self) -> list[str]:
        """The ids that `log` lists, newest first."""
        return re.findall(r"^Exec ([0-9a-f]{8})", self.log(), re.MULTILINE)

    def job(self, execution: str, task: str) -> str:
        """The id of a task's job, as `log EXECUTION` lists it."""
        found = re.search(rf"Job ([0-9a-f]{{8}}) .*\.{task}\(", self.log(execution))
        assert found is not None
        return found[1]


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Tutorial:
    followed = Tutorial(tmp_path_factory.mktemp("tutorial"))
    programs = [BUG, MARS, HELLO_WORLD, HELLO_WORLD, HELLO_WORLD, HELLO_WORLD]
    for program, (_, command) in reversed(list(zip(programs, COMMANDS, strict=True))):
        followed.run(program, command)
    return followed


def masked(text: str) -> str:
    """Text without ids, times, durations and the directory."""
    text = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "UUID", text)
    text = re.sub(r"\b[0-9a-f]{32}\b", "FULL", text)
    text = re.sub(r"\b[0-9a-f]{8}\b", "ID", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", text)
    text = re.sub(r"\d+:\d\d:\d\d\.\d\d", "DURATION", text)
    return re.sub(r'"/[^"]*/hello_world\.py"', '"DIR/hello_world.py"', text)


def test_log_lists_the_six_executions_newest_first(tutorial: Tutorial) -> None:
    lines = [f"Exec ID [{state}] TIME:  {command}" for state, command in COMMANDS]
    assert masked(tutorial.log()) == "\n".join(["Recent executions:", "", *lines, ""])


def test_the_ids_that_run_prints_are_those_that_log_shows(tutorial: Tutorial) -> None:
    for said, listed in zip(tutorial.said, tutorial.executions(), strict=True):
        full = re.search(r"Start Execution (\S+): ", said)
        assert full is not None
        assert full[1].startswith(listed)
        shown = tutorial.log(listed)
        assert shown.startswith(f"Exec {full[1]} ")
        printed = set(re.findall(r"\[redun\] (?:Run   |Cached) Job ([0-9a-f]{8})", said))
        assert printed == set(re.findall(r"^ *Job ([0-9a-f]{8})", shown, re.MULTILINE))


def test_the_first_execution_shows_three_jobs_that_ran(tutorial: Tutorial) -> None:
    assert masked(tutorial.log(tutorial.executions()[-1])) == (
        "Exec UUID [ DONE ] TIME:  run hello_world.py main\n"
        "Duration: DURATION\n"
        "\n"
        "Jobs: 3 (DONE: 3, CACHED: 0, FAILED: 0)\n"
        f"{RULE}\n"
        f"Job ID [ DONE ] TIME:  {NAMESPACE}.main(greet='Hello')\n"
        f"  Job ID [ DONE ] TIME:  {NAMESPACE}.get_planet()\n"
        f"  Job ID [ DONE ] TIME:  {NAMESPACE}.greeter(greet='Hello', thing='World')\n"
    )


def test_the_second_execution_shows_the_same_jobs_cached(tutorial: Tutorial) -> None:
    assert masked(tutorial.log(tutorial.executions()[-2])) == (
        "Exec UUID [ DONE ] TIME:  run hello_world.py main\n"
        "Duration: DURATION\n"
        "\n"
        "Jobs: 3 (DONE: 0, CACHED: 3, FAILED: 0)\n"
        f"{RULE}\n"
        f"Job ID [CACHED] TIME:  {NAMESPACE}.main(greet='Hello')\n"
        f"  Job ID [CACHED] TIME:  {NAMESPACE}.get_planet()\n"
        f"  Job ID [CACHED] TIME:  {NAMESPACE}.greeter(greet='Hello', thing='World')\n"
    )


def test_another_greeting_ran_all_but_the_planet(tutorial: Tutorial) -> None:
    shown = masked(tutorial.log("~3"))
    assert "Jobs: 3 (DONE: 2, CACHED: 1, FAILED: 0)" in shown
    assert f"  Job ID [CACHED] TIME:  {NAMESPACE}.get_planet()\n" in shown


def test_a_cached_job_shows_its_call_its_source_and_its_upstream_dataflow(tutorial: Tutorial) -> None:
    execution = tutorial.executions()[-2]
    job = tutorial.job(execution, "greeter")
    shown = tutorial.log(job)
    assert shown.startswith(f"Job {job}-")
    assert f"Traceback: Exec {execution} > Job {tutorial.job(execution, 'main')} main > Job {job} greeter\n" in shown
    assert masked(shown) == (
        f"Job UUID [CACHED] TIME:  {NAMESPACE}.greeter(greet='Hello', thing='World')\n"
        "Traceback: Exec ID > Job ID main > Job ID greeter\n"
        "\n"
        f"  CallNode FULL {NAMESPACE}.greeter\n"
        "    Args:   greet='Hello', thing='World'\n"
        "    Result: 'Hello, World!'\n"
        "\n"
        f"  Task FULL {NAMESPACE}.greeter\n"
        "\n"
        "    def greeter(greet: str, thing: str) -> str:\n"
        '        return "{}, {}!".format(greet, thing)\n'
        "\n"
        "\n"
        "  Upstream dataflow:\n"
        "\n"
        "    result = 'Hello, World!'\n"
        "\n"
        "    result <-- <ID> greeter(greet, thing)\n"
        "      greet = <ID> 'Hello'\n"
        "      thing = <ID> 'World'\n"
        "\n"
        "    greet <-- argument of <ID> main(greet)\n"
        "          <-- origin\n"
        "\n"
        "    thing <-- <ID> get_planet()\n"
        "          <-- origin\n"
    )


def test_the_ids_in_a_job_lead_on(tutorial: Tutorial) -> None:
    shown = tutorial.log(tutorial.job(tutorial.executions()[-1], "greeter"))
    call = re.search(r"CallNode (\w+)", shown)
    task = re.search(r"Task (\w+)", shown)
    value = re.search(r"thing = <(\w+)>", shown)
    assert call is not None
    assert task is not None
    assert value is not None
    assert tutorial.log(call[1]).startswith(f"CallNode {call[1]} {NAMESPACE}.greeter\n")
    assert tutorial.log(task[1]).startswith(f"Task {task[1]} {NAMESPACE}.greeter\n")
    assert masked(tutorial.log(value[1])) == (
        "Value ID builtins.str\n"
        "'World'\n"
        "\n"
        "Upstream dataflow:\n"
        "\n"
        "  value = 'World'\n"
        "\n"
        "  value <-- <ID> get_planet()\n"
        "        <-- origin\n"
    )


def test_a_dash_is_the_failing_execution(tutorial: Tutorial) -> None:
    assert tutorial.log("-") == tutorial.log(tutorial.executions()[0])
    assert masked(tutorial.log("-")) == (
        "Exec UUID [FAILED] TIME:  run hello_world.py main\n"
        "Duration: DURATION\n"
        "\n"
        "Jobs: 2 (DONE: 0, CACHED: 0, FAILED: 2)\n"
        f"{RULE}\n"
        f"Job ID [FAILED] TIME:  {NAMESPACE}.main(greet='Hello')\n"
        f"  Job ID [FAILED] TIME:  {NAMESPACE}.get_planet()\n"
    )


def test_the_failing_job_shows_its_error_its_source_and_where_it_was_raised(tutorial: Tutorial) -> None:
    assert masked(tutorial.log(tutorial.job("-", "get_planet"))) == (
        f"Job UUID [FAILED] TIME:  {NAMESPACE}.get_planet()\n"
        "Traceback: Exec ID > Job ID main > Job ID get_planet\n"
        "Duration: DURATION\n"
        "\n"
        f"  CallNode FULL {NAMESPACE}.get_planet\n"
        "    Args:\n"
        "    Raised: ZeroDivisionError('division by zero')\n"
        "\n"
        f"  Task FULL {NAMESPACE}.get_planet\n"
        "\n"
        "    def get_planet() -> str:\n"
        "        x = 1 / 0\n"
        "        return 'Mars'\n"
        "\n"
        "\n"
        "  Upstream dataflow:\n"
        "\n"
        "    result = ErrorValue(ZeroDivisionError('division by zero'))\n"
        "\n"
        "    result <-- <ID> get_planet()\n"
        "           <-- origin\n"
        "\n"
        "  Traceback:\n"
        '    File "DIR/hello_world.py", line 8, in get_planet\n'
        "      x = 1 / 0\n"
        "  ZeroDivisionError: division by zero\n"
    )


def test_history_shows_the_source_as_it_was_and_not_as_it_is(tutorial: Tutorial) -> None:
    sources = [tutorial.log(tutorial.job(execution, "get_planet")) for execution in ("-", "~1", "~5")]
    assert ["x = 1 / 0" in text for text in sources] == [True, False, False]
    assert ["return 'Mars'" in text for text in sources] == [True, True, False]
    assert 'return "World"' in sources[2]
    assert tutorial.log("get_planet").count("\n  Task ") == 2  # the versions before the newest


def test_cat_object_shows_the_source_and_the_raw_bytes_of_a_task(tutorial: Tutorial) -> None:
    task = re.search(r"Task (\w+)", tutorial.log("greeter"))
    assert task is not None
    done = tutorial.redun("cat-object", task[1])
    assert '      return "{}, {}!".format(greet, thing)\n' in done.stdout
    assert tutorial.redun("cat-object", "-t", task[1][:8]).stdout == "task\n"
