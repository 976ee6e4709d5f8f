"""What only processes of their own can show: streams that are closed, signals, permissions, bodies that break what
they run in. The rest of what users do wrong is in tests/cli/test_bad_input.py."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from redun.core.objects import Status
from redun.store import Store, check

COMMAND = [sys.executable, "-m", "redun.cli.app"]

WORKFLOW = """
import os, resource, signal, sys, threading, time
from redun import task

redun_namespace = "b"

@task()
def after(x):
    return ("after", x, b"y" * 2_000_000)[:2]

@task()
def large():
    return b"y" * 2_000_000

@task()
def closes_streams():
    sys.stdout.close(), sys.stderr.close()
    os.close(1), os.close(2)
    return [after(1), large()]

@task()
def loses_streams():
    del sys.stdout, sys.stderr
    return after(1)

@task()
def clears_modules():
    sys.modules.clear()
    return after(1)

@task()
def leaves_a_tracer():
    def tracer(frame, *_):
        if frame.f_code.co_name != "leaves_a_tracer":
            raise ValueError("from the tracer")
        return tracer
    call = after(1)
    sys.settrace(tracer)
    sys.setprofile(tracer)
    return call

@task()
def leaves_little_room():
    sys.setrecursionlimit(len([*frames()]) + 40)
    return after(1)

def frames():
    frame = sys._getframe()
    while frame is not None:
        yield frame
        frame = frame.f_back

@task()
def spoils():
    os.chdir("/")
    os.environ.clear()
    threading.excepthook = sys.excepthook = None
    signal.signal(signal.SIGTERM, signal.SIG_IGN) if threading.current_thread() is threading.main_thread() else None
    os.umask(0o777)
    return [after(1), large()][0]

@task()
def vanishes():
    os._exit(9)

@task()
def waits():
    open("waiting", "w").close()
    threading.Event().wait(60)

@task()
def naps():
    open("waiting", "w").close()
    time.sleep(1)
    return "slept"

@task()
def waits_after():
    return [after(1), waits()]

@task()
def forever(n=0):
    if n == 300:
        open("waiting", "w").close()
    return [after(n), forever(n + 1)]

@task()
def echo(text: str):
    return text
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs the real command beside a workflow."""
    (tmp_path / "w.py").write_text(WORKFLOW)

    def call(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        settled: dict[str, Any] = {"cwd": tmp_path, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.run([*COMMAND, *words], text=True, timeout=60, check=False, **settled)

    return call


def is_sound(folder: Path, *statuses: Status) -> None:
    """Checks the store and how its executions ended, newest first."""
    path = folder / ".redun" / "store"
    assert list(check(path)) == []
    with Store.open(path) as store:
        assert [record.status for _, record in store.executions()] == list(statuses)


# -- bodies that break what they run in -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "closes_streams",
        "loses_streams",
        "clears_modules",
        "leaves_a_tracer",
        "leaves_little_room",
        "spoils",
    ],
)
def test_what_a_body_does_to_its_process_costs_neither_the_result_nor_the_run(run: Run, tmp_path: Path, name: str):
    done = run("run", "w.py", name)
    assert done.returncode == 0, done.stderr
    assert "('after', 1)" in done.stdout
    assert f"[redun] | b.{name}" in done.stderr
    assert "Traceback" not in done.stderr
    is_sound(tmp_path, Status.DONE)


def test_a_process_that_a_body_ends_is_an_interrupted_execution_for_the_next_command(run: Run, tmp_path: Path):
    assert run("run", "w.py", "vanishes").returncode == 9
    assert "[INTERR]" in run("log").stdout
    assert run("run", "-q", "w.py", "after", "--x", "1").returncode == 0
    is_sound(tmp_path, Status.DONE, Status.INTERRUPTED)


# -- signals ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the real command and returns when its workflow says that it waits."""
    (tmp_path / "w.py").write_text(WORKFLOW)
    (tmp_path / "loads.py").write_text('import time\nopen("waiting", "w").close()\ntime.sleep(60)\n')
    started: list[subprocess.Popen[str]] = []

    def call(*words: str, **options: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*COMMAND, *words],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        started.append(process)
        while not (tmp_path / "waiting").exists():
            assert process.poll() is None
            os.sched_yield()
        return process

    yield call
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_run_and_keeps_what_finished(start: Any, run: Run, tmp_path: Path, number: signal.Signals):
    process = start("run", "-q", "w.py", "waits_after")
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err == "[redun] *** Execution interrupted. What had finished is stored.\n"
    is_sound(tmp_path, Status.INTERRUPTED)
    assert "Cached Job" in run("run", "w.py", "after", "--x", "1").stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_the_workflow_is_loaded_is_an_interrupt(start: Any, tmp_path: Path, number: signal.Signals):
    process = start("run", "-q", "loads.py", "main")
    process.send_signal(number)
    assert process.communicate(timeout=30) == ("", "redun: interrupted\n")
    assert process.returncode == 130


