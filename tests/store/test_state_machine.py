"""A store against a model of dictionaries: what is put, moved, remembered and run, with refused and broken batches,
closing and reopening, pruning, collecting garbage, compacting, and processes that are killed at any of it.

A process that is killed is a real one: it writes to the store, or collects garbage in it, tells how far it has come,
and gets SIGKILL. What it had told must be there; of what came after, a part that makes sense by itself.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

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
from redun.store import Batch, GcOptions, KeepRules, LiveRun, MemoRow, MemoUpdate, RunUpdate, Store, check
from redun.store.memo import merge

_KEYS = [Key(b"key-%d" % i) for i in range(4)]
_NAMES = ["a", "b/c"]
_KILLED = "killed"
_KINDS = ["value", "blob", "tool.thing"]
_EXPIRED = GcOptions(expiry_s=0)
_COMPACT = GcOptions(compact=True)

#: Says what it has done, line by line, and goes on until it is killed or has done ten things.
_CHILD = """
import sys
from redun.core.codec import pack
from redun.core.objects import How, JobRow, Status, Why
from redun.store import Batch, GcOptions, RunUpdate, Store

path, what, mark = sys.argv[1:]
with Store.open(path) as store:
    if what == "run":
        run = store.begin_run(["killed"], {})
        print(run.uuid.hex(), flush=True)
        for i in range(10):
            with store.transaction() as txn:
                new = txn.put("value", pack([mark, i]))
                txn.set_ref("killed", new, expected=txn.ref("killed"), reason=str(i))
            rows = tuple(JobRow(n, None, -1, Status.DONE, How.RAN, Why.FIRST, n, 1) for n in range(i + 1))
            store.commit(Batch(run=RunUpdate(run.uuid, (), rows, (), rows=i + 1)))
            print(i, flush=True)
    else:
        store.collect_garbage(GcOptions(compact=what == "compact"), lambda *step: print(*step, flush=True))
    print("end", flush=True)
