"""Crafted xxh3-128 collisions at a store: always noticed, never written, both byte strings kept."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from redun.core import limits
from redun.core.codec import pack
from redun.core.digest import SHA256, XXH3_128, Digest, Key
from redun.core.errors import DigestCollision
from redun.core.frame import frame, object_id
from redun.core.keys import call_key
from redun.store import Batch, Store
from redun.store.blobs import BlobArea, FileBlobs, MemoryBlobs
from tests.store.collisions import blobs, value_of_id, values, values_of_one_key

Item = tuple[str, bytes]
FILE_SIZE = limits.INLINE_BYTES + 100


def _values(size: int) -> tuple[Item, Item]:
    one, two = values(size)
    return ("value", pack(one)), ("value", pack(two))


def _blobs(size: int) -> tuple[Item, Item]:
    one, two = blobs(size)
    return ("blob", one), ("blob", two)


#: One pair of each way in which xxh3-128 reads a message, and one whose payloads lie in files.
PAIRS = {
    "a frame of 32 bytes": _values(21),
    "a frame of up to 128 bytes": _values(53),
    "a frame of up to 240 bytes": _values(200),
    "a frame above": _values(300),
    "many blocks": _values(70_000),
    "files": _blobs(FILE_SIZE),
}
pairs = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)


@pytest.fixture(params=["memory", "lmdb"])
def weak(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store of the format that does not withstand malice."""
    with Store.memory("xxh3-128") if request.param == "memory" else Store.init(tmp_path / "s") as made:
        yield made


def kept(store: Store) -> list[set[bytes]]:
    """The byte strings kept of each collision."""
    if store.path is None:
        area = store._objects._blobs
        assert isinstance(area, MemoryBlobs)
        return [{stored, offered} for _, stored, offered in area.collisions]
    return [{file.read_bytes() for file in found.iterdir()} for found in (store.path / "collisions").iterdir()]


@pytest.mark.parametrize("size", [21, 37, 52, 53, 69, 85, 86, 116, 117, 228, 244, 300, 1100, 5000, 66_000])
def test_two_values_of_one_id_are_made_for_every_way_of_hashing(size: int) -> None:
    one, two = values(size)
    assert one != two
    assert len(one) == len(two) == size
    assert object_id(XXH3_128, "value", pack(one)) == object_id(XXH3_128, "value", pack(two))
    assert object_id(SHA256, "value", pack(one)) != object_id(SHA256, "value", pack(two))


def test_each_free_word_gives_another_pair() -> None:
    made = [values(53, free) for free in range(50)]
    assert len({message for both in made for message in both}) == 100
    assert all(len({object_id(XXH3_128, "value", pack(value)) for value in both}) == 1 for both in made)


def test_a_pair_written_down_still_collides() -> None:
    one = bytes.fromhex("00070e151cded46de9839097db0000000000010000")
    two = bytes.fromhex("00070e151c6c94c944ccdd2fbc7240a4a4b7b3671f")
    ids = {object_id(XXH3_128, "value", pack(value)).hex() for value in (one, two)}
    assert ids == {"3197eb9e2aa784f79624d1308f319337"}


def test_a_value_is_made_for_an_id_that_somebody_else_chose() -> None:
    targets = [object_id(XXH3_128, "value", pack(number)) for number in range(40)]
    made = [(target, value_of_id(target)) for target in targets]
    found = [(target, value) for target, value in made if value is not None]
    assert len(found) >= 4
    assert all(object_id(XXH3_128, "value", pack(value)) == target for target, value in found)


def test_two_arguments_of_different_ids_give_one_key() -> None:
    ids = [object_id(XXH3_128, "value", pack(value)) for value in values_of_one_key()]
    task, first = Digest(b"t" * 16), Digest(b"a" * 16)
    assert ids[0] != ids[1]
    assert len({call_key(XXH3_128, task, [first, digest]) for digest in ids}) == 1


# -- puts -------------------------------------------------------------------------------------------------------------


@pairs
def test_the_second_of_a_pair_is_refused_and_both_are_kept(weak: Store, pair: tuple[Item, Item]) -> None:
    digest = weak.put(*pair[0])
    with pytest.raises(DigestCollision, match=digest.hex()) as caught:
        weak.put(*pair[1])
    assert weak.get(digest) == pair[0]
    assert kept(weak) == [{frame(*pair[0]), frame(*pair[1])}]
    assert "sha256" in caught.value.hint
    assert caught.value.path in str(caught.value)
    if weak.path is not None:
        assert (Path(caught.value.path) / "stored").read_bytes() == frame(*pair[0])


