"""`redun run -o`, `--keep-going`, `--context`, `--context-file`, and what history shows of them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from redun.cli.exits import UsageError
from redun.cli.run_options import given_context, task_options
from redun.core.errors import ConfigError

Redun = Callable[..., subprocess.CompletedProcess[str]]

WORKFLOW = """
import os
from redun import task
from redun.context import get_context

redun_namespace = "w"

@task()
def add(a: int) -> int:
    return a + 1

@task()
def boom():
    raise ValueError("boom")

@task()
def both():
    return [boom(), add(1), add(add(5))]

@task()
def port(found=get_context("db.port"), host=get_context("db.host", "nowhere")):
    return [found, host]

@task()
def flaky(path: str, succeeds: int):
    with open(path, "a") as file:
        file.write("x")
    if os.path.getsize(path) < succeeds:
        raise ValueError(os.path.getsize(path))
    return "done"

@task(limits=["api"])
def calls_api(n: int):
    return n

@task(limits={"api": 3})
def calls_api_thrice():
    return 3
"""


@pytest.fixture
def redun(tmp_path: Path) -> Redun:
    """Runs a command in a directory with the workflow."""
    (tmp_path / "w.py").write_text(WORKFLOW)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "redun.cli.app", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run


# -- options of the task ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["False", "false"])
def test_cache_false_means_false_and_not_a_text_that_is_true(redun: Redun, text: str) -> None:
    assert "Run    Job" in redun("run", "w.py", "add", "--a", "1").stderr
    assert "Cached Job" in redun("run", "w.py", "add", "--a", "1").stderr
    assert "Run    Job" in redun("run", "-o", f"cache={text}", "w.py", "add", "--a", "1").stderr


def test_options_are_json_or_pythons_own_words_or_text() -> None:
    assert task_options(["a=1", "b=True", "c=None", "d=[1]", 'e={"x": 2}', "f=text", "g=a=b", "h="]) == {
        "a": 1,
        "b": True,
        "c": None,
        "d": [1],
        "e": {"x": 2},
        "f": "text",
        "g": "a=b",
        "h": "",
    }


@pytest.mark.parametrize("word", ["bad", "=1", "a b=1", "1a=1"])
def test_an_option_that_is_no_pair_is_a_mistake_of_one_line(redun: Redun, word: str) -> None:
    done = redun("run", "-o", word, "w.py", "add", "--a", "1")
    assert done.returncode == 2
    assert f"-o {word}: an option of a task is written key=value" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_option_that_means_nothing_is_a_mistake_of_one_line(redun: Redun) -> None:
    done = redun("run", "-o", "timeout=soon", "w.py", "add", "--a", "1")
    assert done.returncode == 2
    assert "timeout='soon'" in done.stderr
    assert "Start Execution" not in done.stderr


def test_retries_and_their_warnings_are_told_and_log_shows_each_attempt(redun: Redun) -> None:
    done = redun("run", "-o", "retries=4", "w.py", "flaky", "--path", "tries", "--succeeds", "3")
    assert done.stdout == "'done'\n"
    assert "Warning: attempt 1 of 5 of w.flaky failed: ValueError: 1; the next one begins at once" in done.stderr
    shown = redun("log", "-").stdout.splitlines()
    attempts = [line for line in shown if "w.flaky(path=" in line]
    assert ["[FAILED]" in line for line in attempts] == [False, True, True]
    assert [line.partition(" (attempt")[2] for line in attempts] == [" 3)", "", " 2)"]
    jobs = json.loads(redun("log", "-", "--json").stdout)["jobs"]
    assert sorted((job["attempt"], job["status"]) for job in jobs) == [(1, "FAILED"), (2, "FAILED"), (3, "DONE")]
    assert ", attempt 3" in redun("show", next(job["job"] for job in jobs if job["attempt"] == 3)).stdout
    assert redun("fsck").returncode == 0
    assert "Cached Job" in redun("run", "w.py", "flaky", "--path", "tries", "--succeeds", "3").stderr


def test_an_interrupt_while_an_attempt_is_waited_for_ends_the_run_and_its_history_is_whole(
    redun: Redun, tmp_path: Path
) -> None:
    words = ["-o", "retries=4", "-o", "retry_delay=600", "w.py", "flaky", "--path", "tries", "--succeeds", "2"]
    command = [sys.executable, "-m", "redun.cli.app", "run", *words]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any("the next one begins in 600 s" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        assert "*** Execution interrupted" in process.stderr.read()
    assert process.returncode == 130
    shown = redun("log", "-").stdout
    assert shown.count("[FAILED]") == 1
    assert shown.count("(attempt 2)") == 1
    assert redun("fsck").returncode == 0
    assert redun("run", "w.py", "flaky", "--path", "tries", "--succeeds", "2").stdout == "'done'\n"


def test_a_run_that_is_killed_while_it_waits_has_told_of_the_attempt(redun: Redun, tmp_path: Path) -> None:
    words = ["-o", "retries=4", "-o", "retry_delay=600", "w.py", "flaky", "--path", "tries", "--succeeds", "2"]
    command = [sys.executable, "-m", "redun.cli.app", "run", *words]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any("the next one begins in 600 s" in line for line in process.stderr)
        while "[FAILED]" not in redun("log", "-").stdout:  # it is written soon, though nothing else happens
            assert process.poll() is None
        process.kill()
    assert "[FAILED]" in redun("log", "-").stdout
    assert redun("fsck").returncode == 0


def test_limits_of_the_project_bound_jobs_and_a_need_above_them_fails_at_once(redun: Redun, tmp_path: Path) -> None:
    assert redun("run", "w.py", "calls_api", "--n", "1").returncode == 0
    done = redun("run", "w.py", "calls_api_thrice")
    assert done.returncode == 1
    assert "w.calls_api_thrice needs 3 of limit 'api', and there is 1" in done.stderr
    (tmp_path / "redun.toml").write_text("[limits]\napi = 3\n")
    assert redun("run", "w.py", "calls_api_thrice").stdout == "3\n"


# -- keep going -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["-k", "--keep-going"])
def test_keep_going_runs_all_that_does_not_depend_on_the_failure(redun: Redun, option: str) -> None:
    done = redun("run", option, "w.py", "both")
    assert done.returncode == 1
    assert "ValueError: boom" in done.stderr
    assert done.stderr.count("Run    Job") == 5
    assert "Cached Job" in redun("run", "w.py", "add", "--a", "6").stderr


# -- context ----------------------------------------------------------------------------------------------------------


def test_values_of_the_context_are_json_or_text_and_may_be_repeated(redun: Redun) -> None:
    done = redun("run", "--context", "db.port=5432", "--context", "db.host=here", "w.py", "port")
    assert done.stdout == "[5432, 'here']\n"


def test_a_context_file_is_json_or_toml_and_weaker_than_values_and_stronger_than_settings(
    redun: Redun, tmp_path: Path
) -> None:
    (tmp_path / "c.json").write_text('{"db": {"port": 1, "host": "json"}}')
    (tmp_path / "c.toml").write_text("[db]\nport = 2\n")
    (tmp_path / "redun.toml").write_text('[context.db]\nport = 3\nhost = "settings"\n')
    assert redun("run", "w.py", "port").stdout == "[3, 'settings']\n"
    assert redun("run", "--context-file", "c.toml", "w.py", "port").stdout == "[2, 'settings']\n"
    assert redun("run", "--context-file", "c.json", "w.py", "port").stdout == "[1, 'json']\n"
    assert redun("run", "--context", "db.port=4", "--context-file", "c.json", "w.py", "port").stdout == "[4, 'json']\n"


def test_the_context_of_a_run_is_shown_by_log(redun: Redun) -> None:
    redun("run", "--context", "db.port=5432", "w.py", "port")
    assert 'Context: {"db": {"port": 5432}}' in redun("log", "-").stdout
    redun("run", "w.py", "port")
    assert "Context:" not in redun("log", "-").stdout


def test_a_dry_run_knows_the_context(redun: Redun, tmp_path: Path) -> None:
    redun("run", "--context", "db.port=1", "w.py", "port")
    assert redun("run", "--dry-run", "--context", "db.port=1", "w.py", "port").returncode == 0
    assert redun("run", "--dry-run", "--context", "db.port=2", "w.py", "port").returncode == 1
    (tmp_path / "redun.toml").write_text("[context.db]\nport = 1\n")
    assert redun("run", "--dry-run", "w.py", "port").returncode == 0


def test_a_later_value_replaces_an_earlier_one_and_tables_are_merged() -> None:
    words = ["a.b=1", "a.c=x", "a.b=2", "d=[1, 2]", 'e={"f": {"g": 1}}', "e.f.h=None"]
    assert given_context(None, words) == {"a": {"b": 2, "c": "x"}, "d": [1, 2], "e": {"f": {"g": 1, "h": None}}}


@pytest.mark.parametrize("word", ["db", "=1", "db.=1", ".db=1", "a..b=1"])
def test_a_value_of_the_context_that_is_no_pair_is_a_mistake(word: str) -> None:
    with pytest.raises(UsageError, match=r"path\.to\.key=value"):
        given_context(None, [word])


@pytest.mark.parametrize("text", ["[1]", "{", "nonsense"])
def test_a_context_file_that_is_no_object_is_a_mistake(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"c\.json"):
        given_context(str(path), [])


def test_a_context_file_that_is_missing_is_a_mistake_of_one_line(redun: Redun) -> None:
    done = redun("run", "--context-file", "nowhere.json", "w.py", "port")
    assert done.returncode == 2
    assert "no context file nowhere.json" in done.stderr
