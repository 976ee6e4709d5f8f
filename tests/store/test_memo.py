from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun.core import limits
from redun.core.digest import SHA256, XXH3_128, Digest, Key, ObjectFormat
from redun.core.errors import InternalError
from redun.store import Batch, MemoCall, MemoRow, MemoUpdate, Store
from redun.store.memo import decode_row, encode_row, merge


def _id(text: str, size: int = 16) -> Digest:
    return Digest(text.encode().ljust(size, b"."))


def _update(reduction: str = "r", call: str | None = "c", head: str | None = "h", **more: Any) -> MemoUpdate:
    plain = MemoUpdate(
        Key(_id("k")),
        "t",
        _id(reduction),
        False,
        None if call is None else _id(call),
        None if head is None else _id(head),
    )
    return plain._replace(**more)


def _calls(row: MemoRow) -> list[tuple[str, str, int]]:
    return [(c.call.decode().rstrip("."), c.head.decode().rstrip("."), c.seq) for c in row.calls]


def _merged(*updates: MemoUpdate) -> tuple[MemoRow, list[bool]]:
    row, doubts = None, []
    for seq, update in enumerate(updates, 1):
        row, doubt = merge(row, update, seq)
        doubts.append(doubt)
    assert row is not None
    return row, doubts


def test_the_first_update_makes_the_row() -> None:
    row, doubts = _merged(_update(is_expr=True))
    assert row == MemoRow(_id("r"), True, (MemoCall(_id("c"), _id("h"), 1),))
    assert doubts == [False]


def test_a_partial_call_is_a_row_without_calls() -> None:
    assert _merged(_update(call=None, head=None))[0] == MemoRow(_id("r"), False, ())


def test_a_call_with_the_same_reduction_joins_in_front() -> None:
    row, doubts = _merged(_update(call="c1"), _update(call="c2", caused=False))
    assert _calls(row) == [("c2", "h", 2), ("c1", "h", 1)]
    assert doubts == [False, False]


def test_the_same_call_with_another_head_is_another_entry() -> None:
    assert _calls(_merged(_update(head="h1"), _update(head="h2"))[0]) == [("c", "h2", 2), ("c", "h1", 1)]


def test_the_same_call_and_head_moves_up_with_a_new_number() -> None:
    row, _ = _merged(_update(call="c1"), _update(call="c2"), _update(call="c1"))
    assert _calls(row) == [("c1", "h", 3), ("c2", "h", 2)]


def test_the_oldest_call_goes_when_there_are_too_many() -> None:
    count = limits.MEMO_CALLS + 2
    row, _ = _merged(*(_update(call=f"c{i}") for i in range(1, count + 1)))
    assert [seq for _, _, seq in _calls(row)] == list(range(count, 2, -1))


def test_another_reduction_empties_the_calls() -> None:
    row, doubts = _merged(_update(call="c1"), _update("r2", call="c2"))
    assert row == MemoRow(_id("r2"), False, (MemoCall(_id("c2"), _id("h"), 2),))
    assert doubts == [False, False]


def test_a_partial_call_with_the_same_reduction_changes_nothing() -> None:
    assert _calls(_merged(_update(), _update(call=None, head=None, caused=False))[0]) == [("c", "h", 1)]


def test_a_partial_call_with_another_reduction_empties_the_calls() -> None:
    assert _merged(_update(), _update("r2", call=None, head=None))[0] == MemoRow(_id("r2"), False, ())


def test_a_reduction_replaced_without_cause_is_told() -> None:
    assert _merged(_update(), _update("r2", caused=False))[1] == [False, True]


def test_the_older_reduction_is_never_revived() -> None:
    row, _ = _merged(_update(call="c1"), _update("r2", call="c2"), _update("r", call="c3"))
    assert _calls(row) == [("c3", "h", 3)]


_ids = st.binary(min_size=16, max_size=16).map(Digest)
_rows = st.builds(
    MemoRow,
    _ids,
    st.booleans(),
    st.lists(st.builds(MemoCall, _ids, _ids, st.integers(1, 2**63)), max_size=limits.MEMO_CALLS).map(tuple),
)


@given(key=st.binary(min_size=1, max_size=32), row=_rows)
def test_decode_of_encode_is_the_row(key: bytes, row: MemoRow) -> None:
    assert decode_row(key, encode_row(key, row), 16) == row


