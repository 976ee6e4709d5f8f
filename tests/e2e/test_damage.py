"""Damaged objects and the real command: never a wrong result, and fsck names a way out that works."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from redun.store import Store, check

COMMAND = [sys.executable, "-m", "redun.cli.app"]
WORKFLOW = """
from redun import task

@task()
def leaf(n: int) -> list:
    return [n, "x" * 10]

@task()
def large(n: int) -> bytes:
    return bytes([n]) * 2_000_000

@task()
def size(data: bytes) -> int:
    return len(data) + data[1000]

@task()
def main() -> list:
    return [leaf(1), leaf(2), size(large(3))]
"""
RESULT = "[[1, 'xxxxxxxxxx'], [2, 'xxxxxxxxxx'], 2000003]\n"


def _redun(path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], cwd=path, capture_output=True, text=True, check=False)


def _damage(store: Path, kind: str) -> int:
    """Flips a bit in each object of a kind; returns how many those were."""
    with Store.open(store) as opened:
        digests = [digest for found, digest in opened.resolve("", 999) if found == kind]
        rows = opened._backend.read(lambda txn: txn.get_many("objects", digests))
        spoiled = [(key, env[:-1] + bytes([env[-1] ^ 1])) for key, env in rows if env[0] == 0]
        opened._backend.write(lambda txn: txn.put_many("objects", spoiled))
    for path in [path for path in (store / "blobs").rglob("*") if path.is_file() and kind == "blob"]:
        path.chmod(0o644)
        path.write_bytes(b"\xff" * path.stat().st_size)
    return len(digests)


def test_damage_never_changes_a_result_and_a_run_without_the_cache_mends_it(tmp_path: Path) -> None:
    (tmp_path / "w.py").write_text(WORKFLOW)
    assert _redun(tmp_path, "run", "w.py", "main").stdout == RESULT
    shutil.copytree(tmp_path / ".redun", tmp_path / "kept")
    for kind in ("value", "blob", "task", "footprint", "source", "expr"):
        shutil.rmtree(tmp_path / ".redun")
        shutil.copytree(tmp_path / "kept", tmp_path / ".redun")
        damaged = _damage(tmp_path / ".redun" / "store", kind)
        told = _redun(tmp_path, "fsck")
        assert (told.returncode, told.stdout.count("--no-cache")) == (11, damaged)
        again = _redun(tmp_path, "run", "w.py", "main")
        assert (again.returncode, again.stdout) in [(0, RESULT), (6, "")]
        anew = _redun(tmp_path, "run", "--no-cache", "w.py", "main")
        assert (anew.returncode, anew.stdout) == (0, RESULT), (kind, anew.stderr)
        assert list(check(tmp_path / ".redun" / "store")) == [], kind
