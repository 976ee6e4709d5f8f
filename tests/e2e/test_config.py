"""Settings of a project with the real command, as a user writes them from nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Done = subprocess.CompletedProcess[str]
WORKFLOW = """
import threading, time
from redun import task

redun_namespace = "e2e.config"
meeting = threading.Barrier(3, timeout=20)

@task()
def meet(n: int) -> int:
    meeting.wait()
    return n

@task()
def main() -> list:
    return [meet(n) for n in range(3)]

@task()
def small() -> int:
    return 1
"""


@pytest.fixture
def redun(tmp_path: Path) -> Callable[..., Done]:
    """Runs the real command in a project with a workflow."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "w.py").write_text(WORKFLOW)

    def run(*words: str, cwd: str = ".", **environ: str) -> Done:
        command = [sys.executable, "-m", "redun.cli.app", *words]
        return subprocess.run(
            command,
            cwd=tmp_path / cwd,
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_workers_come_from_the_file_the_variable_or_the_option(redun: Callable[..., Done], tmp_path: Path):
    (tmp_path / "redun.toml").write_text('[executors.default]\ntype = "threads"\nworkers = 3\n')
    assert json.loads(redun("-q", "run", "--json", "w.py", "main").stdout)["result"] == [0, 1, 2]
    (tmp_path / "redun.toml").write_text("[executors.default]\nworkers = 1\n")
    assert redun("run", "--no-cache", "w.py", "main", REDUN_JOBS="3").returncode == 0
    assert redun("run", "--no-cache", "-j", "3", "w.py", "main", REDUN_JOBS="1").returncode == 0
    shown = json.loads(redun("config", "show", "executors.default.workers", "--json", REDUN_JOBS="3").stdout)
    assert shown["settings"][0]["from"] == {"source": "REDUN_JOBS", "line": None}


def test_settings_hold_in_every_directory_below(redun: Callable[..., Done], tmp_path: Path):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n\n[tool.redun.tags]\nproject = "acme"\n')
    assert redun("run", "../w.py", "small", cwd="sub").stdout == "1\n"
    assert "(project=acme)" in redun("log", cwd="sub").stdout
    row = redun("config", "show", "tags.project", cwd="sub").stdout.split()
    assert row == ["tags.project", '"acme"', f"{tmp_path}/pyproject.toml:5"]


def test_a_mistake_is_one_line_with_file_and_line_and_nothing_runs(redun: Callable[..., Done], tmp_path: Path):
    (tmp_path / "redun.toml").write_text("[executors.default]\nmax_workers = 3\n")
    done = redun("run", "w.py", "small")
    assert done.returncode == 2
    message = "redun.toml:2: executors.default.max_workers is no setting in [executors.default]"
    assert [line for line in done.stderr.splitlines() if "error" in line] == [
        f"redun: error: {message}; did you mean workers?"
    ]
    assert not (tmp_path / ".redun").exists()


def test_a_program_reads_the_settings_of_its_project(redun: Callable[..., Done], tmp_path: Path):
    redun("init", "elsewhere")
    (tmp_path / "redun.toml").write_text('[store]\npath = "elsewhere"\n[tags]\nproject = "acme"\n')
    code = "import redun, w; print(redun.run(w.small()))"
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "sub", env=environ, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("1\n", "")
    assert "(project=acme)" in redun("log").stdout
    assert not (tmp_path / "sub" / ".redun").exists()


def test_a_project_of_the_other_program_runs_as_it_is(redun: Callable[..., Done], tmp_path: Path):
    (tmp_path / ".redun").mkdir()
    (tmp_path / ".redun" / "redun.ini").write_text(
        "# redun configuration.\n\n[backend]\ndb_uri = sqlite:///redun.db\n\n"
        "[executors.default]\ntype = local\nmax_workers = 20\n"
    )
    done = redun("run", "w.py", "small")
    assert done.stdout == "1\n"
    assert "meaning" not in done.stderr
    assert redun("log").stdout.count("Exec ") == 1