@given(row=_rows, data=st.data())
def test_a_row_with_any_bit_changed_is_none(row: MemoRow, data: st.DataObject) -> None:
    stored = bytearray(encode_row(b"key", row))
    bit = data.draw(st.integers(0, 8 * len(stored) - 1))
    stored[bit // 8] ^= 1 << bit % 8
    assert decode_row(b"key", bytes(stored), 16) is None


def test_a_row_under_another_key_is_none() -> None:
    stored = encode_row(b"key", MemoRow(_id("r"), False))
    assert decode_row(b"kez", stored, 16) is None
    assert decode_row(b"key", b"", 16) is None


@pytest.mark.parametrize(("size", "most"), [(16, 64), (32, 112)])
def test_the_row_of_a_leaf_is_small(size: int, most: int) -> None:
    row = MemoRow(_id("r", size), False, (MemoCall(_id("c", size), _id("h", size), 9),))
    assert len(encode_row(b"k", row)) <= most


@dataclass
class _Model:
    """The tables `memo` and `superseded`, by the merge rule alone."""

    rows: dict[Key, MemoRow] = field(default_factory=dict)
    superseded: dict[str, int] = field(default_factory=dict)
    seq: int = 0

    def apply(self, updates: list[MemoUpdate]) -> None:
        for update in updates:
            self.seq += 2
            self.rows[update.key], doubt = merge(self.rows.get(update.key), update, self.seq)
            if doubt:
                self.superseded[update.task] = self.seq - 1


_few = st.sampled_from
_updates = st.builds(
    lambda key, task, reduction, call, head, caused: MemoUpdate(
        key, task, reduction, False, call, None if call is None else head, caused
    ),
    _few([Key(_id(k)) for k in "abcd"]),
    _few(["t1", "t2"]),
    _few([_id("r1"), _id("r2")]),
    _few([None, _id("c1"), _id("c2"), _id("c3")]),
    _few([_id("h1"), _id("h2")]),
    st.booleans(),
)


@given(batches=st.lists(st.lists(_updates, max_size=6), max_size=6))
def test_a_store_merges_as_the_rule_says_however_updates_are_batched(batches: list[list[MemoUpdate]]) -> None:
    model = _Model()
    with Store.memory() as store:
        for batch in batches:
            model.apply(batch)
            store.commit(Batch(memo=batch))
        keys = [Key(_id(k)) for k in "abcd"]
        assert store.lookup({}, keys) == [model.rows.get(key) for key in keys]
        assert [store.superseded(t) for t in ("t1", "t2")] == [model.superseded.get(t, 0) for t in ("t1", "t2")]


def test_calls_before_the_replacement_are_doubtful_and_later_ones_are_not(store: Store) -> None:
    size = store.format.size
    key, other = Key(_id("k", size)), Key(_id("o", size))
    old = MemoUpdate(other, "caller", _id("r", size), True, _id("c", size), _id("h", size))
    first = MemoUpdate(key, "random", _id("r1", size), False, _id("c1", size), _id("h", size))
    second = MemoUpdate(key, "random", _id("r2", size), False, _id("c2", size), _id("h", size), caused=False)
    store.commit(Batch(memo=[first, old]))
    assert store.superseded("random") == 0
    store.commit(Batch(memo=[second, old._replace(key=Key(_id("new", size)))]))
    before, after, own = store.lookup({}, [other, Key(_id("new", size)), key])
    assert before is not None
    assert after is not None
    assert own is not None
    doubt = store.superseded("random")
    assert before.calls[0].seq < doubt < own.calls[0].seq < after.calls[0].seq
    assert store.superseded("caller") == 0
    [mark] = store._backend.read(lambda txn: txn.scan_keys("superseded", b"", 9))
    store._backend.write(lambda txn: txn.put("superseded", mark, b"\0" * 8 + b"random"))
    assert store.superseded("random") > after.calls[0].seq  # where it is not known since when, none is believed


@pytest.mark.parametrize("fmt", [XXH3_128, SHA256], ids=repr)
@pytest.mark.parametrize(
    "change",
    [{"head": None}, {"call": None}, {"reduction": b"short"}, {"call": b"c" * 20}],
    ids=lambda change: str(*change),
)
def test_an_update_that_does_not_fit_is_refused(fmt: ObjectFormat, change: dict[str, Any]) -> None:
    good = MemoUpdate(Key(_id("k")), "t", _id("r", fmt.size), False, _id("c", fmt.size), _id("h", fmt.size))
    with Store.memory(fmt.name) as store:
        with pytest.raises(InternalError):
            store.commit(Batch(memo=[good._replace(**change)]))
        assert store.lookup({}, [Key(_id("k"))]) == [None]
