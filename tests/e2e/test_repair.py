"""Damage, `redun fsck --repair`, and the next run: the right answer, everything made again, and the history told."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from redun.store import Store, check
from redun.store.lost import losses

READER = Path(__file__).parents[1] / "store" / "format_reader.py"
REDUN = str(Path(sys.executable).with_name("redun"))
WORKFLOW = """
from redun import task

@task()
def leaf(n: int) -> list:
    return [n, "x" * 10]

@task()
def first(items: list) -> int:
    return items[0]

@task()
def large(n: int) -> bytes:
    return bytes([n]) * 2_000_000

@task()
def size(data: bytes) -> int:
    return len(data) + data[1000]

@task()
def table(n: int) -> list:
    return [str(i) * 70_000 for i in range(n)]

@task()
def width(rows: list) -> int:
    return sum(map(len, rows))

@task()
def group(n: int) -> list:
    return [first(leaf(n)), first(leaf(n + 1)), size(large(3)), width(table(3))]

@task()
def main() -> list:
    return [group(1), group(2)]
"""
RESULT = "[[1, 2, 2000003, 210000], [2, 3, 2000003, 210000]]\n"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each object format, a project in which the workflow has run twice, the second time from the cache."""
    places = {}
    for fmt in ("xxh3-128", "sha256"):
        place = places[fmt] = tmp_path_factory.mktemp(fmt)
        (place / "w.py").write_text(WORKFLOW)
        assert _redun(place, "init", "--object-format", fmt).returncode == 0
        for _ in range(2):
            assert _redun(place, "run", "w.py", "main").stdout == RESULT
        shutil.copytree(place / ".redun", place / "kept")
    return places


@pytest.fixture(params=["xxh3-128"])
def project(request: pytest.FixtureRequest, kept: dict[str, Path]) -> Path:
    """A project whose store may be damaged. It lies where it was: the text of a task is kept with its file."""
    place = kept[request.param]
    shutil.rmtree(place / ".redun")
    shutil.copytree(place / "kept", place / ".redun")
    return place


both_formats = pytest.mark.parametrize("project", ["xxh3-128", "sha256"], indirect=True)


