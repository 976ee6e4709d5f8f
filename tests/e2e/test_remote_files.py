"""A workflow over an object store, as a user has it: settings in redun.toml, the real command, a real server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from redun.core.files.file import File
from tests.servers.running import Server, s3_server, told

WORKFLOW = """
from redun import File, task
from redun.tools import copy_file

@task()
def count(data: File) -> File:
    out = File("s3://data/out/count.txt")
    out.write(str(len(data.read().split())))
    return out

@task()
def shout(file: File) -> str:
    return file.read() + "!"

@task()
def main(data: File = File("s3://data/in.txt")) -> list:
    counted = count(data)
    return [shout(counted), copy_file(counted, "kept/")]
"""


@pytest.fixture
def s3() -> Iterator[Server]:
    with s3_server() as server, told(server.settings):
        File("s3://data/in.txt").write("a b c")
        yield server


def _redun(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "TEST_S3_SECRET": "open sesame"}
    return subprocess.run(
        [sys.executable, "-m", "redun.cli.app", *words],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _ran(folder: Path) -> list[str]:
    """Runs the workflow; returns what ran."""
    done = _redun(folder, "run", "flow.py", "main")
    assert done.returncode == 0, done.stderr
    lines = [line.split(":  ")[1] for line in done.stderr.splitlines() if "[redun] Run " in line]
    return sorted(line.partition("(")[0] for line in lines)


def test_a_workflow_over_an_object_store_runs_what_changed(tmp_path: Path, s3: Server):
    (tmp_path / "flow.py").write_text(WORKFLOW)
    endpoint = s3.settings["s3"]["endpoint_url"]
    (tmp_path / "redun.toml").write_text(
        f'[files.s3]\nendpoint_url = "{endpoint}"\nkey = "ada"\nsecret = "${{TEST_S3_SECRET}}"\n'
    )
    assert _ran(tmp_path) == ["count", "main", "redun.copy_file", "shout"]
    assert (tmp_path / "kept" / "count.txt").read_text() == "3"
    assert _ran(tmp_path) == []
    File("s3://data/in.txt").write("a b c")
    assert _ran(tmp_path) == []
    File("s3://data/in.txt").write("a b c d")
    assert _ran(tmp_path) == ["count", "main", "redun.copy_file", "shout"]
    File("s3://data/out/count.txt").remove()
    assert _ran(tmp_path) == ["count"]
    (tmp_path / "kept" / "count.txt").unlink()
    assert _ran(tmp_path) == ["redun.copy_file"]
    shown = _redun(tmp_path, "config", "show", "files").stdout
    assert "***" in shown
    assert "sesame" not in shown
    copied = _redun(tmp_path, "fs", "cp", "s3://data/out/count.txt", "-")
    assert copied.stdout == "4"
    s3.kill()
    done = _redun(tmp_path, "run", "flow.py", "main")
    assert done.returncode == 1
    assert "RemoteFileError: cannot look at s3://data/in.txt" in done.stderr
    assert 'File "' not in done.stderr
    assert "open sesame" not in done.stderr + done.stdout
