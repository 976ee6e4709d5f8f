"""Bundles: what goes into a file, what comes out of it, and what happens to files that are not whole or that lie."""

from __future__ import annotations

import io
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from redun.core.codec import Pointer, pack
from redun.core.digest import Digest, ObjectFormat
from redun.core.errors import NotAStore, RedunError, RemoteError, StoreDamaged, StoreError, StoreFormatError
from redun.core.objects import ExecRecord
from redun.store import Store, packs
from redun.store.checksums import with_checksum
from redun.store.gc.collect import GcOptions
from redun.store.sync.bundle_reading import BundleReader
from redun.store.sync.bundles import contents, verify
from tests.store.moves import LARGE, fill, key_of, run


def bundle(store: Store, *names: Digest, since: tuple[Digest, ...] = ()) -> bytes:
    stream = io.BytesIO()
    store.sync.create_bundle(stream, store.sync.bundle_names(names) if names else None, since=since)
    return stream.getvalue()


def unbundle(store: Store, data: bytes, **options: str) -> int:
    """Returns how many entries the cache got."""
    return store.sync.unbundle(io.BytesIO(data), **options).claims  # type: ignore[arg-type]


def sound(store: Store) -> bool:
    return list(store.check(level=4)) == []


def history(store: Store) -> list[Digest]:
    return [digest for digest, _ in store.executions()]


@pytest.fixture
def other(fmt: ObjectFormat) -> Store:
    """A store that takes in."""
    return Store.memory(fmt.name)


@pytest.fixture(scope="module")
def small() -> bytes:
    """A bundle of a few objects."""
    with Store.memory() as store:
        run(store, 1)
        return bundle(store)


# -- what goes over ---------------------------------------------------------------------------------------------------


def test_a_history_comes_out_as_it_went_in(store: Store, other: Store) -> None:
    fill(store, prune=False)
    unbundle(other, bundle(store))
    assert history(other) == history(store)
    assert sound(other)


def test_of_a_history_that_was_pruned_the_rest_goes_and_says_so(store: Store, other: Store) -> None:
    fill(store)
    data = bundle(store)
    assert store.sync.verify_bundle(io.BytesIO(data)).objects > 0
    unbundle(other, data)
    assert history(other) == history(store)
    assert sound(other)


def test_what_is_new_since_an_execution_builds_on_that(store: Store, other: Store) -> None:
    first = run(store, 1)
    begin = bundle(store)
    second = run(store, 2)
    rest = bundle(store, since=(first,))
    assert len(rest) < len(bundle(store))
    with pytest.raises(RemoteError, match=first.hex()):
        unbundle(other, rest)
    assert (other.refs(), list(other.objects())) == ({}, [])
    unbundle(other, begin)
    unbundle(other, rest)
    assert history(other) == [second, first]
    assert sound(other)


def test_of_executions_on_one_chain_the_newest_has_the_others_with_it(store: Store, other: Store) -> None:
    first, second, _ = (run(store, number) for number in range(3))
    unbundle(other, bundle(store, first, second))
    assert history(other) == [second, first]
    assert sound(other)


def test_what_is_no_execution_goes_as_a_pin(store: Store, other: Store) -> None:
    value = store.put_value(["kept", "x" * 100_000])
    blob = store.put_blob([LARGE], len(LARGE))
    unbundle(other, bundle(store, value, blob))
    assert other.pins() == {value.hex(): value, blob.hex(): blob}
    assert other.get_value(value) == ["kept", "x" * 100_000]
    assert bytes(other.open_blob(blob)) == LARGE
    other.collect_garbage(GcOptions())
    assert other.has(blob)


def test_taking_it_in_twice_moves_nothing(store: Store, other: Store) -> None:
    fill(store)
    data = bundle(store)
    unbundle(other, data)
    moved = other.sync.unbundle(io.BytesIO(data))
    assert (moved.objects, moved.executions) == (0, ())


def test_it_may_come_back_to_the_store_that_it_was_made_from(store: Store) -> None:
    fill(store)
    before = history(store)
    moved = store.sync.unbundle(io.BytesIO(bundle(store)))
    assert (moved.objects, history(store)) == (0, before)
    assert sound(store)


