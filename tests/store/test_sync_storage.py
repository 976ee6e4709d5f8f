"""Stores in object storage: on a server that speaks S3, and through connections that break."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgpack
import obstore
import pytest
from obstore.store import MemoryStore, S3Store

from redun.core.digest import Digest
from redun.core.errors import RemoteError, StoreError
from redun.core.frame import object_id
from redun.core.objects import ExecRecord, Status
from redun.store import Store
from redun.store.batch import Batch
from redun.store.sync.local import LocalPeer
from redun.store.sync.peers import Item, Sent, Update
from redun.store.sync.storage import bucket
from tests.servers.running import s3_server
from tests.store.buckets import peer_in


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3_server() as server:
        yield server.settings["s3"]["endpoint_url"]


@pytest.fixture
def environment(endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """What the environment says of the server; returns the URL of an empty place there."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ada")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "open sesame")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    return f"s3://data/{os.urandom(6).hex()}"


def bucket_of(endpoint: str, url: str) -> Any:
    config: Any = {
        "aws_endpoint_url": endpoint,
        "aws_region": "us-east-1",
        "aws_access_key_id": "ada",
        "aws_secret_access_key": "open sesame",
    }
    prefix = url.removeprefix("s3://data/")
    return S3Store("data", prefix=prefix, config=config, client_options={"allow_http": True})


def run_once(store: Store) -> Digest:
    """Returns a new execution of a store."""
    run = store.begin_run(["redun", "run"], {})
    return run.seal(Batch(), root=None, status=Status.DONE, rows=0, counts=(), sources=())


def chain(store: Store) -> str:
    return f"executions/{store.id.hex()}"


def push(store: Store, peer: Any) -> Any:
    name = chain(store)
    head, old = store.refs(name)[name], peer.refs(name).get(name)
    return peer.take(LocalPeer(store.sync_parts()).give([head], peer.missing), [Update(name, old, head)])


def names(place: Any, prefix: str = "") -> list[str]:
    return sorted(found["path"] for chunk in obstore.list(place, prefix) for found in chunk)


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Store]:
    with Store.init(tmp_path / "one") as store:
        yield store


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Store]:
    with Store.init(tmp_path / "two") as store:
        yield store


# -- as a remote ------------------------------------------------------------------------------------------------------


def test_push_and_pull_by_url(one: Store, two: Store, environment: str) -> None:
    head = run_once(one)
    data = os.urandom(9_000_001)
    blob = one.put_blob([data], len(data))
    one.set_ref("pins/big", blob, expected=None, reason="test")
    one.sync.add_remote("origin", environment)
    two.sync.add_remote("origin", f"{environment}/", trust="cache")
    assert one.sync.push().executions == (chain(one),)
    assert one.sync.push() == ("origin", 0, 0, (), (), 0)
    assert two.sync.pull().objects == 1
    assert two.refs(chain(one)) == {chain(one): head}
    assert [found for found, _ in two.executions()] == [head]
    run_once(two)
    two.sync.push()
    one.sync.pull()
    assert {found for found, _ in one.executions()} == {found for found, _ in two.executions()}
    assert list(one.check(level=4)) == list(two.check(level=4)) == []


def test_large_payloads_stream_there_and_back(one: Store, two: Store, endpoint: str, environment: str) -> None:
    data = os.urandom(20_000_001)
    blob = one.put_blob([data], len(data))
    peer = peer_in(bucket_of(endpoint, environment), "xxh3-128")
    taken = peer.take(LocalPeer(one.sync_parts()).give([blob], peer.missing), [Update("pins/big", None, blob)])
    assert (taken.objects, taken.size) == (1, len(data))
    fresh = peer_in(bucket_of(endpoint, environment), "xxh3-128")
    LocalPeer(two.sync_parts()).take(fresh.give([blob], two.absent), [])
    assert bytes(two.open_blob(blob)) == data


def test_a_place_without_a_store_is_said_to_have_none(one: Store, environment: str) -> None:
    run_once(one)
    assert one.sync.push(environment, dry_run=True).objects == 1
    with pytest.raises(RemoteError, match="there is no store yet"):
        one.sync.fetch(environment)
    assert one.sync.push(environment).objects == 1


def test_what_is_known_is_not_read_again(one: Store, endpoint: str, environment: str, tmp_path: Path) -> None:
    place = bucket_of(endpoint, environment)
    values = [one.put("value", bytes([n])) for n in range(100)]
    first = peer_in(place, "xxh3-128")
    first.take(LocalPeer(one.sync_parts()).give(values, first.missing), [])

    def asks() -> int:
        peer = peer_in(place, "xxh3-128", kept=tmp_path / "kept")
        before = peer.bucket.requests
        assert peer.missing(values) == []
        return peer.bucket.requests - before

    assert (asks(), asks()) == (2, 1)  # a list and an index, then the list alone
    for kept in (tmp_path / "kept").iterdir():
        kept.write_bytes(b"damaged")
    assert asks() == 2


