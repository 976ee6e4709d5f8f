"""A repair that dies after any of its steps: doing it again brings it to its end, and nothing more is lost."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from redun.core.codec import pack
from redun.core.digest import OBJECT_FORMATS
from redun.core.objects import JobRow
from redun.store import Store, check, repair
from redun.store.lost import losses
from tests.store.test_check import Filled, _chain

Row = Callable[..., JobRow]
ROOT = Path(__file__).parents[2]


def _spoil(filled: Filled) -> None:
    store = filled.store
    store.set_ref("mine", filled.inner, expected=None, reason="so")
    store.set_ref("other", filled.head, expected=None, reason="so")
    chain = _chain(store).encode()
    keys = store._backend.read(lambda txn: txn.scan_keys("reflog", b"other", 1))
    for table, key in (
        ("objects", filled.inner),
        ("objects", filled.execution),
        ("refs", b"other"),
        ("refs", chain),
        ("reflog", keys[0]),
        ("live", filled.live.uuid + b"s"),
        ("live", filled.live.uuid + b"h"),
    ):
        data = store._backend.read(lambda txn, at=(table, key): txn.get(*at))  # type: ignore[misc]
        assert data is not None
        filled.put_row(table, key, data[:-1] + bytes([data[-1] ^ 1]))
    filled.put_row("superseded", b"some key", b"some row")
    filled.write(lambda txn: txn.delete("objects", filled.page))


@pytest.fixture
def spoiled(request: pytest.FixtureRequest, tmp_path: Path, row: Row) -> Path:
    """A store with damage of many kinds."""
    fmt, pages = request.param
    with Store.init(tmp_path / "s", object_format=fmt) as store:
        store.put_many([("value", pack([number, "x" * 100])) for number in range(500)])
        _spoil(Filled(store, row))
    [blob] = [path for path in (tmp_path / "s" / "blobs").rglob("*") if path.is_file()]
    blob.chmod(0o644)
    blob.write_bytes(b"?")
    if pages:
        data = bytearray((tmp_path / "s" / "data.mdb").read_bytes())
        for page in range(9, len(data) // 4096, 11):
            data[page * 4096 : page * 4096 + 16] = b"\xff" * 16
        (tmp_path / "s" / "data.mdb").write_bytes(data)
    return tmp_path / "s"


def _what_is_left(store: Path) -> tuple[set[bytes], set[str], int]:
    """The objects but executions (a run that was sealed by the repair has the time in it), the refs, the history."""
    with Store.open(store) as opened:
        objects = {digest for digest, kind in opened.objects() if kind not in ("exec", "jobs")}
        return objects, set(opened.refs()), len(list(opened.executions()))


@pytest.mark.parametrize("spoiled", [(fmt, pages) for fmt in OBJECT_FORMATS for pages in (False, True)], indirect=True)
def test_a_repair_may_die_after_any_step(spoiled: Path) -> None:
    good = spoiled.with_name("good")
    shutil.copytree(spoiled, good)
    assert repair(good).remaining == ()
    wanted = _what_is_left(good)
    step, died = 1, True
    while died:
        copy = spoiled.with_name("copy")
        shutil.copytree(spoiled, copy)
        words = [sys.executable, "-m", "tests.store.repair_killed", str(copy), str(step)]
        died = subprocess.run(words, cwd=ROOT, check=False).returncode != 0
        assert repair(copy).remaining == (), step
        assert list(check(copy)) == [], step
        assert _what_is_left(copy) == wanted, step
        with Store.open(copy) as store:
            assert {loss.kind for _, loss in losses(store._backend)} <= {"value", "blob", "exec", "object"}
        shutil.rmtree(copy)
        step += 3
    assert step > 20