def test_a_history_that_has_gone_another_way_is_kept_beside(store: Store, other: Store) -> None:
    first = run(store, 1)
    unbundle(other, bundle(store))
    name = f"executions/{store.id.hex()}"
    record = ExecRecord.parse(other.get(first)[1])._replace(parent=first, argv=("other",))
    aside = other.put("exec", record.payload())
    other.set_ref(name, aside, expected=first, reason="test")
    second = run(store, 2)
    moved = other.sync.unbundle(io.BytesIO(bundle(store)))
    assert moved.aside == (f"{name}-{second.hex()[:8]}",)
    assert set(history(other)) == {first, second, aside}


def test_results_are_believed_where_it_is_trusted_also_afterwards(store: Store, other: Store) -> None:
    run(store, 1)
    data = bundle(store)
    assert unbundle(other, data) == 0
    assert other.lookup({}, [key_of(other, 1)]) == [None]
    assert unbundle(other, data, trust="cache") == 1
    assert other.lookup({}, [key_of(other, 1)]) != [None]
    assert sound(other)


def test_it_serves_as_a_remote_that_is_read(tmp_path: Path) -> None:
    with Store.init(tmp_path / "one") as one, Store.init(tmp_path / "two") as two:
        path = tmp_path / "h.bundle"
        run(one, 1)
        one.sync.create_bundle(path)
        two.sync.add_remote("file", str(path), trust="cache")
        assert two.sync.fetch("file", dry_run=True).objects == 1
        assert two.sync.pull("file").claims == 1
        assert two.sync.pull("file").objects == 0
        assert history(two) == history(one)
        run(two, 2)
        with pytest.raises(RemoteError, match="takes nothing"):
            two.sync.push("file")
        with pytest.raises(RemoteError, match="takes nothing"):
            two.sync.push("file", dry_run=True)
        assert sound(two)


def test_it_says_what_is_in_it_before_it_is_read(store: Store) -> None:
    first = run(store, 1)
    second = run(store, 2)
    data = bundle(store, since=(first,))
    said = contents(BundleReader(io.BytesIO(data), "b"))
    assert said[:2] == (store.format.name, store.id)
    assert (said.refs, said.needs) == ({f"executions/{store.id.hex()}": second}, (first,))


def test_of_what_it_builds_on_a_verification_says_what_is_missing(store: Store, other: Store) -> None:
    first = run(store, 1)
    run(store, 2)
    data = bundle(store, since=(first,))
    assert store.sync.verify_bundle(io.BytesIO(data)).missing == ()
    assert other.sync.verify_bundle(io.BytesIO(data)).missing == (first,)
    assert verify(BundleReader(io.BytesIO(data), "b"), None).missing is None
    assert list(other.objects()) == []


# -- what cannot be made ----------------------------------------------------------------------------------------------