@pairs
def test_both_of_a_pair_in_one_call_are_refused(weak: Store, pair: tuple[Item, Item]) -> None:
    innocent = ("value", pack("innocent"))
    with pytest.raises(DigestCollision):
        weak.put_many([innocent, *pair])
    assert weak.resolve("") == []
    assert kept(weak) == [{frame(*pair[0]), frame(*pair[1])}]


def test_the_same_object_twice_in_one_call_is_no_collision(weak: Store) -> None:
    item = PAIRS["files"][0]
    assert len(set(weak.put_many([item, (item[0], bytes(bytearray(item[1])))]))) == 1


@pairs
def test_a_batch_with_the_second_of_a_pair_is_refused_whole(weak: Store, pair: tuple[Item, Item]) -> None:
    digest = weak.put(*pair[0])
    innocent = object_id(weak.format, "value", pack("innocent"))
    with pytest.raises(DigestCollision):
        weak.commit(Batch({innocent: ("value", pack("innocent")), digest: pair[1]}))
    assert not weak.has(innocent)
    assert weak.get(digest) == pair[0]


def in_a_transaction(store: Store, *batches: Sequence[Item]) -> None:
    with store.transaction() as transaction:
        for items in batches:
            transaction.put_many(items)


@pairs
@pytest.mark.parametrize("at_once", [True, False])
def test_a_transaction_with_both_of_a_pair_writes_nothing(
    weak: Store, pair: tuple[Item, Item], *, at_once: bool
) -> None:
    batches = [pair] if at_once else [[pair[0]], [pair[1]]]
    with pytest.raises(DigestCollision):
        in_a_transaction(weak, [("value", pack("innocent"))], *batches)
    assert weak.resolve("") == []
    assert kept(weak) == [{frame(*pair[0]), frame(*pair[1])}]


@pairs
def test_a_transaction_with_the_second_of_a_pair_writes_nothing(weak: Store, pair: tuple[Item, Item]) -> None:
    digest = weak.put(*pair[0])
    with pytest.raises(DigestCollision):
        in_a_transaction(weak, [("value", pack("innocent"))], [pair[1]])
    assert weak.resolve("") == [(pair[0][0], digest)]
    assert weak.get(digest) == pair[0]


@pytest.mark.parametrize("pair", [values(53), values(300), blobs(FILE_SIZE)], ids=["small", "larger", "file"])
def test_python_values_that_collide_are_refused(weak: Store, pair: tuple[bytes, bytes]) -> None:
    digest = weak.put_value(pair[0])
    with pytest.raises(DigestCollision):
        weak.put_value(pair[1])
    with pytest.raises(DigestCollision), weak.transaction() as transaction:
        transaction.put_value(pair[1])
    assert weak.get_value(digest) == pair[0]


@pytest.mark.parametrize("size", [300, 1000, FILE_SIZE])
def test_streams_that_collide_inside_a_transaction_are_refused(weak: Store, size: int) -> None:
    one, two = blobs(size)

    def put() -> None:
        with weak.transaction() as transaction:
            transaction.put_blob([one], size)
            transaction.put_blob([two], size)

    with pytest.raises(DigestCollision):
        put()
    assert weak.resolve("") == []
    assert kept(weak) == [{frame("blob", one), frame("blob", two)}]


def test_values_of_one_batch_that_collide_are_refused_and_kept(weak: Store) -> None:
    one, two = values(70_000)  # each an object of its own inside the list
    with pytest.raises(DigestCollision):
        weak.put_value([one, two])
    assert kept(weak) == [{frame("value", pack(one)), frame("value", pack(two))}]


@pairs
def test_a_lookup_with_the_second_of_a_pair_is_refused(weak: Store, pair: tuple[Item, Item]) -> None:
    digest = weak.put(*pair[0])
    assert weak.lookup({digest: pair[0]}, []) == []
    with pytest.raises(DigestCollision):
        weak.lookup({digest: pair[1]}, [Key(digest)])
    assert kept(weak) == [{frame(*pair[0]), frame(*pair[1])}]


@pytest.mark.parametrize(
    "write",
    [
        lambda store, digest, data: store.put_blob([data], len(data)),
        lambda store, digest, data: store.put_blob(iter([data[:9], memoryview(data)[9:]]), len(data)),
        lambda store, digest, data: store.write_blob(digest, data),
        lambda store, digest, data: store.write_blob(digest, memoryview(data)),
    ],
)
def test_a_large_blob_is_compared_however_it_comes(
    weak: Store, write: Callable[[Store, Digest, bytes], object]
) -> None:
    one, two = blobs(FILE_SIZE)
    digest = weak.put_blob([one], len(one))
    write(weak, digest, one)
    with pytest.raises(DigestCollision):
        write(weak, digest, two)
    assert bytes(weak.open_blob(digest)) == one
    assert kept(weak) == [{frame("blob", one), frame("blob", two)}]


