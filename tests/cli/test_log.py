"""`redun log`: lists, filters, and the views of executions, jobs, calls, tasks and values."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from redun import task
from redun.cli import exits
from redun.cli.app import main as redun
from redun.cli.exits import UsageError
from redun.cli.filters import read_since, read_status
from redun.cli.history_view import clock, command_text, duration_text
from redun.cli.log_json import json_text
from redun.core.digest import Digest
from redun.core.objects import CallRecord, How, JobRow, Outcome, Status, TaskCount, Why, job_id
from redun.executor.scheduler import Scheduler
from redun.store import Batch, RunUpdate, Store
from redun.store.lookup_names import runs

redun_namespace = "ns.log"


@task()
def get_planet() -> str:
    # which one is home
    return "World"


@task()
def greeter(greet: str, thing: str) -> str:
    return f"{greet}, {thing}!"


@task()
def main(greet: str = "Hello") -> Any:
    return greeter(greet, get_planet())


@task()
def broken(why: str) -> str:
    try:
        raise KeyError("first")
    except KeyError as error:
        raise ValueError(f"{why}\x1b[31m") from error


@task()
def will_fail(why: str) -> Any:
    return broken(why)


@task()
def fan(n: int) -> Any:
    return [square(i) for i in range(n)]


@task()
def square(n: int) -> int:
    return n * n


@task()
def nested(n: int) -> Any:
    return [fan(n), main()]


Log = Callable[..., str]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REDUN_STORE", raising=False)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    with Store.init(tmp_path / ".redun" / "store"):
        pass
    return tmp_path


@pytest.fixture
def store(place: Path) -> Iterator[Store]:
    with Store.open(place / ".redun" / "store") as store:
        yield store


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str]) -> Log:
    """Runs `redun log` and returns what it printed."""

    def run(*words: str) -> str:
        code = redun(["log", *words])
        done = capsys.readouterr()
        assert (code, done.err) == (0, "")
        return done.out

    return run


def execute(store: Store, expression: Any, *argv: str) -> str:
    """Runs an expression and returns the start of the execution's uuid."""
    return Scheduler(store).execute(expression, argv=argv or ("run", "w.py", "main")).uuid[:8]