def test_nothing_is_no_bundle(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "h.bundle"
    with pytest.raises(StoreError, match="no history"):
        store.sync.create_bundle(path)
    head = run(store, 1)
    with pytest.raises(StoreError, match="nothing new"):
        store.sync.create_bundle(path, since=(head,))
    with pytest.raises(StoreError, match="no name in a bundle"):
        store.sync.create_bundle(path, {"tags/x": head})
    assert not path.exists()


def test_a_file_that_is_there_stays(store: Store, tmp_path: Path) -> None:
    run(store, 1)
    (tmp_path / "b").write_text("mine")
    with pytest.raises(StoreError, match="is there already"):
        store.sync.create_bundle(tmp_path / "b")
    assert (tmp_path / "b").read_text() == "mine"


def test_one_of_another_object_format_is_refused_with_the_command_that_converts() -> None:
    with Store.memory("sha256") as one, Store.memory("xxh3-128") as two:
        run(one, 1)
        with pytest.raises(RemoteError) as caught:
            unbundle(two, bundle(one))
        assert "redun convert --to" in caught.value.hint


def test_what_is_no_bundle_is_said_to_be_something_else(tmp_path: Path, other: Store) -> None:
    with Store.memory() as store:
        run(store, 1)
        store.backup(tmp_path / "backup")
    with pytest.raises(StoreFormatError) as caught:
        other.sync.unbundle(tmp_path / "backup")
    assert "redun restore" in caught.value.hint
    (tmp_path / "text").write_text("some words")
    with pytest.raises(StoreFormatError, match="no bundle"):
        other.sync.unbundle(tmp_path / "text")
    for name in (tmp_path / "missing", tmp_path):
        with pytest.raises(StoreError, match="cannot read"):
            other.sync.unbundle(name)
    with pytest.raises(NotAStore):
        other.sync.fetch(str(tmp_path / "text"))


# -- those that are not whole -----------------------------------------------------------------------------------------


def refused(data: bytes, store: Store | None = None) -> RedunError:
    """Returns why a bundle is refused; a store that is given it shows nothing of it and stays sound."""
    with store or Store.memory() as store:
        with pytest.raises((StoreError, RemoteError)) as caught:
            unbundle(store, data)
        assert store.refs() == {}
        assert sound(store)
    with pytest.raises((StoreError, RemoteError)):
        verify(BundleReader(io.BytesIO(data), "b"), None)
    return caught.value


def test_one_that_was_cut_off_anywhere_is_refused(small: bytes) -> None:
    for size in range(len(small)):
        refused(small[:size])


def test_one_with_any_byte_changed_is_refused(small: bytes) -> None:
    chance = random.Random(3)
    for place in range(len(small)):
        changed = bytearray(small)
        changed[place] ^= chance.randrange(1, 256)
        refused(bytes(changed))


def test_one_with_parts_exchanged_left_out_or_repeated_is_refused(small: bytes) -> None:
    chance = random.Random(4)
    for _ in range(100):
        first, second, third = sorted(chance.sample(range(len(small)), 3))
        exchanged = small[:first] + small[second:third] + small[first:second] + small[third:]
        for data in (exchanged, small[:first] + small[second:], small[:second] + small[first:]):
            if data != small:
                refused(data)


def test_a_large_one_that_was_damaged_leaves_a_sound_store_without_files_in_the_making(tmp_path: Path) -> None:
    with Store.memory() as one:
        run(one, 1, result=["x" * 3_000_000])
        data = bundle(one)
    chance = random.Random(5)
    with Store.init(tmp_path / "s") as store:
        for place in chance.sample(range(len(data)), 12):
            changed = bytearray(data)
            changed[place] ^= 1 << chance.randrange(8)
            for damaged in (bytes(changed), data[:place]):
                with pytest.raises((StoreError, RemoteError)):
                    unbundle(store, damaged)
        assert store.refs() == {}
        assert sound(store)
        assert list((tmp_path / "s" / "incoming").glob("*")) == []
        unbundle(store, data)
        assert len(history(store)) == 1
        assert sound(store)


# -- those that lie ---------------------------------------------------------------------------------------------------

_NOWHERE = Digest(bytes(16))
_LARGE = 1_000_000


def lying(write: Callable[[packs.Writer], object], *, purpose: str = "bundle", needs: tuple[Digest, ...] = ()) -> bytes:
    """Returns a pack whose own hash fits."""
    stream = io.BytesIO()
    writer = packs.Writer(stream, packs.Header(Store.memory().format, purpose, bytes(16), 0, needs))
    write(writer)
    writer.end()
    return stream.getvalue()


def put(kind: str, payload: bytes) -> Digest:
    with Store.memory() as store:
        return store.put(kind, payload)


def ref(name: str, at: Digest = _NOWHERE) -> packs.Row:
    return packs.Row("refs", name.encode(), with_checksum(name.encode(), at))


def test_what_it_says_is_not_believed() -> None:
    value = pack(1)
    points = pack(Pointer(put("value", value)))
    cases: dict[str, Callable[[packs.Writer], object]] = {
        "do not fit its id": lambda w: w.object(_NOWHERE, "value", value),
        "which it did not send": lambda w: w.object(put("value", points), "value", points),
        "not canonical": lambda w: w.object(put("value", b"\xcd\x00\x01"), "value", b"\xcd\x00\x01"),
        "fields": lambda w: w.object(put("call", pack([1])), "call", pack([1])),
        "no kind of object": lambda w: w.object(_NOWHERE, "nothing", value),
        "nothing for a bundle": lambda w: w.row(packs.Row("memo", b"k", b"v")),
        "is damaged": lambda w: w.row(packs.Row("refs", b"executions/x", b"value")),
        "not a name for a ref": lambda w: w.row(ref("executions/../../x")),
        "cannot be in a bundle": lambda w: w.row(ref("remotes/origin/executions/x")),
        "a row of shallow": lambda w: w.row(packs.Row("shallow", bytes(16), b"\x09")),
        "did not send": lambda w: w.row(ref("executions/x")),
        "after the first object": lambda w: (w.object(put("value", value), "value", value), w.row(ref("pins/x"))),
        "only point to an execution": lambda w: (
            w.row(ref("executions/x", put("value", value))),
            w.object(put("value", value), "value", value),
        ),
    }
    for words, write in cases.items():
        data = lying(write)
        with Store.memory() as store:
            with pytest.raises((StoreError, RemoteError)) as caught:
                unbundle(store, data)
            assert words in str(caught.value), words
            assert store.refs() == {}
            assert sound(store)


def test_objects_before_what_they_point_to_leave_no_gap_and_are_no_sound_bundle() -> None:
    inner, outer = pack(1), pack(Pointer(put("value", pack(1))))

    def write(writer: packs.Writer) -> None:
        writer.row(ref("pins/x", put("value", outer)))
        writer.object(put("value", outer), "value", outer)
        for number in range(22):  # so much that it is not all taken in at once
            data = bytes([number]) * _LARGE
            writer.object(put("blob", data), "blob", data)
        writer.object(put("value", inner), "value", inner)

    assert "did not send" in refused(lying(write)).message


def test_verification_refuses_what_taking_in_would_not_mind() -> None:
    value = pack(1)

    def twice(writer: packs.Writer) -> None:
        for _ in range(2):
            writer.object(put("value", value), "value", value)

    for write, words in ((twice, "twice"), (lambda w: w.row(ref("pins/x")), "leads to what is not in it")):
        with pytest.raises(StoreDamaged, match=words):
            verify(BundleReader(io.BytesIO(lying(write)), "b"), None)


def test_one_for_a_purpose_that_nobody_knows_is_refused() -> None:
    assert "no bundle" in refused(lying(lambda w: None, purpose="x")).message


def test_a_size_that_is_a_lie_takes_no_memory_and_leaves_no_file(tmp_path: Path) -> None:
    program = """
import io, re, sys
from pathlib import Path
from redun.core.errors import RedunError
from redun.store import Store, packs
from redun.store.sync.bundle_reading import BundleReader
from redun.store.sync.bundles import verify
stream = io.BytesIO()
packs.Writer(stream, packs.Header(Store.memory().format, "bundle", bytes(16), 0))
begin = stream.getvalue()
store = Store.init(sys.argv[1])
for kind in (b"blob", b"value", b"exec"):
    for size in (2**62, 2**39, 2**26):
        front = b"o" + bytes(16) + bytes([len(kind)]) + kind + b"\\0" + size.to_bytes(8, "big")
        data = begin + front + bytes(3_000_000)
        for use in (store.sync.unbundle, lambda s: verify(BundleReader(s, "b"), None)):
            try:
                use(io.BytesIO(data))
            except RedunError:
                continue
            sys.exit("taken")
row = begin + b"r\\x04refs"
for lie in (row + b"\\xff\\xff", row + b"\\0\\1x\\xff\\xff\\xff\\xff", begin[:15] + b"\\1\\xff\\xff\\xff\\xff"):
    try:
        store.sync.unbundle(io.BytesIO(lie))
    except RedunError:
        continue
    sys.exit("taken")
assert not list(Path(sys.argv[1]).glob("incoming/*"))
assert not list(store.check(level=4))
print(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
"""
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "s"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) < 100_000  # KiB
