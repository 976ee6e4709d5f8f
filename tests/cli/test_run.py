"""`redun run` beyond the tutorial: names, options, streams, failures."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from redun.cli.progress import LineWriter

Done = subprocess.CompletedProcess[str]
Redun = Callable[..., Done]

WORKFLOW = '''
import os, sys, time
from redun import task

@task()
def add(a: int, b: int = 5) -> int:
    """Adds two numbers."""
    return a + b

@task(namespace="one")
def twice(x):
    return x

@task(namespace="two")
def twice(x):
    return x

@task()
def types(s: str = "x", store: str = "", no_cache: bool = False, json: str = "", help: int = 0):
    return [s, store, no_cache, json, help]

@task()
def variadic(first, *rest: int, **named: float):
    return (first, rest, named)

@task()
def fails(text: str):
    try:
        {}["missing"]
    except KeyError as error:
        problem = ValueError(text)
        problem.add_note("a note")
        raise problem from error

@task()
def nested(text: str):
    return fails(text)

@task()
def loud():
    print("to stdout")
    print("to stderr", file=sys.stderr)
    return {"b": 1, "a": (1, 2), "list": list(range(30))}

@task()
def escapes():
    return "\\x1b[31mred\\n"

@task()
def naps(seconds: float):
    time.sleep(seconds)
    print("slept")
    return seconds

@task()
def here():
    return os.getcwd()
'''


@pytest.fixture
def redun(tmp_path: Path) -> Redun:
    """Runs the real command beside a workflow file."""
    (tmp_path / "w.py").write_text(WORKFLOW)

    def run(*words: str, cwd: Path = tmp_path, **environ: str) -> Done:
        command = [sys.executable, "-m", "redun.cli.app", *words]
        return subprocess.run(
            command, cwd=cwd, env={**os.environ, **environ}, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def error(done: Done) -> str:
    """The one line that says what went wrong."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("redun: error: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0].removeprefix("redun: error: ")


# -- names and arguments ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["w.py", "ad", "--a", "1"], 3, "no task ad in w.py; did you mean add?"),
        (["w.py", "zzz"], 3, "no task zzz in w.py; it has add, escapes, "),
        (["w.py", "twice", "--x", "1"], 2, "w.py has 2 tasks named twice; write one of one.twice, two.twice"),
        (["nosuch.py", "x"], 3, "there is no file nosuch.py; "),
        (["no_such_module", "x"], 3, "no module is named no_such_module; "),
        (["w.py", "add"], 2, "add needs --a (int); "),
        (["w.py", "add", "--a", "abc"], 2, "--a: 'abc' is not an int (add)"),
        (["w.py", "add", "--a", "1", "--c", "2"], 2, "no option --c in add; it has --a, --b"),
        (["w.py", "add", "--a", "1", "--no-cache"], 2, "no option --no-cache in add; --no-cache is an option of the "),
        (["w.py", "add", "1", "2"], 2, "'1' is one word too many for add; its arguments are given by name: --a, --b"),
        (["w.py", "--no-cache", "add"], 2, "--no-cache stands where the task is expected; options of redun run go "),
        (["w.py"], 2, "no task is named; redun run w.py TASK"),
        (["--nocache", "w.py", "add"], 2, "no option --nocache; did you mean --no-cache?"),
        (["-o", "bad", "w.py", "add", "--a", "1"], 2, "-o bad: an option of a task is written key=value; "),
        (["-o", "cache=maybe", "w.py", "add", "--a", "1"], 2, "task add: cache='maybe'; cache is True or False"),
        (["-j", "0", "w.py", "add", "--a", "1"], 2, ""),
        ([], 2, "missing argument"),
    ],
)
def test_a_mistake_is_one_line_before_anything_runs(
    redun: Redun, tmp_path: Path, words: list[str], code: int, message: str
) -> None:
    done = redun("run", *words)
    assert error(done).lower().startswith(message.lower())
    assert done.returncode == code
    assert done.stdout == ""
    assert not (tmp_path / ".redun").exists()


def test_parameters_may_be_named_like_options_of_run(redun: Redun) -> None:
    words = ["--s", "hi", "--store", "S", "--no-cache", "--json", "J", "--help", "3"]
    assert redun("run", "w.py", "types", *words).stdout == "['hi', 'S', True, 'J', 3]\n"
    assert redun("run", "w.py", "types", "--", "--s", "hi").stdout == "['hi', '', False, '', 0]\n"