def test_a_signal_that_is_ignored_stays_ignored(start: Any):
    process = start("run", "-q", "w.py", "naps", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    assert process.communicate(timeout=30) == ("'slept'\n", "")
    assert process.returncode == 0


def test_recursion_without_end_is_stopped_and_what_finished_is_a_hit(start: Any, run: Run, tmp_path: Path):
    process = start("run", "-q", "w.py", "forever")
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[1] == "[redun] *** Execution interrupted. What had finished is stored.\n"
    assert process.returncode == 130
    is_sound(tmp_path, Status.INTERRUPTED)
    assert "Cached Job" in run("run", "w.py", "after", "--x", "100").stderr


# -- streams ----------------------------------------------------------------------------------------------------------


def _closed(*descriptors: int) -> Callable[[], None]:
    def close() -> None:
        for descriptor in descriptors:
            os.close(descriptor)

    return close


def test_a_reader_that_has_gone_is_no_error(run: Run, tmp_path: Path):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as gone:
        for words in (["run", "-q", "w.py", "echo", "--text", "x" * 100_000], ["log"], ["--help"], ["log", "--json"]):
            done = run(*words, stdout=gone)
            assert (done.returncode, done.stderr) == (0, "")
    is_sound(tmp_path, Status.DONE)


def test_closed_streams_change_nothing_about_a_run(run: Run, tmp_path: Path):
    words = ["run", "w.py", "echo", "--text", "x"]
    assert run(*words, preexec_fn=_closed(1)).returncode == 0
    assert run(*words, preexec_fn=_closed(2)).stdout == "'x'\n"
    assert run(*words, preexec_fn=_closed(0, 1, 2)).returncode == 0
    assert run("nope", preexec_fn=_closed(0, 1, 2)).returncode == 2
    is_sound(tmp_path, Status.DONE, Status.DONE, Status.DONE)


def test_output_that_cannot_be_written_is_told(run: Run, tmp_path: Path):
    with open("/dev/full", "w") as full:
        for words in (["run", "-q", "w.py", "echo", "--text", "x"], ["log"]):
            done = run(*words, stdout=full)
            assert done.stderr == (
                "redun: error: cannot write to standard output: No space left on device; "
                "make room, or send it elsewhere; what ran is stored\n"
            )
            assert done.returncode == 7
    is_sound(tmp_path, Status.DONE)


# -- surroundings -----------------------------------------------------------------------------------------------------


def _as_others_do() -> None:
    """Gives up what lets the superuser read and write everything."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: dropped for the program that is run
            libc.prctl(24, capability, 0, 0, 0)


def test_a_store_that_may_not_be_written_can_be_read(run: Run, tmp_path: Path):
    assert run("run", "-q", "w.py", "after", "--x", "1").returncode == 0
    paths = [tmp_path / ".redun", *(tmp_path / ".redun").rglob("*")]
    for path in paths:
        path.chmod(path.stat().st_mode & 0o555)
    try:
        done = run("run", "-q", "w.py", "after", "--x", "2", preexec_fn=_as_others_do)
        assert done.returncode == 5
        assert done.stderr.startswith("redun: error: no permission to write to ")
        assert "--store PATH" in done.stderr
        for words in (["log"], ["log", "-"], ["run", "--dry-run", "w.py", "after", "--x", "1"]):
            assert run(*words, preexec_fn=_as_others_do).returncode == 0
    finally:
        for path in paths:
            path.chmod(path.stat().st_mode | 0o700)


def test_a_directory_that_may_not_be_written_is_named_before_anything_runs(run: Run, tmp_path: Path):
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    done = run("run", "-q", str(tmp_path / "w.py"), "waits", cwd=closed, preexec_fn=_as_others_do)
    assert done.returncode == 5
    assert done.stderr.startswith(f"redun: error: no permission to write to {closed}/.redun; ask its owner, or use ")


def test_neither_home_nor_locale_is_needed(run: Run, tmp_path: Path):
    environ = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "LC_ALL": "C", "PYTHONUTF8": "0"}
    environ |= {"PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = run("run", "-q", "w.py", "echo", "--text", "zoë", env=environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert run("log", env=environ).returncode == 0
    is_sound(tmp_path, Status.DONE)