def test_two_writers_of_one_name_do_not_overwrite_each_other(weak: Store) -> None:
    area: BlobArea = weak._objects._blobs
    first, second = area.stage(), area.stage()
    first.write(b"first")
    second.write(b"second")
    assert first.keep(b"\1" * 16)
    assert not second.keep(b"\1" * 16)
    second.discard()
    assert bytes(area.open(b"\1" * 16) or b"") == b"first"


@pairs
def test_a_sha256_store_takes_both_as_two_objects(tmp_path: Path, pair: tuple[Item, Item]) -> None:
    with Store.init(tmp_path, object_format="sha256") as strong:
        both = strong.put_many(pair)
        assert strong.get_many(both) == list(pair)
        assert strong.put_many(pair) == both
        assert kept(strong) == []
        assert len(strong.resolve("")) == 2


PUT = """
import sys
from redun.core.errors import DigestCollision
from redun.store import Store

with Store.open(sys.argv[1]) as store:
    try:
        store.put(sys.argv[2], sys.stdin.buffer.read())
    except DigestCollision as error:
        sys.exit(str(error))
"""


@pytest.mark.parametrize("name", ["a frame of 32 bytes", "files"])
def test_another_process_is_refused_too(tmp_path: Path, name: str) -> None:
    pair = PAIRS[name]
    with Store.init(tmp_path) as store:
        digest = store.put(*pair[0])
        for kind, payload in (pair[0], pair[1]):
            child = subprocess.run(
                [sys.executable, "-c", PUT, str(tmp_path), kind], input=payload, capture_output=True, check=False
            )
            assert (child.returncode == 0) == (payload == pair[0][1]), child.stderr
        assert digest.hex() in child.stderr.decode()
        assert store.get(digest) == pair[0]
        assert kept(store) == [{frame(*pair[0]), frame(*pair[1])}]


RACE = """
import sys
from redun.core.errors import DigestCollision
from redun.store import Store
from tests.store.collisions import blobs

size, rounds, mine = map(int, sys.argv[2:5])
with Store.open(sys.argv[1]) as store:
    for number in range(rounds):
        data = blobs(size + number)[mine]
        print("ready", flush=True)
        sys.stdin.readline()
        try:
            store.put("blob", data)
            print("put", flush=True)
        except DigestCollision:
            print("refused", flush=True)
"""


def race(path: Path, size: int, rounds: int) -> None:
    """Two processes put the two of a pair at once, many times: one of them is refused, and the other's is there."""
    command = [sys.executable, "-c", RACE, str(path), str(size), str(rounds)]
    root = Path(__file__).resolve().parents[2]
    rivals = [
        subprocess.Popen([*command, str(mine)], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for mine in (0, 1)
    ]
    pipes = [(rival.stdin, rival.stdout) for rival in rivals]
    with Store.open(path) as store:
        for number in range(rounds):
            assert [output.readline() for _, output in pipes if output] == ["ready\n"] * 2
            for start, _ in pipes:
                assert start is not None
                start.write("\n")
                start.flush()
            answers = [output.readline() for _, output in pipes if output]
            assert sorted(answers) == ["put\n", "refused\n"]
            winner = blobs(size + number)[answers.index("put\n")]
            assert bytes(store.open_blob(object_id(store.format, "blob", winner))) == winner
    for rival in rivals:
        rival.communicate()
    assert [rival.returncode for rival in rivals] == [0, 0]


@pytest.mark.parametrize("size", [300, FILE_SIZE])
def test_of_two_processes_at_once_one_is_refused(tmp_path: Path, size: int) -> None:
    Store.init(tmp_path).close()
    race(tmp_path, size, 8)


def test_a_file_that_is_damaged_is_replaced_and_no_collision(tmp_path: Path) -> None:
    kind, payload = PAIRS["files"][0]
    with Store.init(tmp_path) as store:
        digest = store.put(kind, payload)
        path = FileBlobs(tmp_path).path_of(digest)
        path.chmod(0o644)
        path.write_bytes(payload[:-1] + b"!")
        assert store.put(kind, payload) == digest
        assert bytes(store.open_blob(digest)) == payload
        assert kept(store) == []


def test_a_collision_that_cannot_be_kept_is_one_all_the_same(tmp_path: Path) -> None:
    pair = PAIRS["a frame of 32 bytes"]
    with Store.init(tmp_path) as store:
        digest = store.put(*pair[0])
        (tmp_path / "collisions").rmdir()
        (tmp_path / "collisions").write_text("in the way")
        with pytest.raises(DigestCollision, match="could not be kept"):
            store.put(*pair[1])
        assert store.get(digest) == pair[0]