def test_variadic_tasks_take_words_and_further_options_and_are_shown_as_called(redun: Redun) -> None:
    done = redun("run", "w.py", "variadic", "--first", "1", "2", "3", "--x", "0.5")
    assert done.stdout == "(1, (2, 3), {'x': 0.5})\n"
    assert "variadic(1, 2, 3, x=0.5) on default" in done.stderr
    assert "variadic(first=1) on default" in redun("run", "w.py", "variadic", "--first", "1").stderr


def test_a_file_without_a_task_lists_its_tasks_as_a_mistake(redun: Redun) -> None:
    done = redun("run", "w.py")
    assert done.returncode == 2
    assert "   add  " in done.stderr
    assert done.stdout == ""


def test_help_shows_the_first_lines_of_docstrings(redun: Redun) -> None:
    assert re.search(r"^   add +Adds two numbers\.$", redun("run", "w.py", "help").stdout, re.MULTILINE)
    assert redun("run", "w.py", "--help").stdout == redun("run", "w.py", "help").stdout


def test_a_task_may_be_named_help(redun: Redun, tmp_path: Path) -> None:
    (tmp_path / "h.py").write_text("from redun import task\n@task()\ndef help():\n    return 1\n")
    assert redun("run", "h.py", "help").stdout == "1\n"
    assert redun("run", "h.py", "--help").stdout.startswith("Tasks available:")


def test_a_default_that_is_an_expression_is_shown_and_left_to_the_task(redun: Redun, tmp_path: Path) -> None:
    (tmp_path / "e.py").write_text(
        "from redun import task\n@task()\ndef two():\n    return 2\n@task()\ndef f(x: int = two()):\n    return x\n"
    )
    assert "--x X                   int (default: two())" in redun("run", "e.py", "f", "help").stdout
    assert redun("run", "e.py", "f").stdout == "2\n"
    assert redun("run", "e.py", "f", "--x", "3").stdout == "3\n"


def test_a_module_is_named_by_its_dotted_name(redun: Redun) -> None:
    assert redun("run", "w", "add", "--a", "1").stdout == "6\n"


def test_the_working_directory_stays_where_it_is(redun: Redun, tmp_path: Path) -> None:
    below = tmp_path / "below"
    below.mkdir()
    assert redun("run", "../w.py", "here", cwd=below).stdout == f"{str(below)!r}\n"


def test_a_module_beside_the_file_can_be_imported(redun: Redun, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "helper.py").write_text("VALUE = 7\n")
    (tmp_path / "lib" / "flow.py").write_text(
        "import helper\nfrom redun import task\n@task()\ndef f():\n    return helper.VALUE\n"
    )
    assert redun("run", "lib/flow.py", "f").stdout == "7\n"


# -- loading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0\n", "bad.py cannot be loaded: ZeroDivisionError: division by zero"),
        ("import no_such_thing\n", "bad.py cannot be loaded: ModuleNotFoundError: No module named 'no_such_thing'"),
        ("def f(:\n", "bad.py cannot be loaded: SyntaxError: invalid syntax"),
        ("raise SystemExit(3)\n", "bad.py cannot be loaded: SystemExit: 3"),
    ],
)
def test_a_workflow_that_cannot_be_loaded_shows_its_own_frames_only(
    redun: Redun, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "bad.py").write_text(text)
    done = redun("run", "bad.py", "f")
    assert done.returncode == 1
    assert f"redun: error: {message}" in done.stderr
    assert "loader.py" not in done.stderr
    assert "cli/run.py" not in done.stderr
    assert "bad.py" in done.stderr


