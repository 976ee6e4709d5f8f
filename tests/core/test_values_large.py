"""Large values: leaves become blobs, large children objects of their own, large containers trees of segments."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Any

import numpy as np
import pytest

from redun.core import limits
from redun.core.codec import references
from redun.core.decoding import Decoder
from redun.core.digest import DEFAULT_FORMAT, OBJECT_FORMATS, Digest
from redun.core.errors import MalformedObject, NotFound
from redun.core.objects import TreeRecord, check
from redun.core.values import Encoder
from tests.core.sample_values import MyList, NamedPair, Pair, Point, alike, fetcher

KIB, MIB = 1024, 1024 * 1024
LEAF, CHILD, CONTAINER = limits.LEAF_BYTES, limits.CHILD_BYTES, limits.CONTAINER_BYTES
MANY = limits.SEGMENT_ITEMS * 3 + 1

LARGE: dict[str, Any] = {
    "text at the limit": "a" * LEAF,
    "text over the limit": "a" * (LEAF + 1),
    "text whose bytes are over the limit": "é" * (LEAF // 2 + 1),
    "text with a surrogate over the limit": "\ud800" + "a" * LEAF,
    "text with a surrogate below it": "\ud800" + "a" * (LEAF // 2),
    "bytes over the limit": b"a" * (LEAF + 1),
    "bytearray over the limit": bytearray(LEAF + 1),
    "large leaves in a list": ["a" * (2 * MIB), b"b" * (2 * MIB), bytearray(2 * MIB)],
    "large leaf as key": {"a" * (2 * MIB): 1, ("b" * (2 * MIB),): 2},
    "middle leaves in a tuple": ("a" * 100 * KIB, b"b" * 100 * KIB),
    "large child in a list": [list(range(50_000)), 1],
    "large child in a set": {tuple(range(50_000)), 1},
    "large child in a named tuple": Pair(list(range(50_000)), 1),
    "large child in a named tuple subclass": NamedPair(list(range(50_000)), 1),
    "large child in a dataclass": Point(1, list(range(50_000))),
    "large child in an OrderedDict": OrderedDict(a=list(range(50_000))),
    "large key": {tuple(range(50_000)): 1},
    "list": list(range(400_000)),
    "list of text": [f"item {i}" for i in range(200_000)],
    "tuple": tuple(range(400_000)),
    "dict": {i: str(i) for i in range(100_000)},
    "set": set(range(400_000)),
    "frozenset": frozenset(range(400_000)),
    "deque": deque(range(400_000)),
    "list subclass": MyList(range(400_000)),
    "dataclass with a long list": Point(1, list(range(400_000))),
    "list of lists": [list(range(i, i + 1000)) for i in range(300)],
    "segments halved": ["a" * 60 * KIB for _ in range(100)],
    "many floats": [i / 7 for i in range(200_000)],
    "large number": 1 << (8 * 70 * KIB),
    "array": np.arange(400_000),
    "array in a dict": {"a": np.arange(400_000), "b": np.zeros((1000, 300))},
    "array of another order": np.asfortranarray(np.arange(400_000).reshape(1000, 400)),
    "array with gaps": np.arange(800_000)[::2],
    "big-endian array": np.arange(400_000, dtype=">i8"),
}


def _encoded(value: Any, fmt: Any = DEFAULT_FORMAT) -> tuple[Encoder, Digest]:
    encoder = Encoder(fmt)
    return encoder, encoder.value(value)


def _decoded(encoder: Encoder, digest: Digest) -> Any:
    return Decoder(fetcher(encoder)).decode(encoder.objects[digest][1])


@pytest.mark.parametrize("name", LARGE)
def test_large_values_decode_to_what_they_were(name: str):
    value = LARGE[name]
    decoded = _decoded(*_encoded(value))
    if isinstance(value, np.ndarray):
        assert np.array_equal(decoded, value)
        assert decoded.dtype == value.dtype.newbyteorder("<")
    elif name == "array in a dict":
        assert all(np.array_equal(decoded[key], value[key]) for key in value)
    else:
        assert type(decoded) is type(value)
        assert decoded == value


@pytest.mark.parametrize("name", LARGE)
def test_every_object_of_a_large_value_keeps_to_the_limits_and_is_canonical(name: str):
    encoder, root = _encoded(LARGE[name])
    for kind, payload in encoder.objects.values():
        assert kind in ("value", "tree", "blob")
        if kind != "blob":
            assert len(payload) <= CONTAINER + KIB
            check(kind, payload)
    assert _reachable(encoder, root) == set(encoder.objects)


def _reachable(encoder: Encoder, root: Digest) -> set[Digest]:
    found: set[Digest] = set()
    waiting = [root]
    while waiting:
        digest = waiting.pop()
        if digest not in found:
            found.add(digest)
            kind, payload = encoder.objects[digest]
            waiting += references(payload) if kind != "blob" else []
    return found


def _kinds(value: Any) -> list[str]:
    encoder, _ = _encoded(value)
    return sorted(kind for kind, _ in encoder.objects.values())


def test_a_leaf_is_a_blob_exactly_above_the_limit():
    assert _kinds(b"a" * LEAF) == ["value"]
    assert _kinds(b"a" * (LEAF + 1)) == ["blob", "value"]


def test_a_blob_holds_the_bare_bytes():
    encoder, _ = _encoded("é" * LEAF)
    assert [payload for kind, payload in encoder.objects.values() if kind == "blob"] == ["é".encode() * LEAF]


def test_a_child_is_an_object_of_its_own_exactly_above_the_limit():
    head = 3  # of msgpack's bin 16 and bin 32 forms, below and above 64 KiB
    assert _kinds([b"a" * (CHILD - head)]) == ["value"]
    assert _kinds([b"a" * (CHILD + 1), 1]) == ["value", "value"]


def test_equal_large_children_are_one_object():
    part, other = list(range(50_000)), list(range(1, 50_001))
    assert len(_encoded([part, list(part), other, (part,), {"k": part}])[0].objects) == 3


def test_a_child_that_is_a_value_by_itself_has_one_id():
    part = list(range(50_000))
    encoder, _ = _encoded((part, 1))
    assert encoder.value(part) in encoder.objects
    assert len(encoder.objects) == 2


def test_values_that_share_segments_store_them_once():
    one, two = list(range(1_000_000)), [*range(999_999), -1]
    encoder = Encoder(DEFAULT_FORMAT)
    encoder.value(one)
    before = sum(len(payload) for _, payload in encoder.objects.values())
    encoder.value(two)
    after = sum(len(payload) for _, payload in encoder.objects.values())
    assert after - before < before / 50


def test_a_long_list_is_a_tree_of_more_than_one_level():
    encoder, _ = _encoded(list(range(limits.SEGMENT_ITEMS * (limits.TREE_FANOUT + 1))))
    trees = [TreeRecord.parse(payload) for kind, payload in encoder.objects.values() if kind == "tree"]
    assert sorted(tree.level for tree in trees) == [0, 0, 1]


def test_list_tuple_set_and_dict_of_equal_items_stay_apart():
    items = range(400_000)
    roots = {_encoded(kind(items))[1] for kind in (list, tuple, set, frozenset, deque)}
    assert len(roots | {_encoded(dict.fromkeys(items))[1]}) == 6


def test_large_sets_do_not_depend_on_the_order_of_filling():
    assert _encoded(set(range(200_000)))[1] == _encoded(set(sorted(range(200_000), key=str)))[1]  # noqa: C414


@pytest.mark.parametrize("fmt", OBJECT_FORMATS.values(), ids=str)
def test_large_values_work_under_every_format(fmt: Any):
    value = {"a": ["b" * (2 * MIB), list(range(400_000))]}
    assert _decoded(*_encoded(value, fmt)) == value


def test_a_leaf_that_is_written_at_once_is_not_kept_in_memory():
    written: dict[Digest, bytes] = {}
    encoder = Encoder(DEFAULT_FORMAT)
    encoder.write_blob = lambda digest, data: written.update({digest: bytes(data)})
    digest = encoder.value(["a" * (2 * MIB)])
    assert [kind for kind, _ in encoder.objects.values()] == ["value"]
    assert list(written.values()) == [b"a" * (2 * MIB)]
    blobs = {**encoder.objects, **{d: ("blob", data) for d, data in written.items()}}
    assert Decoder(blobs.__getitem__).decode(encoder.objects[digest][1]) == ["a" * (2 * MIB)]


def test_a_large_array_decodes_to_a_view_of_the_stored_bytes():
    encoder, digest = _encoded(np.arange(400_000))
    array = _decoded(encoder, digest)
    assert not array.flags.owndata
    assert not array.flags.writeable


def test_nested_large_parts_are_packed_once_not_once_more_at_every_level():
    value: Any = None
    for _ in range(30):
        value = Point(0, (value, list(range(20_000))))
    encoder, digest = _encoded(value)  # 2 ** 30 packings would never end
    assert len(encoder.objects) < 40
    assert _decoded(encoder, digest) == value


def test_a_large_part_that_is_missing_says_so():
    encoder, digest = _encoded([list(range(50_000)), 1])
    root = encoder.objects[digest][1]

    def fetch(digest: Digest) -> tuple[str, bytes]:
        raise NotFound(f"object {digest.hex()} is missing")

    with pytest.raises(NotFound):
        Decoder(fetch).decode(root)


def test_a_pointer_to_another_kind_is_malformed():
    encoder, digest = _encoded([list(range(50_000)), 1])
    root = encoder.objects[digest][1]
    with pytest.raises(MalformedObject, match="points to a source"):
        Decoder(lambda digest: ("source", b"")).decode(root)


def test_subclasses_and_attributes_survive_beside_large_parts():
    value = MyList(range(50_000))
    value.name = "x" * (2 * MIB)  # type: ignore[attr-defined]
    assert alike(_decoded(*_encoded(value)), value)
