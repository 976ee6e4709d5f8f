"""Sync between two stores: beside each other in one process, and over a connection. One suite for both."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from obstore.store import MemoryStore

from redun.core.digest import Digest
from redun.core.errors import RemoteError
from redun.core.frame import object_id
from redun.core.objects import ExecRecord, Status
from redun.store import Store
from redun.store.batch import Batch
from redun.store.gc.retention import KeepRules
from redun.store.gc.shallow import Missing
from redun.store.sync.far import FarPeer
from redun.store.sync.local import LocalPeer
from redun.store.sync.peers import Boundary, Item, Large, Peer, Sent, Taken, Update
from redun.store.sync.serving import serve
from redun.store.sync.wire import Connection
from tests.store.buckets import stored


def run_once(store: Store) -> Digest:
    """Returns a new execution of a store."""
    run = store.begin_run(["redun", "run"], {})
    return run.seal(Batch(), root=None, status=Status.DONE, rows=0, counts=(), sources=())


@contextmanager
def far(store: Store, **options: Any) -> Iterator[Peer]:
    """A store over two pipes, served by a thread."""
    (there_reads, here_writes), (here_reads, there_writes) = os.pipe(), os.pipe()
    errors: list[BaseException] = []

    def answer() -> None:
        with os.fdopen(there_reads, "rb") as reader, os.fdopen(there_writes, "wb") as writer:
            try:
                serve(Connection(reader, writer, "here"), store.sync_parts(), **options)
            except RemoteError as error:
                errors.append(error)

    thread = threading.Thread(target=answer)
    thread.start()
    reader, writer = os.fdopen(here_reads, "rb"), os.fdopen(here_writes, "wb")
    peer = FarPeer(Connection(reader, writer, "there"), lambda: None)
    try:
        yield peer
    finally:
        peer.close()
        for pipe in (reader, writer):
            with suppress(BrokenPipeError):
                pipe.close()
        thread.join()


@contextmanager
def near(store: Store, **options: Any) -> Iterator[Peer]:
    """A store in this process."""
    yield LocalPeer(store.sync_parts(), **options)


@pytest.fixture(params=["near", "far", "stored"])
def reach(request: pytest.FixtureRequest) -> Any:
    places: dict[bytes, MemoryStore] = {}

    def in_a_bucket(store: Store) -> AbstractContextManager[Peer]:
        return stored(store, places.setdefault(store.id, MemoryStore()))

    return {"near": near, "far": far, "stored": in_a_bucket}[request.param]


@pytest.fixture(params=["xxh3-128", "sha256"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    with (
        Store.init(tmp_path / "one", object_format=request.param) as one,
        Store.init(tmp_path / "two", object_format=request.param) as two,
    ):
        yield one, two


def chain(store: Store) -> str:
    return f"executions/{store.id.hex()}"


def push(store: Store, peer: Peer) -> Taken:
    name = chain(store)
    head, old = store.refs(name)[name], peer.refs(name).get(name)
    return peer.take(LocalPeer(store.sync_parts()).give([head], peer.missing), [Update(name, old, head)])


def sound(store: Store) -> bool:
    return list(store.check(level=4)) == []


def exec_of(store: Store) -> ExecRecord:
    return ExecRecord.parse(store.get(store.refs(chain(store))[chain(store)])[1])


# -- what is promised -------------------------------------------------------------------------------------------------


def test_what_is_pushed_is_there_with_all_that_it_leads_to(stores: tuple[Store, Store], reach: Any) -> None:
    one, two = stores
    head = run_once(one)
    with reach(two) as peer:
        taken = push(one, peer)
    assert two.refs()[chain(one)] == head
    assert dict(taken.refs) == {chain(one): chain(one)}
    assert [digest for digest, _ in two.executions()] == [head]
    assert sound(two)


def test_doing_it_again_moves_nothing(stores: tuple[Store, Store], reach: Any) -> None:
    one, two = stores
    run_once(one)
    with reach(two) as peer:
        assert push(one, peer).objects > 0
    with reach(two) as peer:
        assert push(one, peer) == Taken(refs=((chain(one), ""),))


def test_only_what_is_new_moves(stores: tuple[Store, Store], reach: Any) -> None:
    one, two = stores
    for _ in range(50):
        run_once(one)
    with reach(two) as peer:
        assert push(one, peer).objects == 50
    run_once(one)
    with reach(two) as peer:
        assert push(one, peer).objects == 1


def test_a_history_is_found_with_few_questions_however_long_it_is(stores: tuple[Store, Store]) -> None:
    one, two = stores
    for _ in range(300):
        run_once(one)
    push(one, LocalPeer(two.sync_parts()))
    run_once(one)
    asked: list[int] = []

    def ask(digests: Sequence[Digest]) -> Sequence[Digest]:
        asked.append(len(digests))
        return two.absent(digests)

    head = one.refs()[chain(one)]
    items = [item for batch in LocalPeer(one.sync_parts()).give([head], ask) for item in batch]
    assert [item.digest for item in items if isinstance(item, Sent)] == [head]
    assert len(asked) <= 2


def test_large_payloads_go_in_parts(stores: tuple[Store, Store], reach: Any) -> None:
    one, two = stores
    data = os.urandom(5_000_001)
    blob = one.put_blob([data], len(data))
    with reach(two) as peer:
        taken = peer.take(LocalPeer(one.sync_parts()).give([blob], peer.missing), [Update("pins/big", None, blob)])
    assert (taken.objects, taken.size) == (1, len(data))
    assert bytes(two.open_blob(blob)) == data


def test_what_a_peer_gives_is_the_same_the_other_way(stores: tuple[Store, Store], reach: Any) -> None:
    one, two = stores
    head = run_once(one)
    data = bytes(3_000_000)
    blob = one.put_blob([data], len(data))
    with reach(one) as peer:
        taken = LocalPeer(two.sync_parts()).take(
            peer.give([head, blob], two.absent), [Update(chain(one), None, head), Update("pins/b", None, blob)]
        )
    assert taken.objects == 2
    assert two.refs()[chain(one)] == head
    assert sound(two)


def test_of_a_chain_that_was_pruned_the_rest_goes_and_says_so(stores: tuple[Store, Store], reach: Any) -> None:
    one, two = stores
    for _ in range(10):
        run_once(one)
    one.prune(one.plan_pruning(KeepRules(last=3)))
    one.collect_garbage()
    with reach(two) as peer:
        push(one, peer)
    assert len(list(two.executions())) == 3
    assert sound(two)


def test_a_chain_that_went_another_way_is_kept_beside(stores: tuple[Store, Store], reach: Any) -> None:
    one, two = stores
    first = run_once(one)
    with reach(two) as peer:
        push(one, peer)
    second = run_once(one)
    # as after a copy of the files went on by itself: a head that does not lead to the one that is known
    record = ExecRecord.parse(one.get(second)[1])._replace(parent=first, argv=("other",))
    other = two.put("exec", record.payload())
    two.set_ref(chain(one), other, expected=first, reason="test")
    with reach(two) as peer:
        taken = push(one, peer)
    aside = f"{chain(one)}-{second.hex()[:8]}"
    assert dict(taken.refs) == {chain(one): aside}
    assert (two.refs()[chain(one)], two.refs()[aside]) == (other, second)
    assert {digest for digest, _ in two.executions()} == {first, second, other}


def test_a_remote_that_is_ahead_stays_where_it_is(stores: tuple[Store, Store], reach: Any) -> None:
    one, two = stores
    first = run_once(one)
    second = run_once(one)
    with reach(two) as peer:
        push(one, peer)
        taken = peer.take([], [Update(chain(one), second, first)])
    assert taken.refs == ((chain(one), ""),)
    assert two.refs()[chain(one)] == second


# -- what is not believed ---------------------------------------------------------------------------------------------


def lies(store: Store) -> dict[str, list[Item]]:
    """Batches that are not what they say."""
    payload = b"\xa5hello"
    digest = object_id(store.format, "value", payload)
    head = run_once(store)
    record = store.get(head)[1]
    lonely = ExecRecord.parse(record)._replace(parent=Digest(bytes(store.format.size))).payload()
    big = Large(digest, "blob", 3_000_000, [bytes(3_000_000)])
    return {
        "one object under another's id": [Sent(head, "value", payload)],
        "a value under another kind": [Sent(digest, "exec", payload)],
        "bytes that are no value": [Sent(object_id(store.format, "value", b"\xc1"), "value", b"\xc1")],
        "a form that is not canonical": [
            Sent(object_id(store.format, "value", b"\xcd\x00\x01"), "value", b"\xcd\x00\x01")
        ],
        "a pointer to what is not there": [Sent(object_id(store.format, "exec", lonely), "exec", lonely)],
        "a large one under another's id": [big],
    }


@pytest.mark.parametrize(
    "lie",
    [
        "one object under another's id",
        "a value under another kind",
        "bytes that are no value",
        "a form that is not canonical",
        "a pointer to what is not there",
        "a large one under another's id",
    ],
)
def test_what_is_not_what_it_says_is_refused(stores: tuple[Store, Store], reach: Any, lie: str) -> None:
    one, two = stores
    with reach(two) as peer, pytest.raises(RemoteError):
        peer.take([lies(one)[lie]], [])
    assert sound(two)
    assert two.refs() == {}


@pytest.mark.parametrize("name", ["../../x", "executions/../x", "", "a b", "/x", "\x1b[2J"])
def test_a_ref_that_can_be_none_is_refused(stores: tuple[Store, Store], reach: Any, name: str) -> None:
    one, two = stores
    head = run_once(one)
    with reach(two) as peer, pytest.raises((RemoteError, Exception)):
        peer.take(LocalPeer(one.sync_parts()).give([head], peer.missing), [Update(name, None, head)])
    assert two.refs() == {}


def test_a_ref_to_what_was_not_sent_is_refused(stores: tuple[Store, Store], reach: Any) -> None:
    one, two = stores
    head = run_once(one)
    with reach(two) as peer, pytest.raises(RemoteError):
        peer.take([], [Update(chain(one), None, head)])
    assert two.refs() == {}


def test_what_has_arrived_when_a_transfer_breaks_off_need_not_move_again(stores: tuple[Store, Store]) -> None:
    one, two = stores
    values = [one.put("value", bytes([n])) for n in range(100)]

    def broken() -> Iterator[Sequence[Item]]:
        yield [Sent(values[n], "value", bytes([n])) for n in range(60)]
        raise RemoteError("the connection broke off")

    with pytest.raises(RemoteError):
        LocalPeer(two.sync_parts()).take(broken(), [])
    assert two.absent(values) == values[60:]
    assert sound(two)


def test_a_stream_that_was_changed_on_its_way_moves_no_ref(stores: tuple[Store, Store]) -> None:
    one, two = stores
    head = run_once(one)
    sent = [item for batch in LocalPeer(one.sync_parts()).give([head], two.absent) for item in batch]
    (reads, writes) = os.pipe()
    with os.fdopen(writes, "wb") as writer, os.fdopen(os.dup(reads), "rb") as unused:
        Connection(unused, writer, "x").send_items([sent])
    with os.fdopen(reads, "rb") as stream:
        data = bytearray(stream.read())
    data[len(data) // 2] ^= 1
    changed, other = os.pipe()
    with os.fdopen(other, "wb") as writer:
        writer.write(data)
    with os.fdopen(changed, "rb") as reader, pytest.raises(RemoteError):
        LocalPeer(two.sync_parts()).take(
            Connection(reader, reader, "x").items(two.format), [Update(chain(one), None, head)]
        )
    assert two.refs() == {}
    assert sound(two)


def test_a_peer_misses_only_what_it_is_asked_for(stores: tuple[Store, Store]) -> None:
    one, two = stores
    (there_reads, here_writes), (here_reads, there_writes) = os.pipe(), os.pipe()

    def lying() -> None:
        with os.fdopen(there_reads, "rb") as reader, os.fdopen(there_writes, "wb") as writer:
            connection = Connection(reader, writer, "here")
            connection.greet()
            connection.receive()
            connection.send(b"A", [1, two.format.name, two.id, "0", True])
            connection.receive()
            connection.send(b"A", bytes(two.format.size))
            connection.flush()

    thread = threading.Thread(target=lying)
    thread.start()
    with os.fdopen(here_reads, "rb") as reader, os.fdopen(here_writes, "wb") as writer:
        peer = FarPeer(Connection(reader, writer, "there"), lambda: None)
        with pytest.raises(RemoteError, match="misses what it was not asked for"):
            peer.missing([run_once(one)])
    thread.join()


@pytest.mark.parametrize("reach", ["near", "far"], indirect=True)  # what lies in a bucket is proven by who reads it
@pytest.mark.parametrize("said", list(Missing), ids=lambda missing: missing.name)
def test_of_an_execution_only_what_is_said_to_be_missing_may_be(
    stores: tuple[Store, Store], reach: Any, said: Missing
) -> None:
    one, two = stores
    lost = Digest(bytes(one.format.size))
    record = ExecRecord.parse(one.get(run_once(one))[1])
    # the other of both is missing, too
    lonely = record._replace(root=lost) if said is Missing.PARENT else record._replace(parent=lost)
    payload = lonely.payload()
    digest = object_id(one.format, "exec", payload)
    with reach(two) as peer, pytest.raises(RemoteError):
        peer.take([[Boundary(digest, said), Sent(digest, "exec", payload)]], [])
    assert sound(two)


def test_boundaries_are_of_executions_alone(stores: tuple[Store, Store], reach: Any) -> None:
    one, two = stores
    target = one.put("value", b"\x01")
    holder = one.put("value", one.get(one.put_value([1, 2]))[1])
    with reach(two) as peer:
        peer.take([[Boundary(holder, Missing.CONTENTS), Sent(target, "value", b"\x01")]], [])
    assert sound(two)
