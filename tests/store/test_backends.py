"""The contract of `Backend`, for every backend."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from redun.core import limits
from redun.core.errors import StoreError
from redun.store.ports import TABLES, Backend, WriteTransaction, scan_prefix


def _put(backend: Backend, table: str, *items: tuple[bytes, bytes]) -> None:
    backend.write(lambda txn: txn.put_many(table, items))


def test_get_of_what_was_put_is_the_value(backend: Backend) -> None:
    backend.write(lambda txn: txn.put("objects", b"k", b"v"))
    assert backend.read(lambda txn: txn.get("objects", b"k")) == b"v"
    assert backend.read(lambda txn: txn.get("objects", b"other")) is None


def test_put_replaces(backend: Backend) -> None:
    _put(backend, "memo", (b"k", b"1"))
    _put(backend, "memo", (b"k", b"22"))
    assert backend.read(lambda txn: txn.get("memo", b"k")) == b"22"


def test_tables_do_not_share_keys(backend: Backend) -> None:
    for number, table in enumerate(TABLES):
        _put(backend, table, (b"k", b"%d" % number))
    found = backend.read(lambda txn: [txn.get(table, b"k") for table in TABLES])
    assert found == [b"%d" % number for number in range(len(TABLES))]


def test_get_many_answers_in_the_order_asked_and_leaves_out_the_missing(backend: Backend) -> None:
    _put(backend, "objects", (b"a", b"1"), (b"b", b"2"), (b"c", b"3"))
    asked = [b"c", b"x", b"a"]
    assert backend.read(lambda txn: txn.get_many("objects", asked)) == [(b"c", b"3"), (b"a", b"1")]
    assert backend.read(lambda txn: txn.present("objects", asked)) == [b"c", b"a"]
    assert backend.read(lambda txn: txn.get_many("objects", [])) == []


def test_scan_is_in_the_order_of_bytes_from_the_first_key_not_below_the_start(backend: Backend) -> None:
    keys = [b"\x00", b"a", b"ab", b"b", b"\xff"]
    _put(backend, "refs", *((key, b"v" + key) for key in reversed(keys)))
    assert backend.read(lambda txn: txn.scan_keys("refs", b"", 10)) == keys
    assert backend.read(lambda txn: txn.scan("refs", b"aa", 2)) == [(b"ab", b"vab"), (b"b", b"vb")]
    assert backend.read(lambda txn: txn.scan("refs", b"\xff\xff", 2)) == []
    assert backend.read(lambda txn: txn.scan("reflog", b"", 2)) == []


def test_add_many_keeps_what_exists_and_counts_what_is_new(backend: Backend) -> None:
    _put(backend, "objects", (b"b", b"old"))
    added = backend.write(lambda txn: txn.add_many("objects", [(b"a", b"1"), (b"b", b"new"), (b"c", b"3")]))
    assert added == 2
    assert backend.read(lambda txn: txn.get("objects", b"b")) == b"old"


def test_count_is_that_of_the_keys(backend: Backend) -> None:
    assert backend.read(lambda txn: txn.count("refs")) == 0
    _put(backend, "refs", (b"a", b"1"), (b"b", b"2"), (b"a", b"3"))
    assert backend.read(lambda txn: txn.count("refs")) == 2


def test_delete_says_whether_the_key_existed(backend: Backend) -> None:
    _put(backend, "objects", (b"a", b"1"))
    assert backend.write(lambda txn: txn.delete("objects", b"a")) is True
    assert backend.write(lambda txn: txn.delete("objects", b"a")) is False
    assert backend.read(lambda txn: txn.scan_keys("objects", b"", 9)) == []


def test_a_write_reads_what_it_wrote(backend: Backend) -> None:
    def write(txn: WriteTransaction) -> list[tuple[bytes, bytes]]:
        txn.put("memo", b"k", b"v")
        txn.delete("memo", b"gone")
        return txn.scan("memo", b"", 9)

    _put(backend, "memo", (b"gone", b""))
    assert backend.write(write) == [(b"k", b"v")]


def test_an_exception_leaves_nothing_behind(backend: Backend) -> None:
    _put(backend, "memo", (b"changed", b"1"), (b"deleted", b"2"))

    def write(txn: WriteTransaction) -> None:
        txn.put("memo", b"changed", b"x")
        txn.put("memo", b"new", b"x")
        txn.delete("memo", b"deleted")
        txn.add_many("memo", [(b"deleted", b"x"), (b"other", b"x")])
        raise KeyError("stop")

    with pytest.raises(KeyError):
        backend.write(write)
    assert backend.read(lambda txn: txn.scan("memo", b"", 9)) == [(b"changed", b"1"), (b"deleted", b"2")]


def test_values_of_two_mebibytes_and_of_nothing_are_kept(backend: Backend) -> None:
    large = bytes(2 * limits.MIB)
    _put(backend, "objects", (b"empty", b""), (b"large", large))
    assert backend.read(lambda txn: txn.get("objects", b"large")) == large
    assert backend.read(lambda txn: txn.get("objects", b"empty")) == b""


def test_scan_prefix_reads_all_of_a_prefix_in_pages(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SCAN_KEYS", 3)
    inside = [(b"p%03d" % i, b"%d" % i) for i in range(10)]
    _put(backend, "live", (b"o", b""), *inside, (b"q", b""))
    assert list(scan_prefix(backend, "live", b"p")) == inside
    assert list(scan_prefix(backend, "live", b"z")) == []
    assert len(list(scan_prefix(backend, "live", b""))) == 12


def test_a_scan_sees_keys_that_come_and_go_between_its_pages(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SCAN_KEYS", 2)
    _put(backend, "live", *((b"%d" % i, b"") for i in range(6)))
    seen = []
    for key, _ in scan_prefix(backend, "live", b""):
        seen.append(key)
        if key == b"1":
            backend.write(lambda txn: txn.delete("live", b"3"))
            backend.write(lambda txn: txn.put("live", b"9", b""))
    assert seen == [b"0", b"1", b"2", b"4", b"5", b"9"]


def test_heads_are_the_first_bytes_of_the_values_of_a_scan(backend: Backend) -> None:
    _put(backend, "objects", (b"a", b"1"), (b"b", b"2" * 100_000), (b"c", b""), (b"d", b"4444"))
    assert backend.heads("objects", b"", 3, 2) == [(b"a", b"1", 1), (b"b", b"22", 100_000), (b"c", b"", 0)]
    assert backend.heads("objects", b"bb", 9, 3) == [(b"c", b"", 0), (b"d", b"444", 4)]
    assert backend.heads("memo", b"", 9, 3) == []


def test_the_last_transaction_changes_with_each_write_and_with_nothing_else(backend: Backend) -> None:
    seen = [backend.last_transaction()]
    for number in range(3):
        _put(backend, "meta", (b"k", b"%d" % number))
        seen.append(backend.last_transaction())
        backend.read(lambda txn: txn.get("meta", b"k"))
        assert backend.last_transaction() == seen[-1]
    assert seen == sorted(set(seen))


def test_writes_of_many_threads_are_serial(backend: Backend) -> None:
    def increase(txn: WriteTransaction) -> None:
        txn.put("meta", b"n", b"%d" % (int(txn.get("meta", b"n") or b"0") + 1))

    def work() -> None:
        for _ in range(25):
            backend.write(increase)
            backend.read(lambda txn: txn.get("meta", b"n"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert backend.read(lambda txn: txn.get("meta", b"n")) == b"100"


def test_a_closed_backend_answers_with_an_error(backend: Backend) -> None:
    backend.close()
    backend.close()
    attempts: list[Callable[[], object]] = [
        lambda: backend.read(lambda txn: txn.get("meta", b"k")),
        lambda: backend.write(lambda txn: txn.put("meta", b"k", b"")),
        lambda: backend.heads("meta", b"", 1, 1),
        backend.last_transaction,
    ]
    for attempt in attempts:
        with pytest.raises(StoreError, match="closed"):
            attempt()


def test_space_grows_with_what_is_put_and_is_free_when_it_is_gone(backend: Backend) -> None:
    before, _ = backend.space()
    _put(backend, "objects", *((b"%04d" % number, b"x" * 1000) for number in range(500)))
    full, _ = backend.space()
    assert full >= before + 500_000
    backend.write(lambda txn: [txn.delete("objects", b"%04d" % number) for number in range(500)])
    used, free = backend.space()
    assert used < full - 500_000
    assert free >= 500_000 or used == before  # in memory nothing is kept that is free


# -- sets of rows -----------------------------------------------------------------------------------------------------

ROWS = [bytes((first, second)) * 6 for first in (0, 1, 127, 255) for second in (0, 3, 255)]


def _add_rows(backend: Backend, key: bytes, rows: list[bytes]) -> None:
    backend.write(lambda txn: txn.add_rows("ix.tasks", key, rows))


def _rows(backend: Backend, key: bytes, start: bytes = b"", limit: int = 99, *, back: bool = False) -> list[bytes]:
    return backend.read(lambda txn: txn.rows("ix.tasks", key, start, limit, back=back))


def test_rows_of_a_key_are_in_order_and_each_once(backend: Backend) -> None:
    _add_rows(backend, b"key", ROWS[::2])
    _add_rows(backend, b"key", ROWS)
    assert _rows(backend, b"key") == ROWS
    assert _rows(backend, b"key", back=True) == ROWS[::-1]
    assert _rows(backend, b"other") == _rows(backend, b"other", back=True) == []


def test_rows_are_read_from_a_start_up_or_down(backend: Backend) -> None:
    _add_rows(backend, b"key", ROWS)
    for at, row in enumerate(ROWS):
        assert _rows(backend, b"key", row, 2) == ROWS[at : at + 2]
        assert _rows(backend, b"key", row + b"\0") == ROWS[at + 1 :]
        assert _rows(backend, b"key", row, 2, back=True) == ROWS[:at][::-1][:2]
        assert _rows(backend, b"key", row + b"\0", back=True) == ROWS[: at + 1][::-1]
    assert _rows(backend, b"key", b"\1") == ROWS[3:]
    assert _rows(backend, b"key", b"\1", back=True) == ROWS[:3][::-1]


def test_keys_do_not_share_rows(backend: Backend) -> None:
    for number, key in enumerate((b"a", b"ab", b"b")):
        _add_rows(backend, key, ROWS[number : number + 2])
    for number, key in enumerate((b"a", b"ab", b"b")):
        assert _rows(backend, key) == ROWS[number : number + 2]
        assert _rows(backend, key, ROWS[-1] + b"\xff", back=True) == ROWS[number : number + 2][::-1]
        assert backend.read(lambda txn, key=key: txn.count_rows("ix.tasks", key)) == 2  # type: ignore[misc]
    assert backend.read(lambda txn: txn.row_keys("ix.tasks")) == [b"a", b"ab", b"b"]
    assert backend.read(lambda txn: (txn.count_rows("ix.tasks"), txn.count("ix.tasks"))) == (6, 6)
    assert backend.read(lambda txn: txn.count_rows("ix.tasks", b"c")) == 0


def test_the_first_row_from_each_start_is_found(backend: Backend) -> None:
    _add_rows(backend, b"k", ROWS)
    starts = [b"\0", ROWS[1], ROWS[1] + b"\0", b"\xff" * 13]
    found = backend.read(lambda txn: txn.seek_rows("ix.tasks", b"k", starts))
    assert found == [ROWS[0], ROWS[1], ROWS[2], None]
    assert backend.read(lambda txn: txn.seek_rows("ix.tasks", b"j", starts)) == [None] * 4


def test_rows_are_removed_and_tables_cleared(backend: Backend) -> None:
    for key in (b"a", b"b"):
        _add_rows(backend, key, ROWS)
    backend.write(lambda txn: txn.remove_rows("ix.tasks", b"a", [ROWS[0], ROWS[4], bytes(12)[:-1] + b"x"]))
    assert _rows(backend, b"a") == [*ROWS[1:4], *ROWS[5:]]
    backend.write(lambda txn: txn.remove_rows("ix.tasks", b"b", ROWS))
    assert backend.read(lambda txn: txn.row_keys("ix.tasks")) == [b"a"]
    _put(backend, "ix.files", (b"k", b"v"))
    backend.write(lambda txn: [txn.clear("ix.tasks"), txn.clear("ix.files")])
    assert backend.read(lambda txn: (txn.count("ix.tasks"), txn.count("ix.files"))) == (0, 0)


def test_rows_of_a_write_that_failed_are_not_there(backend: Backend) -> None:
    _add_rows(backend, b"k", ROWS[:3])

    def fail(txn: WriteTransaction) -> None:
        txn.add_rows("ix.tasks", b"k", ROWS)
        txn.remove_rows("ix.tasks", b"k", ROWS[:1])
        txn.clear("ix.status")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        backend.write(fail)
    assert _rows(backend, b"k") == ROWS[:3]


def test_many_rows_of_many_keys_stay_in_order(backend: Backend) -> None:
    every = {
        key: {bytes((key[0] * 7 % 251, n % 256, n * 31 % 256, n >> 8)) * 3 for n in range(2000)} for key in (b"x", b"y")
    }
    for key, rows in every.items():
        ordered = sorted(rows)
        for part in (ordered[::3], ordered[1::3], ordered[2::3], ordered[1000:]):
            _add_rows(backend, key, part)
    for key, rows in every.items():
        assert _rows(backend, key, limit=5000) == sorted(rows)