# -- several at once --------------------------------------------------------------------------------------------------


def test_two_that_push_at_once_both_succeed(one: Store, two: Store, endpoint: str, environment: str) -> None:
    place = bucket_of(endpoint, environment)
    start = threading.Barrier(2)
    failed: list[BaseException] = []

    def pushes(store: Store) -> None:
        try:
            start.wait(30)
            for _ in range(5):
                run_once(store)
                push(store, peer_in(place, "xxh3-128"))
        except BaseException as error:  # noqa: BLE001 - told by the assertion
            failed.append(error)

    threads = [threading.Thread(target=pushes, args=(store,)) for store in (one, two)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    refs = peer_in(place, "xxh3-128").refs("executions/")
    assert refs == {chain(store): store.refs()[chain(store)] for store in (one, two)}


def test_two_that_move_one_ref_at_once_lose_neither(one: Store, endpoint: str, environment: str) -> None:
    place = bucket_of(endpoint, environment)
    first = run_once(one)
    record = ExecRecord.parse(one.get(first)[1])
    others = [record._replace(parent=first, argv=(str(n),)).payload() for n in range(4)]
    heads = [object_id(one.format, "exec", payload) for payload in others]
    base = peer_in(place, "xxh3-128")
    push(one, base)
    start = threading.Barrier(len(heads))
    ended: list[str] = []

    def moves(head: Digest, payload: bytes) -> None:
        peer = peer_in(place, "xxh3-128")
        start.wait(30)
        taken = peer.take([[Sent(head, "exec", payload)]], [Update(chain(one), first, head)])
        ended.append(dict(taken.refs)[chain(one)])

    threads = [threading.Thread(target=moves, args=pair) for pair in zip(heads, others, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    there = peer_in(place, "xxh3-128").refs("executions/")
    assert set(there.values()) == set(heads)
    assert sorted(there) == sorted(ended)


def test_of_two_that_make_the_store_at_once_one_has_made_it(endpoint: str, environment: str) -> None:
    place = bucket_of(endpoint, environment)
    start = threading.Barrier(4)
    ids: list[bytes] = []

    def makes() -> None:
        start.wait(30)
        ids.append(peer_in(place, "xxh3-128").hello.store_id)

    threads = [threading.Thread(target=makes) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 4
    assert len(set(ids)) == 1


# -- what breaks off --------------------------------------------------------------------------------------------------


def test_a_push_that_breaks_off_leaves_the_store_whole_and_goes_on_from_there(one: Store, two: Store) -> None:
    place = MemoryStore()
    payloads = [bytes([0xC6]) + (500_000).to_bytes(4, "big") + os.urandom(500_000) for _ in range(60)]
    values = [one.put("value", payload) for payload in payloads]
    pairs = list(zip(values, payloads, strict=True))

    def broken() -> Iterator[Sequence[Item]]:
        for digest, payload in pairs[:50]:
            yield [Sent(digest, "value", payload)]
        raise RemoteError("the connection broke off")

    with pytest.raises(RemoteError):
        peer_in(place, "xxh3-128").take(broken(), [Update("pins/x", None, values[0])])
    again = peer_in(place, "xxh3-128")
    assert again.refs("") == {}
    left = again.missing(values)
    assert 10 <= len(left) < 30
    taken = again.take(LocalPeer(one.sync_parts()).give(values, again.missing), [Update("pins/x", None, values[0])])
    assert taken.objects == len(left)
    LocalPeer(two.sync_parts()).take(peer_in(place, "xxh3-128").give(values, two.absent), [])
    assert two.absent(values) == []


def test_of_large_packs_only_what_is_wanted_is_read(one: Store, endpoint: str, environment: str) -> None:
    payloads = [bytes([0xC6]) + (100_000).to_bytes(4, "big") + os.urandom(100_000) for _ in range(100)]
    values = [one.put("value", payload) for payload in payloads]
    place = bucket_of(endpoint, environment)
    first = peer_in(place, "xxh3-128")
    first.take(LocalPeer(one.sync_parts()).give(values, first.missing), [])
    assert len(names(place, "packs")) == 4
    wanted = [values[3], values[50], values[97]]
    with Store.memory() as there:
        taken = LocalPeer(there.sync_parts()).take(peer_in(place, "xxh3-128").give(wanted, there.absent), [])
        assert taken.objects == 3
        assert [there.get(digest)[1] for digest in wanted] == [payloads[3], payloads[50], payloads[97]]


def test_a_pack_without_its_index_does_not_count(one: Store, two: Store) -> None:
    place = MemoryStore()
    head = run_once(one)
    push(one, peer_in(place, "xxh3-128"))
    for name in [*names(place, "packs"), *names(place, "refs")]:
        if not name.endswith(".pack"):
            obstore.delete(place, name)
    peer = peer_in(place, "xxh3-128")
    assert peer.missing([head]) == [head]
    assert push(one, peer).objects == 1
    LocalPeer(two.sync_parts()).take(peer_in(place, "xxh3-128").give([head], two.absent), [])
    assert two.absent([head]) == []


@contextmanager
def deaf(endpoint: str, unheard: Any) -> Iterator[tuple[str, list[bytes]]]:
    """A connection to a server that loses the answers to some requests: the server has done what was asked."""
    host, port = endpoint.removeprefix("http://").split(":")
    lost: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def passes_on(client: socket.socket) -> None:
        with client, socket.create_connection((host, int(port))) as server, client.makefile("rb") as asked:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                line = asked.readline()
                if not line:
                    return
                head += line if not line.lower().startswith(b"connection:") else b""
            size = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"), 0)
            server.sendall(head[:-2] + b"Connection: close\r\n\r\n" + asked.read(size))
            answer = b"".join(iter(lambda: server.recv(65536), b""))
            first = head.split(b"\r\n", 1)[0]
            if unheard(first, len(lost)):
                lost.append(first)
            else:
                client.sendall(answer)

    def listens() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=passes_on, args=(client,)).start()

    thread = threading.Thread(target=listens)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", lost
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


@pytest.mark.parametrize("what", [b"/redun", b".pack", b".index", b"/refs/"])
def test_a_reply_that_is_lost_neither_fails_a_push_nor_moves_a_ref_twice(
    one: Store, endpoint: str, environment: str, what: bytes
) -> None:
    head = run_once(one)
    with deaf(endpoint, lambda line, lost: line.startswith(b"PUT") and what in line and lost < 1) as (through, lost):
        taken = push(one, peer_in(bucket_of(through, environment), "xxh3-128"))
    assert len(lost) == 1
    assert dict(taken.refs) == {chain(one): chain(one)}
    assert peer_in(bucket_of(endpoint, environment), "xxh3-128").refs("") == {chain(one): head}


# -- what is not believed ---------------------------------------------------------------------------------------------


def pushed(store: Store) -> tuple[MemoryStore, Digest]:
    place = MemoryStore()
    head = run_once(store)
    push(store, peer_in(place, "xxh3-128"))
    return place, head


def fetched(store: Store, place: MemoryStore, head: Digest) -> None:
    peer = peer_in(place, "xxh3-128")
    LocalPeer(store.sync_parts()).take(peer.give([head], store.absent), [Update("pins/x", None, head)])


def test_every_byte_of_a_pack_that_is_changed_is_noticed(one: Store, two: Store) -> None:
    place, head = pushed(one)
    [pack] = [name for name in names(place) if name.endswith(".pack")]
    data = bytes(obstore.get(place, pack).bytes())
    for at in range(len(data)):
        obstore.put(place, pack, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(RemoteError):
            fetched(two, place, head)
    assert two.refs() == {}
    assert list(two.check(level=4)) == []
    obstore.put(place, pack, data)
    fetched(two, place, head)


def test_every_byte_of_an_index_that_is_changed_is_noticed(one: Store, two: Store) -> None:
    place, head = pushed(one)
    [index] = [name for name in names(place) if name.endswith(".index")]
    data = bytes(obstore.get(place, index).bytes())
    for at in range(len(data)):
        obstore.put(place, index, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(RemoteError):
            fetched(two, place, head)
    assert two.refs() == {}


def test_what_was_in_a_pack_that_is_gone_is_missed_by_who_fetches_and_can_be_sent_again(one: Store, two: Store) -> None:
    place, head = pushed(one)
    for name in names(place, "packs"):
        if name.endswith(".pack"):
            obstore.delete(place, name)
    with pytest.raises(RemoteError, match="in no pack"):
        fetched(two, place, head)
    assert push(one, peer_in(place, "xxh3-128")).objects == 1
    fetched(two, place, head)


def test_a_pack_that_is_cut_off_does_not_count(one: Store, two: Store) -> None:
    place, head = pushed(one)
    [pack] = [name for name in names(place) if name.endswith(".pack")]
    obstore.put(place, pack, bytes(obstore.get(place, pack).bytes())[:-1])
    with pytest.raises(RemoteError, match="in no pack"):
        fetched(two, place, head)


def test_a_ref_of_a_name_that_can_be_none_is_refused(one: Store) -> None:
    place, _ = pushed(one)
    obstore.put(place, "refs/a/.hidden", b"\x01")
    with pytest.raises(RemoteError, match="not a name for a ref"):
        peer_in(place, "xxh3-128").refs("")


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x93\x01\xc4\x01\x00\xc4\x00", b"\xc1", bytes(9_000)])
def test_a_ref_that_cannot_be_read_is_said_so(one: Store, data: bytes) -> None:
    place, _ = pushed(one)
    obstore.put(place, f"refs/{chain(one)}", data)
    with pytest.raises(RemoteError):
        peer_in(place, "xxh3-128").refs("")


@pytest.mark.parametrize("data", [b"", b"\x01", b"hello", b"\x94\x01\x02\x03\x04", bytes(9_000)])
def test_a_place_of_somebody_else_is_left_alone(data: bytes) -> None:
    place = MemoryStore()
    obstore.put(place, "redun", data)
    with pytest.raises(RemoteError):
        peer_in(place, "xxh3-128")
    assert names(place) == ["redun"]


def test_a_bucket_is_as_the_document_says(one: Store) -> None:
    place, head = pushed(one)

    def read(name: str) -> bytes:
        return bytes(obstore.get(place, name).bytes())

    word, version, fmt, store_id = msgpack.unpackb(read("redun"))
    assert (word, version, fmt, len(store_id)) == ("redun object storage", 1, "xxh3-128", 16)
    version, at, number = msgpack.unpackb(read(f"refs/{chain(one)}"))
    assert (version, at, len(number)) == (1, head, 16)
    index, pack = names(place, "packs")
    data, magic = read(index), b"\x89redun index\r\n\x1a\n"
    assert data.startswith(magic)
    assert hashlib.sha256(data[:-32]).digest() == data[-32:]
    version, fmt, name, size, executions, kinds, ids, kind_of, offsets, sizes = msgpack.unpackb(data[len(magic) : -32])
    assert (version, fmt, pack, index) == (1, "xxh3-128", f"packs/{name.hex()}.pack", f"packs/{name.hex()}.index")
    assert executions == [[head, None, 0]]
    assert (ids, [kinds[one] for one in kind_of]) == (head, ["exec"])
    whole = read(pack)
    assert len(whole) == size
    assert hashlib.sha256(whole[:-32]).digest() == whole[-32:] == name
    assert whole[offsets[0] : offsets[0] + sizes[0]] == one.get(head)[1]


# -- what cannot be reached -------------------------------------------------------------------------------------------


def test_a_bucket_that_does_not_exist_is_said_so(one: Store, environment: str) -> None:
    run_once(one)
    for act in (one.sync.push, one.sync.fetch):
        with pytest.raises(RemoteError, match="there is no such bucket"):
            act("s3://nowhere/x")


def test_a_server_that_is_not_there_is_said_so_soon(
    one: Store, environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    start = time.monotonic()
    with pytest.raises(RemoteError, match=r"http://127.0.0.1:1 cannot be reached"):
        one.sync.fetch(environment)
    assert time.monotonic() - start < 30


def test_a_server_that_never_answers_is_given_up(one: Store, environment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{listening.getsockname()[1]}")
        monkeypatch.setattr(bucket, "_ANSWER_S", 0.2)
        with pytest.raises(RemoteError, match="the server does not answer"):
            one.sync.fetch(environment)


def test_wrong_credentials_are_said_to_be_wrong(one: Store, environment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_server() as server:
        endpoint = server.settings["s3"]["endpoint_url"]
        plain = {"Content-Type": "text/plain"}
        urllib.request.urlopen(urllib.request.Request(f"{endpoint}/moto-api/reset-auth", b"0", plain)).close()
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with pytest.raises(RemoteError, match="the access key is not known there"):
            one.sync.fetch(environment)


def test_credentials_in_a_url_are_refused_and_not_repeated(one: Store) -> None:
    with pytest.raises(StoreError) as caught:
        one.sync.add_remote("origin", "s3://ada:opensesame@data/x")
    assert "opensesame" not in str(caught.value)
    for url in ("s3://data/x?secret=y", "s3://data/../x", "s3:///x", "s3://data//x"):
        with pytest.raises(StoreError):
            one.sync.add_remote("origin", url)
