"""A store against a model of dictionaries, with closing, reopening, crashes of runs, refused and collided batches."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from redun.core import limits
from redun.core.codec import Pointer, pack
from redun.core.digest import Digest, Key
from redun.core.errors import RefMoved
from redun.core.frame import object_id
from redun.core.objects import ExecRecord, How, JobRow, Status, Why
from redun.store import Batch, LiveRun, MemoRow, MemoUpdate, RunUpdate, Store
from redun.store.memo import merge

_KEYS = [Key(b"key-%d" % i) for i in range(4)]
_NAMES = ["a", "b/c"]
_KINDS = ["value", "blob", "tool.thing"]


class _StoreMachine(RuleBasedStateMachine):
    """What a store must remember, kept beside it in plain dictionaries."""

    objects = Bundle("objects")

    @initialize(where=st.sampled_from(["memory", "lmdb"]), fmt=st.sampled_from(["xxh3-128", "sha256"]))
    def make(self, where: str, fmt: str) -> None:
        self.directory = Path(tempfile.mkdtemp()) if where == "lmdb" else None
        self.store = (
            Store.memory(fmt) if self.directory is None else Store.init(self.directory / "s", object_format=fmt)
        )
        self.items: dict[Digest, tuple[str, bytes]] = {}
        self.rows: dict[Key, MemoRow] = {}
        self.refs: dict[str, Digest] = {}
        self.moves: dict[str, list[Digest | None]] = {name: [] for name in _NAMES}
        self.live: dict[bytes, tuple[LiveRun, RunUpdate]] = {}
        self.sealed: list[tuple[bytes, Status, int]] = []
        self._watch()

    def _watch(self) -> None:
        self.watching = self.store.watch(timeout=0)
        self.seen = len(self.sealed)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            if self.directory is not None:
                shutil.rmtree(self.directory)

    @rule(target=objects, payload=st.binary(max_size=30).map(pack), kind=st.sampled_from(_KINDS))
    def put(self, payload: bytes, kind: str) -> Digest:
        digest = self.store.put(kind, payload)
        self.items[digest] = (kind, payload)
        return digest

    @rule(target=objects, fill=st.integers(0, 2))
    def put_large(self, fill: int) -> Digest:
        payload = bytes([fill]) * (limits.INLINE_BYTES + 1)
        digest = self.store.put_blob([payload[:100], payload[100:]], len(payload))
        self.items[digest] = ("blob", payload)
        return digest

    @rule(target=objects, child=objects)
    def put_pointer(self, child: Digest) -> Digest:
        payload = pack([Pointer(child)])
        digest = self.store.put("value", payload)
        self.items[digest] = ("value", payload)
        return digest

    @rule(
        key=st.sampled_from(_KEYS),
        reduction=objects,
        call=st.none() | objects,
        caused=st.booleans(),
        extra=st.binary(max_size=9).map(pack),
    )
    def remember(self, key: Key, reduction: Digest, call: Digest | None, caused: bool, extra: bytes) -> None:
        update = MemoUpdate(key, "task", reduction, True, call, call, caused)
        digest = object_id(self.store.format, "value", extra)
        self.store.commit(Batch({digest: ("value", extra)}, [update]))
        self.items[digest] = ("value", extra)
        (found,) = self.store.lookup({digest: ("value", extra)}, [key])
        seq = found.calls[0].seq if found is not None and found.calls else 0
        expected, _ = merge(self.rows.get(key), update, seq)
        assert found == expected
        self.rows[key] = expected

    @rule(name=st.sampled_from(_NAMES), new=st.none() | objects, expected=st.none() | objects)
    def move(self, name: str, new: Digest | None, expected: Digest | None) -> None:
        if expected != self.refs.get(name):
            with pytest.raises(RefMoved):
                self.store.set_ref(name, new, expected=expected, reason="test")
            expected = self.refs.get(name)
        self.store.set_ref(name, new, expected=expected, reason="test")
        self.moves[name].append(new)
        if new is None:
            self.refs.pop(name, None)
        else:
            self.refs[name] = new

    @rule(
        puts=st.lists(st.tuples(st.sampled_from(_KINDS), st.binary(max_size=30).map(pack)), max_size=3),
        moves=st.lists(st.tuples(st.sampled_from(_NAMES), st.none() | st.integers(0, 2), st.booleans()), max_size=3),
        breaks=st.booleans(),
    )
    def transact(self, puts: list[tuple[str, bytes]], moves: list[tuple[str, int | None, bool]], breaks: bool) -> None:
        """Puts and moves as one: they all count, unless the block breaks or a move expects what is not so."""
        refs, made, all_fit = dict(self.refs), list[tuple[str, Digest | None]](), True
        try:
            with self.store.transaction() as txn:
                digests = [txn.put(kind, payload) for kind, payload in puts]
                for name, index, fits in moves:
                    new = digests[index] if index is not None and index < len(digests) else None
                    expected = refs.get(name) if fits else Digest(b"elsewhere")
                    assert txn.ref(name) == refs.get(name)
                    txn.set_ref(name, new, expected=expected, reason="transaction")
                    all_fit = all_fit and fits
                    refs = {**{key: at for key, at in refs.items() if key != name}, **({name: new} if new else {})}
                    made.append((name, new))
                assert [txn.get(digest) for digest in digests] == puts
                if breaks:
                    raise InterruptedError
        except InterruptedError:
            assert breaks
            return
        except RefMoved:
            assert not all_fit
            return
        assert all_fit
        self.items.update(zip(digests, puts, strict=True))
        self.refs = refs
        for name, new in made:
            self.moves[name].append(new)

    @rule()
    def look(self) -> None:
        """Whoever watches sees what was sealed since."""
        assert [record.uuid for _, record in self.watching] == [uuid for uuid, _, _ in self.sealed[self.seen :]]
        self._watch()

    @rule()
    def begin(self) -> None:
        run = self.store.begin_run([str(len(self.sealed))], {})
        self.live[run.uuid] = (run, RunUpdate(run.uuid))

    @rule(data=st.data(), count=st.integers(0, 3), running=st.integers(0, 2))
    def advance(self, data: st.DataObject, count: int, running: int) -> None:
        if self.live:
            uuid = data.draw(st.sampled_from(sorted(self.live)))
            rows = [JobRow(i, None, -1, Status.DONE, How.RAN, Why.FIRST, i, 1) for i in range(count + running)]
            going = tuple(row._replace(status=Status.RUNNING, duration=-1) for row in rows[count:])
            update = RunUpdate(uuid, (), tuple(rows[:count]), going, rows=count + running)
            self.store.commit(Batch(run=update))
            self.live[uuid] = (self.live[uuid][0], update)

    @rule(data=st.data())
    def seal(self, data: st.DataObject) -> None:
        if self.live:
            uuid = data.draw(st.sampled_from(sorted(self.live)))
            run, update = self.live.pop(uuid)
            self._finish(run, update, Status.DONE)

    def _finish(self, run: LiveRun, update: RunUpdate, status: Status) -> None:
        run.seal(Batch(), root=None, status=status, rows=update.rows, counts=(), sources=(), tail=update.tail)
        self.sealed.append((run.uuid, status, len(update.tail)))

    @rule(read_only=st.booleans())
    def reopen(self, read_only: bool) -> None:
        """Closes the store, which interrupts what is live; a store in memory would end with it."""
        if self.directory is None:
            return
        self.store.close()
        if read_only:
            with Store.open(self.directory / "s", read_only=True) as store:
                assert {live.uuid for live in store.live_runs() if not live.alive} == set(self.live)
                self._check(store)
        self.store = Store.open(self.directory / "s")
        before = {uuid for uuid, _, _ in self.sealed}
        for _, record in reversed(list(self.store.executions())):
            if record.uuid not in before:
                _, update = self.live.pop(record.uuid)
                self.sealed.append((record.uuid, Status.INTERRUPTED, len(update.tail) + len(update.running)))
        self._watch()

    @invariant()
    def agrees(self) -> None:
        if hasattr(self, "store"):
            self._check(self.store)
            assert {live.uuid: (live.tail, live.running, live.alive) for live in self.store.live_runs()} == {
                uuid: (update.tail, update.running, True) for uuid, (_, update) in self.live.items()
            }

    def _check(self, store: Store) -> None:
        digests = sorted(self.items)
        assert store.get_many(digests) == [self.items[d] for d in digests]
        assert [item for item in store.objects() if item[0] in self.items] == [(d, self.items[d][0]) for d in digests]
        assert store.lookup(self.items, _KEYS) == [self.rows.get(key) for key in _KEYS]
        assert {n: d for n, d in store.refs().items() if not n.startswith("executions/")} == self.refs
        assert {n: [e.new for e in reversed(store.reflog(n))] for n in _NAMES} == self.moves
        found = [(r.uuid, r.status, self._rows_of(store, r)) for _, r in store.executions()]
        assert found[::-1] == self.sealed

    @staticmethod
    def _rows_of(store: Store, record: ExecRecord) -> int:
        return sum(len(page.rows) for page in store.job_pages(record.pages))


TestStore: Any = _StoreMachine.TestCase
TestStore.settings = settings(max_examples=25, stateful_step_count=25)