def _redun(path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([REDUN, *words], cwd=path, capture_output=True, text=True, check=False)


def _store(project: Path) -> Path:
    return project / ".redun" / "store"


def _damage(project: Path, kind: str, *, drop: bool = False) -> int:
    """Flips a bit in each object of a kind, or removes it; returns how many those were."""
    with Store.open(_store(project)) as store:
        digests = [digest for digest, _ in store.objects(kind)]
        rows = store._backend.read(lambda txn: txn.get_many("objects", sorted(digests)))
        spoiled = [(key, env[:-1] + bytes([env[-1] ^ 1])) for key, env in rows]
        for key, env in spoiled:
            store._backend.write(lambda txn, key=key: txn.delete("objects", key))  # type: ignore[misc]
            if not drop:
                store._backend.write(lambda txn, key=key, env=env: txn.put("objects", key, env))  # type: ignore[misc]
    if kind == "blob":
        for path in [path for path in (_store(project) / "blobs").rglob("*") if path.is_file()]:
            path.chmod(0o644)
            path.write_bytes(b"\xff" * path.stat().st_size)
    return len(digests)


#: Made again by the next run; the others tell of what happened, once.
MADE_AGAIN = ("value", "blob", "call", "footprint", "task", "source", "expr")


@pytest.mark.parametrize(("project", "drop"), [("xxh3-128", False), ("sha256", True)], indirect=["project"])
@pytest.mark.parametrize("kind", [*MADE_AGAIN, "jobs", "exec"])
def test_what_is_lost_is_made_again_by_the_next_run(project: Path, kind: str, drop: bool) -> None:
    damaged = _damage(project, kind, drop=drop)
    assert damaged
    planned = _redun(project, "fsck", "--repair", "--dry-run")
    assert (planned.returncode, "with --repair" in planned.stdout) == (11, True)
    repaired = _redun(project, "fsck", "--repair")
    assert repaired.returncode == 10, repaired.stdout + repaired.stderr
    assert _redun(project, "fsck").returncode == 0
    independent = [sys.executable, str(READER), str(_store(project))]
    assert subprocess.run(independent, check=False, stdout=subprocess.DEVNULL).returncode == 0
    again = _redun(project, "run", "w.py", "main")
    assert (again.returncode, again.stdout) == (0, RESULT), again.stderr
    assert list(check(_store(project))) == []
    # A job that took long was shown while it ran: nothing leads to what was written for that, and gc forgets its loss.
    assert _redun(project, "gc", "--expire", "now").returncode == 0
    with Store.open(_store(project), read_only=True) as store:
        lost = [loss.kind for _, loss in losses(store._backend)]
        assert len(list(store.executions())) == (1 if kind == "exec" else 3)
    if kind in MADE_AGAIN:
        assert lost == [], again.stderr
    with Store.open(_store(project), read_only=True) as store:
        *_, oldest = (digest.hex() for digest, _ in store.executions())
    for words in (["log"], ["log", oldest], ["show", oldest], ["gc"]):
        assert _redun(project, *words).returncode == 0, words


def test_a_repair_forgets_no_more_of_the_cache_than_it_must(project: Path) -> None:
    with Store.open(_store(project)) as store:
        [lost] = [digest for digest, _ in store.objects("value") if store.get_value(digest) == [1, "x" * 10]]
        store._backend.write(lambda txn: txn.put("objects", lost, b"\0\0\xc0"))
    assert _redun(project, "fsck", "--repair").returncode == 10
    again = _redun(project, "run", "w.py", "main")
    assert again.stdout == RESULT
    ran = [line.split("::")[-1] for line in again.stderr.splitlines() if " Run " in line]
    assert len(ran) == 1, again.stderr
    assert "leaf" in ran[0]


def test_scripts_are_told_the_same(project: Path) -> None:
    _damage(project, "value")
    planned = json.loads(_redun(project, "fsck", "--repair", "--dry-run", "--json").stdout)
    assert {problem["what"] for problem in planned["problems"]} >= {"object"}
    assert all(problem["plan"] for problem in planned["problems"])
    found = json.loads(_redun(project, "fsck", "--repair", "--json").stdout)
    assert (found["sound"], found["problems"]) == (True, [])
    assert {mended["what"] for mended in found["done"]} >= {"object", "cache"}
    assert (Path(found["kept"]) / "rows.msgpack").exists()
    known = json.loads(_redun(project, "fsck", "--json").stdout)
    assert known["known_losses"] == sum(mended["what"] == "object" for mended in found["done"])


@both_formats
@pytest.mark.parametrize("seed", range(2))
def test_a_repair_that_is_killed_is_brought_to_its_end_by_the_next(project: Path, seed: int) -> None:
    dice = random.Random(seed)
    for kind in ("value", "blob", "call", "jobs"):
        _damage(project, kind)
    if seed % 2:
        data = _store(project) / "data.mdb"
        content = bytearray(data.read_bytes())
        for page in dice.sample(range(2, len(content) // 4096), 3):
            content[page * 4096 : page * 4096 + 16] = b"\xff" * 16
        data.write_bytes(content)
    for _ in range(5):
        process = subprocess.Popen([REDUN, "fsck", "--repair", "-q"], cwd=project, stdout=subprocess.DEVNULL)
        try:
            process.wait(dice.uniform(0.08, 0.5))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    assert _redun(project, "fsck", "--repair").returncode in (0, 10)
    assert _redun(project, "fsck").returncode == 0
    again = _redun(project, "run", "w.py", "main")
    assert (again.returncode, again.stdout) == (0, RESULT), again.stderr
    assert list(check(_store(project))) == []
