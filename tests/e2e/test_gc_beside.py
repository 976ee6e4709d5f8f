"""`redun gc` beside runs and readers, and killed at any moment, on the real command."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from redun.core.errors import StoreDamaged
from redun.store import Store, check

WORKFLOW = """
from redun import task

@task()
def make(n: int) -> str:
    return str(n) * 200

@task()
def group(n: int) -> list:
    return [make(n * 20 + i) for i in range(20)]

@task()
def large(n: int) -> bytes:
    return bytes([n % 256]) * 1_500_000

@task()
def main(n: int = 1) -> list:
    return [[group(n + i) for i in range(5)], large(n)]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with a workflow and a store."""
    (tmp_path / "flow.py").write_text(WORKFLOW)
    Store.init(tmp_path / ".redun" / "store").close()
    return tmp_path


def _start(project: Path, *words: str) -> subprocess.Popen[bytes]:
    command = [str(Path(sys.executable).with_name("redun")), *words]
    return subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _run(project: Path, words: Sequence[str]) -> str:
    process = _start(project, *words)
    out, err = process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


def _is_sound(project: Path) -> None:
    assert list(check(project / ".redun" / "store")) == []


def test_runs_and_collections_beside_each_other_lose_nothing(project: Path) -> None:
    expected: dict[int, str] = {}
    for start in range(0, 12, 3):
        numbers = range(start, start + 3)
        runs = {number: _start(project, "-q", "run", "flow.py", "main", "--n", str(number)) for number in numbers}
        for words in (["prune", "--keep-last", "2"], ["gc", "--expire", "now"], ["gc"]):
            _run(project, words)
        for number, process in runs.items():
            out, err = process.communicate()
            assert process.returncode == 0, err.decode()
            expected[number] = out.decode()
    _is_sound(project)
    for number in (0, 5, 11):
        assert _run(project, ["-q", "run", "flow.py", "main", "--n", str(number)]) == expected[number]
    _run(project, ["gc", "--compact"])
    _is_sound(project)
    assert _run(project, ["-q", "run", "flow.py", "main", "--n", "11"]) == expected[11]


def test_a_collection_that_is_killed_leaves_a_sound_store(project: Path) -> None:
    dice = random.Random(1)
    for number in range(8):
        last = _run(project, ["-q", "run", "flow.py", "main", "--n", str(number)])
        _run(project, ["prune", "--keep-last", "1"])
        words = ["gc", "--compact"] if number % 2 else ["gc", "--expire", "now"]
        process = _start(project, *words)
        try:
            process.wait(timeout=dice.uniform(0.02, 0.25))  # at any moment, or too late
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        _is_sound(project)
        assert _run(project, ["-q", "run", "flow.py", "main", "--n", str(number)]) == last
        assert "CACHED: 107" in _run(project, ["log", "-"])
    _run(project, ["gc", "--compact"])
    _is_sound(project)


def _collect(project: Path, keep: int) -> None:
    """Takes away for good, from another process, all but the newest executions, and gives the bytes back."""
    _run(project, ["prune", "--keep-last", str(keep)])
    _run(project, ["gc", "--expire", "now"])
    _run(project, ["gc", "--compact"])


def _with_runs(project: Path, count: int) -> Path:
    for number in range(count):
        _run(project, ["-q", "run", "flow.py", "main", "--n", str(number)])
    return project / ".redun" / "store"


def test_a_walk_over_what_stays_goes_on_while_the_rest_is_collected(project: Path) -> None:
    with Store.open(_with_runs(project, 3), read_only=True) as store:
        _, newest = next(store.executions())
        roots = [*([newest.root] if newest.root else []), *newest.pages]
        expected = [digest for digest, _, _ in store.walk(roots)]
        walk = store.walk(roots)
        seen = [next(walk)[0] for _ in range(len(expected) // 2)]
        _collect(project, 1)
        seen += [digest for digest, _, _ in walk]
        assert seen == expected
    _is_sound(project)


def test_a_mapped_file_can_be_read_to_its_end_after_it_was_collected(project: Path) -> None:
    with Store.open(_with_runs(project, 3), read_only=True) as store:
        blobs = {digest: store.open_blob(digest) for digest, _ in store.objects("blob")}
        assert len(blobs) == 3
        starts = {digest: bytes(view[-1:]) for digest, view in blobs.items()}
        _collect(project, 1)
        files = [file for file in (project / ".redun" / "store" / "blobs").rglob("*") if file.is_file()]
        assert len(files) == 1
        for digest, view in blobs.items():
            assert bytes(view).count(starts[digest]) >= 1_500_000


@pytest.mark.parametrize("taken", [1, 3])
def test_who_pages_through_the_history_comes_to_its_new_end(project: Path, taken: int) -> None:
    with Store.open(_with_runs(project, 5), read_only=True) as store:
        listed = [digest for digest, _ in store.executions()]
        pages = store.executions()
        seen = [next(pages)[0] for _ in range(taken)]
        _collect(project, 2)
        seen += [digest for digest, _ in pages]
        assert seen == listed[: max(2, taken)]
        assert [digest for digest, _ in store.executions()] == listed[:2]


def test_an_execution_that_is_missing_for_no_reason_is_damage(project: Path) -> None:
    with Store.open(_with_runs(project, 3)) as store:
        pages = store.executions()
        _, newest = next(pages)
        assert newest.parent is not None
        gone = newest.parent
        store._write(lambda txn: txn.delete("objects", gone))
        with pytest.raises(StoreDamaged, match="is missing"):
            list(pages)