def masked(text: str) -> str:
    """Text without ids, times and durations."""
    text = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "UUID", text)
    text = re.sub(r"\b[0-9a-f]{32}\b", "FULL", text)
    text = re.sub(r"\b[0-9a-f]{8}\b", "ID", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", text)
    return re.sub(r"\d+:\d\d:\d\d\.\d\d", "DURATION", text)


def job_ids(log: Log, *words: str) -> list[str]:
    """The ids of jobs in a listing."""
    return re.findall(r"^ *Job ([0-9a-f]{8})", log(*words), re.MULTILINE)


# -- the list of executions -------------------------------------------------------------------------------------------


def test_executions_are_listed_newest_first_with_their_commands(store: Store, log: Log) -> None:
    first = execute(store, main())
    second = execute(store, will_fail("x"), "run", "w.py", "will_fail", "--why", "two words")
    assert masked(log()) == (
        "Recent executions:\n"
        "\n"
        "Exec ID [FAILED] TIME:  run w.py will_fail --why 'two words'\n"
        "Exec ID [ DONE ] TIME:  run w.py main\n"
    )
    assert re.findall(r"^Exec (\w+)", log(), re.MULTILINE) == [second, first]


def test_a_store_without_executions_says_so(place: Path, log: Log) -> None:
    assert log() == "No executions yet: redun run makes the first.\n"
    assert json.loads(log("--json")) == []


def test_the_list_ends_after_twenty_and_says_how_to_see_more(store: Store, log: Log) -> None:
    for _ in range(21):
        execute(store, get_planet())
    assert log().count("\nExec ") == 20
    assert log().endswith("... more: redun log -n 0 lists all\n")
    assert log("-n", "0").count("\nExec ") == 21
    assert log("-n", "2").count("\nExec ") == 2
    assert len(json.loads(log("--json", "-n", "3"))) == 3


def test_live_and_interrupted_executions_are_in_the_list(store: Store, log: Log) -> None:
    execute(store, main())
    live = store.begin_run(["run", "slow.py", "main"], {})
    lines = log().splitlines()
    assert re.fullmatch(rf"Exec {live.uuid.hex()[:8]} \[ RUN  \] .*:  run slow\.py main", lines[2])
    live.seal(Batch(), root=None, status=Status.INTERRUPTED, rows=0, counts=[], sources=[])
    assert "[INTERR]" in log().splitlines()[2]
    assert "No jobs." in log("-")


def test_executions_are_chosen_by_task_state_and_time(store: Store, log: Log) -> None:
    good, bad = execute(store, main()), execute(store, will_fail("x"))
    chosen = {
        ("--task", "get_planet"): [good],
        ("--task", "ns.log.broken"): [bad],
        ("--task", "planet"): [],
        ("--status", "failed"): [bad],
        ("--status", "DONE"): [good],
        ("--status", "int"): [],
        ("--since", "1h"): [bad, good],
        ("--since", "2999-01-01"): [],
        ("--since", "yesterday", "--status", "d", "--task", "main"): [good],
        ("-n", "1"): [bad],
    }
    for words, found in chosen.items():
        shown = log(*words)
        assert re.findall(r"^Exec (\w+)", shown, re.MULTILINE) == found
        assert (shown == "No executions match.\n") == (not found)
        assert [run["execution"][:8] for run in json.loads(log("--json", *words))] == found


# -- one execution ----------------------------------------------------------------------------------------------------


def test_an_execution_shows_its_header_and_its_jobs_as_a_tree(store: Store, log: Log) -> None:
    uuid = execute(store, main())
    assert masked(log(uuid)) == (
        "Exec UUID [ DONE ] TIME:  run w.py main\n"
        "Duration: DURATION\n"
        "\n"
        "Jobs: 3 (DONE: 3, CACHED: 0, FAILED: 0)\n"
        f"{'-' * 80}\n"
        "Job ID [ DONE ] TIME:  ns.log.main(greet='Hello')\n"
        "  Job ID [ DONE ] TIME:  ns.log.get_planet()\n"
        "  Job ID [ DONE ] TIME:  ns.log.greeter(greet='Hello', thing='World')\n"
    )
    assert log("-") == log(uuid)


def test_the_inner_jobs_of_a_replay_are_in_the_tree(store: Store, log: Log) -> None:
    execute(store, main())
    execute(store, main())
    assert "Jobs: 3 (DONE: 0, CACHED: 3, FAILED: 0)" in log("-")
    assert masked(log("-")).split("-\n")[1] == (
        "Job ID [CACHED] TIME:  ns.log.main(greet='Hello')\n"
        "  Job ID [CACHED] TIME:  ns.log.get_planet()\n"
        "  Job ID [CACHED] TIME:  ns.log.greeter(greet='Hello', thing='World')\n"
    )


def test_the_jobs_of_a_large_execution_are_cut_and_the_rest_is_mentioned(store: Store, log: Log) -> None:
    execute(store, fan(600))
    assert len(job_ids(log, "-")) == 500
    assert log("-").endswith("... more than 500 jobs: -n 0 lists all\n")
    assert len(job_ids(log, "-", "-n", "0")) == 601
    assert len(job_ids(log, "-", "-n", "7")) == 7
    assert len(json.loads(log("-", "--json", "-n", "0"))["jobs"]) == 601


def test_jobs_of_an_execution_are_chosen_by_task_and_state(store: Store, log: Log) -> None:
    execute(store, will_fail("x"))
    execute(store, nested(3))
    assert len(job_ids(log, "-", "--task", "square")) == 3
    assert len(job_ids(log, "-", "--task", "square", "-n", "2")) == 2
    assert len(job_ids(log, "~1", "--status", "failed")) == 2
    assert job_ids(log, "~1", "--status", "done") == []
    assert "No job matches." in log("-", "--since", "2999-01-01")
    assert [job["task"] for job in json.loads(log("-", "--json", "--task", "main"))["jobs"]] == ["ns.log.main"]


def test_a_running_execution_shows_what_has_ended_and_what_runs(store: Store, log: Log) -> None:
    execute(store, main())
    done = next(store.job_pages(next(runs(store)).pages)).rows
    live = store.begin_run(["run", "w.py", "main"], {})
    root, leaf = (next(row for row in done if row.number == number) for number in (0, 1))
    running = JobRow(0, root.call, -1, Status.RUNNING, How.RAN, Why.FIRST, 0, -1)
    counts = (TaskCount("ns.log.main", running=1), TaskCount("ns.log.get_planet", done=1))
    update = RunUpdate(live.uuid, tail=(leaf,), running=(running,), rows=2, counts=counts)
    store.commit(Batch(run=update))
    shown = masked(log("-"))
    assert "Duration: DURATION (so far)" in shown
    assert "Jobs: 2 (DONE: 1, CACHED: 0, FAILED: 0, RUN: 1)" in shown
    assert "Job ID [ RUN  ] TIME:  ns.log.main(greet='Hello')\n  Job ID [ DONE ] TIME:  ns.log.get_planet()" in shown
    identity = job_id(store.format.hash, live.uuid, 0).hex()
    assert "[ RUN  ]" in log(identity).splitlines()[0]
    assert json.loads(log(identity, "--json"))["duration"] is None


def test_the_root_of_a_run_that_was_cut_off_is_shown_above_what_had_ended(store: Store, log: Log) -> None:
    execute(store, main())
    done = next(store.job_pages(next(runs(store)).pages)).rows
    root, leaf = (next(row for row in done if row.number == number) for number in (0, 1))
    live = store.begin_run(["run", "w.py", "main"], {})
    live.seal(Batch(), root=root.call, status=Status.INTERRUPTED, rows=2, counts=[], sources=[], tail=[leaf])
    assert masked(log("-")).endswith(
        "Job ID [INTERR] TIME:  ns.log.main(greet='Hello')\n  Job ID [ DONE ] TIME:  ns.log.get_planet()\n"
    )


def test_what_is_missing_from_the_store_is_shown_as_missing(store: Store, log: Log) -> None:
    gone = Digest(bytes(16))
    call = store.put("call", CallRecord(gone, (gone,), gone, Outcome.VALUE, gone, (gone,)).payload())
    rows = [
        JobRow(number, digest, parent, Status.DONE, How.RAN, Why.FIRST, 0, 1, trace=gone)
        for number, digest, parent in ((0, call, -1), (1, gone, 0), (2, None, 0))
    ]
    live = store.begin_run(["run"], {})
    live.seal(Batch(), root=call, status=Status.FAILED, rows=3, counts=[], sources=[(gone, gone)], tail=rows)
    listed = masked(log("-")).splitlines()[-3:]
    assert [line.split("  ")[-1] for line in listed] == ["?(arg0=<missing>)", "<call ID missing>", "?()"]
    shown = [log(identity) for identity in job_ids(log, "-")]
    assert "  Task 00000000000000000000000000000000 (not in the store)\n" in shown[0]
    assert "    result <-- <" in shown[0]
    assert "CallNode UNKNOWN" in shown[1]
    for identity in job_ids(log, "-"):
        assert json.loads(log(identity, "--json"))["kind"] == "job"


# -- jobs -------------------------------------------------------------------------------------------------------------


def test_a_job_shows_its_call_its_exact_source_and_its_dataflow(store: Store, log: Log) -> None:
    execute(store, main())
    identity = job_ids(log, "-")[1]
    assert masked(log(identity)) == (
        "Job UUID [ DONE ] TIME:  ns.log.get_planet()\n"
        "Traceback: Exec ID > Job ID main > Job ID get_planet\n"
        "Duration: DURATION\n"
        "\n"
        "  CallNode FULL ns.log.get_planet\n"
        "    Args:\n"
        "    Result: 'World'\n"
        "\n"
        "  Task FULL ns.log.get_planet\n"
        "\n"
        "    def get_planet() -> str:\n"
        "        # which one is home\n"
        '        return "World"\n'
        "\n"
        "\n"
        "  Upstream dataflow:\n"
        "\n"
        "    result = 'World'\n"
        "\n"
        "    result <-- <ID> get_planet()\n"
        "           <-- origin\n"
    )
    assert log(identity).startswith(f"Job {identity}-")


def test_a_job_of_a_replay_has_an_id_a_lineage_and_a_source(store: Store, log: Log) -> None:
    execute(store, main())
    execute(store, main())
    shown = log(job_ids(log, "-")[2])
    assert masked(shown).startswith(
        "Job UUID [CACHED] TIME:  ns.log.greeter(greet='Hello', thing='World')\n"
        "Traceback: Exec ID > Job ID main > Job ID greeter\n"
        "\n"
        "  CallNode"
    )
    assert "    def greeter(greet: str, thing: str) -> str:" in shown


def test_a_failed_job_shows_the_error_and_its_traceback_with_the_cause(store: Store, log: Log) -> None:
    execute(store, will_fail("so it is"))
    shown = log(job_ids(log, "-")[1])
    assert r"    Raised: ValueError('so it is\x1b[31m')" in shown
    assert r"    result = ErrorValue(ValueError('so it is\x1b[31m'))" in shown
    trace = shown[shown.index("  Traceback:\n") :].splitlines()
    assert re.fullmatch(r'    File ".*test_log\.py", line \d+, in broken', trace[1])
    assert trace[2] == '      raise ValueError(f"{why}\\x1b[31m") from error'
    assert trace[3] == r"  ValueError: so it is\x1b[31m"
    assert trace[4] == "  Caused by:"
    assert trace[-1] == "  KeyError: 'first'"
    assert "\x1b" not in shown


def test_with_filters_a_job_shows_those_below_it(store: Store, log: Log) -> None:
    execute(store, nested(3))
    fan_job = next(i for i in job_ids(log, "-", "--task", "fan"))
    assert len(job_ids(log, fan_job, "-n", "0")) == 1 + 3
    assert len(job_ids(log, fan_job, "--task", "square")) == 1 + 3
    assert len(job_ids(log, fan_job, "--task", "main")) == 1
    execute(store, nested(3))
    inner = next(i for i in job_ids(log, "-", "--task", "fan"))
    assert len(job_ids(log, inner, "--task", "square")) == 1 + 3
    assert len(json.loads(log(inner, "--json", "-n", "2"))["jobs"]) == 2


def test_every_job_that_is_listed_can_be_shown(store: Store, log: Log) -> None:
    execute(store, nested(2))
    execute(store, nested(2))
    for name in ("-", "~1"):
        for identity in job_ids(log, name):
            assert log(identity).startswith(f"Job {identity}-")
            assert json.loads(log(identity, "--json"))["job"].startswith(identity)


def test_a_number_that_was_given_out_and_never_begun_is_not_found(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    live = store.begin_run(["x"], {})
    live.seal(Batch(), root=None, status=Status.FAILED, rows=2, counts=[], sources=[])
    assert redun(["log", job_id(store.format.hash, live.uuid, 1).hex()]) == exits.MISSING
    assert "is not recorded" in capsys.readouterr().err


# -- calls, tasks, values, other objects ------------------------------------------------------------------------------


def ids_of(log: Log, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(log(*words, "--json"))
    return found


def test_a_call_shows_its_parents_and_the_same_as_its_job(store: Store, log: Log) -> None:
    execute(store, main())
    job = ids_of(log, job_ids(log, "-")[2])
    shown = masked(log(job["call"]))
    assert shown.startswith(
        "CallNode FULL ns.log.greeter\n"
        "  Args:   greet='Hello', thing='World'\n"
        "  Result: 'Hello, World!'\n"
        "  Parent CallNodes:\n"
        "    CallNode ID ns.log.main\n"
        "  Job ID TIME\n"
        "\n"
        "Task FULL ns.log.greeter\n"
        "\n"
        "  def greeter(greet: str, thing: str) -> str:\n"
    )
    assert "\n  thing <-- <ID> get_planet()\n        <-- origin\n" in shown
    document = ids_of(log, job["call"])
    assert document["fullname"] == "ns.log.greeter"
    assert document["result"]["value"] == "Hello, World!"
    assert [arg["value"] for arg in document["args"]] == ["Hello", "World"]


def test_a_value_shows_its_type_and_the_call_that_made_it(store: Store, log: Log) -> None:
    execute(store, main())
    job = ids_of(log, job_ids(log, "-")[2])
    assert masked(log(job["result"])).startswith(
        "Value ID builtins.str\n"
        "'Hello, World!'\n"
        "\n"
        "Upstream dataflow:\n"
        "\n"
        "  value = 'Hello, World!'\n"
        "\n"
        "  value <-- <ID> greeter(greet, thing)\n"
    )
    assert masked(log(job["args"]["greet"])).endswith("  value <-- origin\n")
    assert ids_of(log, job["result"])["content"] == "Hello, World!"


def test_a_task_is_shown_by_name_and_by_id(store: Store, log: Log) -> None:
    execute(store, main())
    for name in ("greeter", "ns.log.greeter"):
        assert masked(log(name)) == (
            "Task FULL ns.log.greeter\n"
            "  First Job ID TIME\n"
            "\n"
            "  def greeter(greet: str, thing: str) -> str:\n"
            '      return f"{greet}, {thing}!"\n'
        )
    document = ids_of(log, "greeter")
    assert document["versions"] == [document["id"]]
    assert log(document["id"]) == log("greeter")
    assert document["source"]["text"].startswith("def greeter(")


@pytest.mark.parametrize("kind", ["expr", "source", "footprint", "jobs", "trace"])
def test_any_other_object_is_shown_as_well(store: Store, log: Log, kind: str) -> None:
    execute(store, will_fail("x"))
    run = next(runs(store))
    assert run.digest is not None
    digest = next(digest for digest, found, _ in store.walk([run.digest]) if found == kind)
    assert log(digest.hex()).startswith(f"{kind} {digest.hex()}\n")
    assert ids_of(log, digest.hex())["kind"] == kind


# -- what makes no sense ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["zzzz"], exits.MISSING, "'zzzz' names no execution, job, object or task"),
        (["~99"], exits.MISSING, "there are not so many executions: ~99"),
        (["abc"], exits.MISSING, "at least 4 characters"),
        (["--status", "cached"], exits.USAGE, "never CACHED"),
        (["--status", "nope"], exits.USAGE, "no state is called so"),
        (["--since", "whenever"], exits.USAGE, "no such time"),
        (["-n", "-1"], exits.USAGE, "-1"),
        (["main", "--task", "x"], exits.USAGE, "--task chooses executions and jobs; main is a task"),
        (["main", "-n", "3", "--json"], exits.USAGE, "-n chooses"),
    ],
)
def test_what_cannot_be_shown_is_one_line_and_an_exit_code(
    store: Store, capsys: pytest.CaptureFixture[str], words: list[str], code: int, message: str
) -> None:
    execute(store, main())
    assert redun(["log", *words]) == code
    done = capsys.readouterr()
    assert done.out == ""
    assert message in done.err
    assert done.err.count("\n") == 1


def test_a_directory_without_a_store_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert redun(["log"]) == exits.MISSING
    assert "redun init" in capsys.readouterr().err


# -- text, times, colours ---------------------------------------------------------------------------------------------


def test_nothing_is_coloured_in_a_pipe_and_everything_when_asked(store: Store, log: Log) -> None:
    execute(store, main())
    assert "\x1b" not in log("-")
    assert "\x1b[32m DONE \x1b[0m" in log("-", "--color", "always")
    for name in ("-", "main", job_ids(log, "-")[0]):
        assert re.sub(r"\x1b\[\d+m", "", log(name, "--color", "always")) == log(name)


def on_a_terminal(*words: str, **environ: str) -> str:
    """What `redun` prints on a terminal of 24 lines."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "redun.cli.app", *words]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, env={**os.environ, **environ}) as process:
        os.close(theirs)
        found = b""
        with contextlib.suppress(OSError):  # a terminal that nobody holds any more cannot be read
            while chunk := os.read(ours, 65536):
                found += chunk
        os.close(ours)
        assert process.wait() == 0
    return found.decode().replace("\r\n", "\n")


def test_on_a_terminal_what_does_not_fit_goes_through_a_pager(store: Store) -> None:
    execute(store, fan(60))
    environ = {"PAGER": "sed s/^/paged:/", "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    for name, fits in (("-", False), ("square", True)):
        shown = on_a_terminal("log", name, "--color", "never", **environ).splitlines()
        assert all(line.startswith("paged:") for line in shown) != fits
        assert ("ns.log.square" in shown[-1]) != fits


def test_a_reader_that_goes_away_is_no_error(store: Store) -> None:
    execute(store, fan(3000))
    command = [sys.executable, "-m", "redun.cli.app", "log", "-", "-n", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_names_of_strangers_are_escaped_everywhere(store: Store, log: Log) -> None:
    live = store.begin_run(["run", "\x1b]0;title\x07", "--x", "a\nb"], {})
    live.seal(Batch(), root=None, status=Status.DONE, rows=0, counts=[], sources=[])
    assert log().splitlines()[2].endswith(r"run '\x1b]0;title\x07' --x 'a\nb'")


def test_a_command_is_shown_without_the_programs_own_name_and_with_its_quotes(store: Store) -> None:
    for argv, text in ((["/usr/bin/redun", "run", "a b"], "run 'a b'"), (["run", "x"], "run x"), ([], "")):
        store.begin_run(argv, {})
        assert command_text(next(runs(store))) == text


def test_times_and_durations_have_one_form(place: Path) -> None:
    assert clock(0) == "1970-01-01 00:00:00"
    assert clock(10**30) == "unknown time"
    assert duration_text(210_000) == "0:00:00.21"
    assert duration_text(3_600_000_000 + 61_999_999) == "1:01:01.99"
    assert duration_text(-5) == "0:00:00.00"


def test_times_are_read_in_many_forms(place: Path) -> None:
    now = 1_750_000_000.0  # 2025-06-15 15:06:40 UTC
    day = 1_749_945_600
    read = {
        "10s": now - 10,
        "2h": now - 7200,
        "1w": now - 604_800,
        "today": day,
        "Yesterday": day - 86_400,
        "2025-06-15": day,
        "2025-06-15T01:00": day + 3600,
        "2025-06-15 01:00:00+01:00": day,
    }
    for text, seconds in read.items():
        assert read_since(text, now) == int(seconds * 1_000_000)
    for text in ("", "h", "2y", "-3d", "2025-13-01", "²h"):
        with pytest.raises(UsageError):
            read_since(text, now)


def test_states_are_read_by_their_beginning() -> None:
    assert [read_status(word) for word in ("done", "F", "run", "Interr", "cach", "canc")] == [
        "DONE", "FAILED", "RUNNING", "INTERRUPTED", "CACHED", "CANCELLED",
    ]  # fmt: skip
    for word in ("", "c", "ca", "x"):
        with pytest.raises(UsageError):
            read_status(word)


def test_json_of_deeply_nested_values_is_written() -> None:
    nested: Any = 1
    for _ in range(2000):
        nested = {"$tuple": [nested]}
    assert json_text(nested).count("$tuple") == 2000