def test_a_file_without_tasks_says_so(redun: Redun, tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text("")
    assert (
        error(redun("run", "empty.py", "f")) == "no task f in empty.py; it has none: decorate a function with @task()"
    )


# -- the store --------------------------------------------------------------------------------------------------------


def test_a_run_makes_a_store_where_there_is_none_and_uses_the_one_above(redun: Redun, tmp_path: Path) -> None:
    redun("run", "w.py", "add", "--a", "1")
    assert (tmp_path / ".redun" / ".gitignore").read_text() == "*\n"
    below = tmp_path / "below"
    below.mkdir()
    done = redun("run", "../w.py", "add", "--a", "1", cwd=below)
    assert "Cached Job" in done.stderr
    assert f"config dir: {tmp_path}/.redun" in done.stderr
    assert not (below / ".redun").exists()


def test_runs_that_start_together_make_one_store(redun: Redun, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "redun.cli.app", "run", "-q", "w.py", "add", "--a", "1"]
    pipe = subprocess.PIPE
    running = [subprocess.Popen(command, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True) for _ in range(6)]
    assert [process.communicate(timeout=60) for process in running] == [("6\n", "")] * 6


@pytest.mark.parametrize("how", ["option before", "option after", "environment"])
def test_a_named_store_is_used(redun: Redun, tmp_path: Path, how: str) -> None:
    redun("init", "elsewhere")
    if how == "option before":
        done = redun("--store", "elsewhere", "run", "w.py", "add", "--a", "1")
    elif how == "option after":
        done = redun("run", "--store", "elsewhere", "w.py", "add", "--a", "1")
    else:
        done = redun("run", "w.py", "add", "--a", "1", REDUN_STORE=str(tmp_path / "elsewhere"))
    assert done.stdout == "6\n"
    assert f"config dir: {tmp_path}/elsewhere/.redun" in done.stderr
    assert not (tmp_path / ".redun").exists()


def test_a_named_store_that_is_missing_is_never_made(redun: Redun, tmp_path: Path) -> None:
    done = redun("run", "--store", "nowhere", "w.py", "add", "--a", "1")
    assert error(done) == f"no directory {tmp_path}/nowhere (named by --store); redun init {tmp_path}/nowhere makes one"
    assert done.returncode == 3
    done = redun("run", "w.py", "add", "--a", "1", REDUN_STORE="nowhere")
    assert "(named by REDUN_STORE); redun init" in error(done)
    assert not (tmp_path / "nowhere").exists()


# -- options ----------------------------------------------------------------------------------------------------------


def test_no_cache_runs_again_and_stores_all_the_same(redun: Redun) -> None:
    redun("run", "w.py", "add", "--a", "1")
    assert "Run    Job" in redun("run", "--no-cache", "w.py", "add", "--a", "1").stderr
    assert "Cached Job" in redun("run", "w.py", "add", "--a", "1").stderr


@pytest.mark.parametrize("text", ["False", "false"])
def test_an_option_of_the_task_is_a_value_and_not_its_text(redun: Redun, text: str) -> None:
    redun("run", "w.py", "add", "--a", "1")
    assert "Run    Job" in redun("run", "-o", f"cache={text}", "w.py", "add", "--a", "1").stderr


def test_quiet_prints_the_result_and_nothing_else(redun: Redun) -> None:
    done = redun("run", "-q", "w.py", "add", "--a", "1")
    assert (done.stdout, done.stderr) == ("6\n", "")
    assert "ValueError: x" in redun("run", "-q", "w.py", "fails", "--text", "x").stderr


def test_json_is_one_line_with_the_result(redun: Redun) -> None:
    done = redun("run", "--json", "w.py", "add", "--a", "1")
    document = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert document["result"] == 6
    assert document["result_repr"] == "6"
    assert document["status"] == "DONE"
    assert document["task"] == "add"
    assert document["argv"] == ["run", "--json", "w.py", "add", "--a", "1"]
    assert document["total"] == {"pending": 0, "running": 0, "failed": 0, "cached": 0, "done": 1, "total": 1}
    assert document["counts"]["add"]["done"] == 1
    assert document["error"] is None
    assert document["execution"] in done.stderr
    assert document["duration"] >= 0


def test_json_of_what_json_lacks_is_tagged(redun: Redun) -> None:
    done = redun("run", "--json", "-q", "w.py", "variadic", "--first", "1", "2")
    assert json.loads(done.stdout)["result"] == {"$tuple": [1, {"$tuple": [2]}, {}]}


def test_json_of_a_failure_has_the_error(redun: Redun) -> None:
    done = redun("run", "--json", "w.py", "nested", "--text", "oops")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["status"] == "FAILED"
    assert document["result"] is None
    assert document["error"]["type"] == "ValueError"
    assert document["error"]["message"] == "oops"
    assert [job["task"] for job in document["error"]["jobs"]] == ["nested", "fails"]
    assert document["error"]["frames"][-1]["function"] == "fails"


# -- what is printed --------------------------------------------------------------------------------------------------


def test_the_command_is_quoted_as_a_shell_would_read_it(redun: Redun) -> None:
    done = redun("run", "w.py", "types", "--s", "a b\x1b$")
    assert ":  redun run w.py types --s 'a b\\x1b$'\n" in done.stderr


def test_the_result_is_alone_on_standard_output_with_what_tasks_print(redun: Redun) -> None:
    done = redun("run", "w.py", "loud")
    first, *result = done.stdout.splitlines()
    assert first == "to stdout"
    assert result[0].startswith("{'b': 1,")
    assert len(result) > 5
    assert "to stderr" in done.stderr.splitlines()


def test_a_result_with_terminal_codes_is_escaped(redun: Redun) -> None:
    done = redun("run", "w.py", "escapes")
    assert done.stdout == "'\\x1b[31mred\\n'\n"


def test_a_failure_shows_the_whole_error_its_notes_and_cause_and_no_frame_of_redun(redun: Redun) -> None:
    done = redun("run", "w.py", "nested", "--text", "first \x1b[31m\nsecond")
    assert done.returncode == 1
    lines = [line.removeprefix("[redun] ") for line in done.stderr.splitlines()]
    start = lines.index("*** Execution failed. Traceback (most recent task last):")
    text = "\n".join(lines[start:])
    assert re.search(r"  Job [0-9a-f]{8}: File .*w\.py\", line \d+, in nested\n    def nested\(text: str\):\n", text)
    assert "\nValueError: first \\x1b[31m\nsecond\na note\nCaused by:\n" in text
    assert text.endswith("KeyError: 'missing'")
    assert "executor" not in text
    assert "Traceback (most recent call last)" not in done.stderr


def test_a_pipe_gets_plain_lines_and_never_loads_rich(redun: Redun, tmp_path: Path) -> None:
    code = (
        "import sys; from redun.cli.app import main; code = main(['run', 'w.py', 'naps', '--seconds', '1.6']);"
        "print(code, 'rich' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "slept\n1.6\n0 False\n"
    assert "\x1b" not in done.stderr


def on_terminal(*words: str, cwd: Path, **environ: str) -> str:
    """What the command writes to standard error when that is a terminal; its output goes to a file `stdout`."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "redun.cli.app", *words]
    environ = {**os.environ, "TERM": "xterm", **environ}
    with open(cwd / "stdout", "w") as output:
        process = subprocess.Popen(command, cwd=cwd, env=environ, stdout=output, stderr=theirs)
    os.close(theirs)
    written = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        written += part
    os.close(ours)
    assert process.wait(60) == 0
    return written.decode()


def test_a_terminal_gets_colours_unless_told_otherwise(redun: Redun, tmp_path: Path) -> None:
    assert "\x1b[" in on_terminal("run", "w.py", "add", "--a", "1", cwd=tmp_path)
    assert "\x1b[" not in on_terminal("run", "w.py", "add", "--a", "1", cwd=tmp_path, NO_COLOR="1")
    assert "\x1b[" not in on_terminal("run", "--color", "never", "w.py", "add", "--a", "1", cwd=tmp_path)


def test_a_long_run_on_a_terminal_draws_a_table_and_takes_it_away(redun: Redun, tmp_path: Path) -> None:
    text = on_terminal("run", "w.py", "naps", "--seconds", "1.6", cwd=tmp_path)
    assert text.count("JOB STATUS") > 1
    assert "\x1b[2K" in text  # lines that are cleared
    assert text.index("Run") < text.index("JOB STATUS")
    assert (tmp_path / "stdout").read_text() == "slept\n1.6\n"


# -- streams that close -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("redirection", ["2>&-", ">&-", ">&- 2>&-", "2>/dev/full", "| true", "2>&1 | true"])
def test_a_run_ends_as_its_workflow_does_whoever_listens(redun: Redun, tmp_path: Path, redirection: str) -> None:
    script = f"{sys.executable} -m redun.cli.app run w.py add --a 1 {redirection}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stderr


# -- the writer of lines ----------------------------------------------------------------------------------------------


def test_lines_of_many_threads_come_out_whole_and_in_the_order_of_each(tmp_path: Path) -> None:
    import threading

    with open(tmp_path / "out", "w") as stream:
        writer = LineWriter(stream)

        def work(name: int) -> None:
            for i in range(1000):
                writer.line(f"{name} {i}")

        threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        writer.close()
    lines = (tmp_path / "out").read_text().splitlines()
    assert len(lines) == 4000
    for name in range(4):
        assert [line for line in lines if line.startswith(f"{name} ")] == [f"{name} {i}" for i in range(1000)]


def test_a_line_is_written_while_nothing_else_happens() -> None:
    reading, writing = os.pipe()
    with open(reading) as reader, open(writing, "w") as stream:
        writer = LineWriter(stream)
        writer.line("waiting")
        assert reader.readline() == "waiting\n"  # blocks until the writer's own thread has written
        writer.close()


# -- interrupts -------------------------------------------------------------------------------------------------------


def test_an_interrupt_ends_the_run_with_130_and_its_status(redun: Redun, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "redun.cli.app", "run", "--json", "w.py", "naps", "--seconds", "60"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "Run    Job" in line:
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "*** Execution interrupted" in err
    assert "Traceback" not in err
    assert json.loads(out)["status"] == "INTERRUPTED"