"""


class _StoreMachine(RuleBasedStateMachine):
    """What a store must remember, kept beside it in plain dictionaries."""

    objects = Bundle("objects")

    @initialize(
        where=st.sampled_from(["memory", "lmdb"]),
        fmt=st.sampled_from(["xxh3-128", "sha256"]),
        compression=st.sampled_from(["none", "zstd"]),
    )
    def make(self, where: str, fmt: str, compression: Literal["none", "zstd"]) -> None:
        self.directory = Path(tempfile.mkdtemp()) if where == "lmdb" else None
        self.store = (
            Store.memory(fmt, compression=compression)
            if self.directory is None
            else Store.init(self.directory / "s", object_format=fmt, compression=compression)
        )
        self.items: dict[Digest, tuple[str, bytes]] = {}
        self.ever: dict[Digest, tuple[str, bytes]] = {}
        self.pointers: dict[Digest, Digest] = {}
        self.rows: dict[Key, MemoRow] = {}
        self.refs: dict[str, Digest] = {}
        self.moves: dict[str, list[Digest | None]] = {name: [] for name in [*_NAMES, _KILLED]}
        self.live: dict[bytes, tuple[LiveRun | None, RunUpdate]] = {}
        self.sealed: list[tuple[bytes, Status, int]] = []
        self.pruned: set[bytes] = set()
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
        return self._put(kind, payload)

    def _put(self, kind: str, payload: bytes) -> Digest:
        digest = self.store.put(kind, payload)
        self.items[digest] = self.ever[digest] = (kind, payload)
        return digest

    @rule(target=objects, words=st.integers(0, 2))
    def put_compressible(self, words: int) -> Digest:
        return self._put("value", pack("some words " * (100 + words)))

    @rule(target=objects, fill=st.integers(0, 2))
    def put_large(self, fill: int) -> Digest:
        payload = bytes([fill]) * (limits.INLINE_BYTES + 1)
        digest = self.store.put_blob([payload[:100], payload[100:]], len(payload))
        self.items[digest] = self.ever[digest] = ("blob", payload)
        return digest

    @rule(target=objects, child=objects)
    def put_pointer(self, child: Digest) -> Digest:
        self._have(child)
        digest = self._put("value", pack([Pointer(child)]))
        self.pointers[digest] = child
        return digest

    def _have(self, digest: Digest | None) -> None:
        """Whoever names an object has put it, and all that it points to, since the last collection, or finds it."""
        chain = []
        while digest is not None:
            chain.append(digest)
            digest = self.pointers.get(digest)
        if not self.items.keys() >= set(chain):
            for missing in reversed(chain):
                self._put(*self.ever[missing])

    @rule(
        key=st.sampled_from(_KEYS),
        reduction=objects,
        call=st.none() | objects,
        caused=st.booleans(),
        extra=st.binary(max_size=9).map(pack),
    )
    def remember(self, key: Key, reduction: Digest, call: Digest | None, caused: bool, extra: bytes) -> None:
        self._have(reduction)
        self._have(call)
        update = MemoUpdate(key, "task", reduction, True, call, call, caused)
        digest = object_id(self.store.format, "value", extra)
        self.store.commit(Batch({digest: ("value", extra)}, [update]))
        self.items[digest] = self.ever[digest] = ("value", extra)
        (found,) = self.store.lookup({digest: ("value", extra)}, [key])
        seq = found.calls[0].seq if found is not None and found.calls else 0
        expected, _ = merge(self.rows.get(key), update, seq)
        assert found == expected
        self.rows[key] = expected

    @rule(name=st.sampled_from(_NAMES), new=st.none() | objects, expected=st.none() | objects)
    def move(self, name: str, new: Digest | None, expected: Digest | None) -> None:
        self._have(new)
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
        self.ever.update(zip(digests, puts, strict=True))
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
            assert run is not None
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
        self._open()

    def _open(self) -> None:
        """Opens the store, which seals the runs that have ended without."""
        assert self.directory is not None
        self.store = Store.open(self.directory / "s")
        before = {uuid for uuid, _, _ in self.sealed}
        for _, record in reversed(list(self.store.executions())):
            if record.uuid not in before:
                _, update = self.live.pop(record.uuid)
                self.sealed.append((record.uuid, Status.INTERRUPTED, len(update.tail) + len(update.running)))
        assert not self.live
        self._watch()

    # -- pruning and collecting ---------------------------------------------------------------------------------------

    @rule(last=st.integers(0, 3))
    def prune(self, last: int) -> None:
        self.look()
        self.store.prune(self.store.plan_pruning(KeepRules(last=last)))
        listed = [uuid for uuid, _, _ in self.sealed if uuid not in self.pruned]
        self.pruned.update(listed[: max(len(listed) - last, 0)])
        self._watch()

    @rule(options=st.sampled_from([GcOptions(), GcOptions(dry=True), _EXPIRED, _COMPACT]))
    def collect(self, options: GcOptions) -> None:
        """What nothing leads to goes to the trash, where whoever asks for it finds it, unless that is emptied, too."""
        reached = self._reached()
        collection = self.store.collect_garbage(options)
        assert sum(amount.objects for amount in collection.swept.values()) >= len(self.items.keys() - reached)
        if options.dry:
            return
        assert collection.alone or options == GcOptions()
        self.rows = {key: row for key, old in self.rows.items() if (row := self._collected(old, reached)) is not None}
        if options != GcOptions():
            gone = sorted(self.items.keys() - reached)
            assert self.store.get_many(gone) == [None] * len(gone)
            self.items = {digest: item for digest, item in self.items.items() if digest in reached}

    def _reached(self) -> set[Digest]:
        reached: set[Digest] = set()
        for digest in self.refs.values():
            at: Digest | None = digest
            while at is not None:
                reached.add(at)
                at = self.pointers.get(at)
        return reached

    @staticmethod
    def _collected(row: MemoRow, reached: set[Digest]) -> MemoRow | None:
        """A row of the cache after what it names was swept."""
        calls = tuple(call for call in row.calls if {call.call, call.head} <= reached)
        return row._replace(calls=calls) if row.reduction in reached and (calls or not row.calls) else None

    @rule()
    def index(self) -> None:
        """Indexes are what they would be if made anew, whatever was sealed, pruned and collected since."""
        self.store.index()
        assert [problem for problem in self.store.check(level=3) if problem.level == 3] == []

    # -- processes that are killed ------------------------------------------------------------------------------------

    @rule(what=st.sampled_from(["run", "gc", "compact"]), lines=st.integers(0, 9), mark=st.uuids().map(str))
    def kill(self, what: str, lines: int, mark: str) -> None:
        """Closes the store; another process works on it, and is killed after so many lines or at its end."""
        if self.directory is None:
            return
        self.store.close()
        command = [sys.executable, "-c", _CHILD, str(self.directory / "s"), what, mark]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            told = [line.strip() for line in (process.stdout.readline() for _ in range(lines)) if line]
            process.kill()
            told += process.stdout.read().splitlines()
        # It sealed what this process had left; what it had begun itself is sealed here.
        with Store.open(self.directory / "s", read_only=True) as store:
            self._learn(store, what, mark, told)
        self._open()
        assert not [problem for problem in check(self.directory / "s", level=3) if problem.level in (1, 3)]

    def _learn(self, store: Store, what: str, mark: str, told: list[str]) -> None:
        """Finds out how far the process has come: at least as far as it has told, and not halfway."""
        if what == "run":
            self._learn_run(store, mark, told)
            return
        reached = self._reached()
        assert store.get_many(sorted(reached)) == [self.items[digest] for digest in sorted(reached)]
        for digest, found in zip(sorted(self.items), store.get_many(sorted(self.items)), strict=True):
            assert found == self.items[digest] or (found is None and what == "compact" and digest not in reached)
            if found is None:
                del self.items[digest]
        for key, found_row in zip(_KEYS, store.lookup({}, _KEYS), strict=True):
            old = self.rows.pop(key, None)
            assert found_row == old or (old is not None and found_row == self._collected(old, reached))
            assert found_row != old or "end" not in told or old is None or old == self._collected(old, reached)
            if found_row is not None:
                self.rows[key] = found_row

    def _learn_run(self, store: Store, mark: str, told: list[str]) -> None:
        live = [info for info in store.live_runs() if info.argv == ("killed",)]
        values = [pack([mark, i]) for i in range(10)]
        digests = [object_id(store.format, "value", value) for value in values]
        ref = store.ref(_KILLED)
        count = digests.index(ref) + 1 if ref is not None and ref in digests else 0
        assert count >= len(told) - 1 - ("end" in told)
        for digest, value in zip(digests[:count], values, strict=False):
            self.items[digest] = self.ever[digest] = ("value", value)
        assert not any(map(store.has, digests[count:]))
        if count:
            self.moves[_KILLED] += digests[:count]
            self.refs[_KILLED] = digests[count - 1]
        if told:
            (info,) = live
            assert info.uuid.hex() == told[0]
        for info in live:
            assert len(info.tail) in (count, count - 1, 0)
            self.live[info.uuid] = (None, RunUpdate(info.uuid, (), info.tail, info.running, rows=len(info.tail)))

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
        assert {n: [e.new for e in reversed(store.reflog(n))] for n in self.moves} == self.moves
        found = [(r.uuid, r.status, self._rows_of(store, r)) for _, r in store.executions()]
        assert found[::-1] == [told for told in self.sealed if told[0] not in self.pruned]

    @staticmethod
    def _rows_of(store: Store, record: ExecRecord) -> int:
        return sum(len(page.rows) for page in store.job_pages(record.pages))


_TORTURE = settings.default is not None and settings.default.max_examples > 1000

TestStore: Any = _StoreMachine.TestCase
TestStore.settings = settings(max_examples=500 if _TORTURE else 25, stateful_step_count=50 if _TORTURE else 25)
