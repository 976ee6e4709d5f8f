"""What is loaded at start-up. A command that people type all day may not wait for what it does not use."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

#: Slow to load, and of no use before something is drawn, awaited, or computed.
HEAVY = {"asyncio", "rich", "numpy", "importlib.metadata", "pandas", "fsspec", "multiprocessing", "concurrent.futures"}


def loaded(code: str, *arguments: str, cwd: Path) -> set[str]:
    """Returns the modules that a fresh interpreter loads for a piece of code, start-up of Python itself included.

    A module that is loaded by `importlib.import_module` is not listed itself, only what it imports.
    """
    command = [sys.executable, "-X", "importtime", "-c", code, *arguments]
    # No variable of the caller's reaches it: a coverage or debugger hook loads what it needs.
    done = subprocess.run(command, cwd=cwd, env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(re.findall(r"^import time:\s*\d+ \|\s*\d+ \|\s*(\S+)$", done.stderr, re.MULTILINE))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """What an interpreter of this environment loads for nothing at all (an editable install adds a finder)."""
    return loaded("pass", cwd=tmp_path_factory.mktemp("bare"))


def heavy(found: set[str], bare: set[str], *more: str) -> set[str]:
    """Returns those of the heavy modules that were loaded."""
    return {name for name in found - bare if name in HEAVY | set(more) or name.split(".")[0] in {*HEAVY, *more}}


def test_help_loads_nothing_heavy_and_no_store(tmp_path: Path, bare: set[str]):
    found = loaded("from redun.cli.app import main; main()", "--help", cwd=tmp_path)
    assert "click" in found
    assert heavy(found, bare, "lmdb", "msgpack", "redun.executor") == set()


def test_the_store_loads_neither_executor_nor_command_line(tmp_path: Path, bare: set[str]):
    found = loaded("from redun.store import Store", cwd=tmp_path)
    assert "redun.store.batch" in found
    assert heavy(found, bare, "click", "redun.executor", "redun.cli") == set()


def test_a_store_in_memory_loads_no_engine(tmp_path: Path, bare: set[str]):
    found = loaded("from redun.store import Store; Store.memory().close()", cwd=tmp_path)
    assert heavy(found, bare, "click", "lmdb") == set()


def test_a_list_of_executions_loads_nothing_heavy(tmp_path: Path, bare: set[str]):
    loaded("from redun.cli.app import main; main()", "init", cwd=tmp_path)
    found = loaded("from redun.cli.app import main; main()", "log", cwd=tmp_path)
    assert "lmdb" in found
    assert heavy(found, bare, "redun.executor") == set()


def test_a_run_loads_nothing_heavy(tmp_path: Path, bare: set[str]):
    (tmp_path / "w.py").write_text("from redun import task\n\n\n@task()\ndef main() -> int:\n    return 1\n")
    found = loaded("from redun.cli.app import main; main()", "run", "w.py", "main", cwd=tmp_path)
    assert any(name.startswith("redun.executor.") for name in found)
    assert heavy(found, bare) == set()


def test_who_has_no_settings_loads_nothing_that_reads_them(tmp_path: Path):
    (tmp_path / "w.py").write_text("from redun import task\n\n\n@task()\ndef main() -> int:\n    return 1\n")
    (tmp_path / "pyproject.toml").write_text("[project]\ndependencies = ['redun-core']\n")
    for words in (["run", "w.py", "main"], ["log"]):
        found = loaded("from redun.cli.app import main; main()", *words, cwd=tmp_path)
        assert "redun.core.project_files" in found
        assert {name for name in found if name.startswith("redun.executor.config.")} == set()
        assert {"tomllib", "configparser"} & found == set()


def test_the_face_loads_a_name_only_when_it_is_asked_for(tmp_path: Path, bare: set[str]):
    assert {name for name in loaded("import redun", cwd=tmp_path) if name.startswith("redun.")} == set()
    found = loaded("from redun import task", cwd=tmp_path)
    assert "redun.core.expressions" in found
    assert heavy(found, bare, "redun.store", "redun.executor", "redun.cli", "lmdb", "click") == set()
