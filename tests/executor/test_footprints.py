"""Footprints: sets of tasks are shared, and external values form a graph that does not repeat itself."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from redun.core.digest import DEFAULT_FORMAT, Digest
from redun.core.objects import ExtRecord, Flag, HeadRecord, TaskSetRecord, parse_footprint
from redun.core.values import Encoder
from redun.executor.footprints import Footprints, TaskSet


def _made() -> tuple[Footprints, Encoder]:
    encoder = Encoder(DEFAULT_FORMAT)
    return Footprints(encoder.put), encoder


def _id(number: int) -> Digest:
    return Digest(number.to_bytes(16, "big"))


def _single(prints: Footprints, number: int) -> TaskSet:
    return prints.single(f"t{number}", _id(number), ())


def _parsed(encoder: Encoder, digest: Digest | None) -> Any:
    assert digest is not None
    kind, payload = encoder.objects[digest]
    assert kind == "footprint"
    return parse_footprint(payload)


@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=5), min_size=1, max_size=6), st.randoms())
def test_unions_are_sets_whatever_the_order_and_equal_ones_are_one_object(groups: list[list[int]], random: Any):
    prints, _ = _made()

    def union(numbers: list[int]) -> TaskSet:
        found = _single(prints, numbers[0])
        for number in numbers[1:]:
            found = prints.union(found, _single(prints, number))
        return found

    for group in groups:
        shuffled = list(group)
        random.shuffle(shuffled)
        found = union(group)
        assert found is union(shuffled)
        assert {name for name, _, _ in found.entries} == {f"t{number}" for number in group}
    total = union([number for group in groups for number in group])
    again = union(groups[0])
    for group in groups[1:]:
        again = prints.union(again, union(group))
    assert again is total


def test_a_task_with_other_applied_defaults_is_another_entry():
    prints, _ = _made()
    one, two = prints.single("t", _id(1), (("x", _id(7)),)), prints.single("t", _id(1), (("x", _id(8)),))
    assert one is not two
    assert len(prints.union(one, two).entries) == 2


def test_heads_are_written_once_and_say_what_they_were_made_of():
    prints, encoder = _made()
    tasks = prints.union(_single(prints, 2), _single(prints, 1))
    ext = prints.ext([_id(5)], [], [])
    flags = (Flag("volatile", "because"),)
    head = prints.head(tasks, ext, flags)
    assert prints.head(tasks, ext, flags) == head
    assert prints.head(tasks, ext, ()) != head
    record = _parsed(encoder, head)
    assert isinstance(record, HeadRecord)
    assert (record.ext, record.flags) == (ext, flags)
    assert _parsed(encoder, record.tasks) == TaskSetRecord((("t1", _id(1), ()), ("t2", _id(2), ())))


def test_a_set_read_from_the_store_is_the_one_that_is_made():
    prints, encoder = _made()
    tasks = prints.union(_single(prints, 1), _single(prints, 2))
    record = _parsed(encoder, prints.head(tasks, None, ()))
    assert tasks.digest is not None
    assert prints.known(_parsed(encoder, record.tasks), tasks.digest) is tasks


def test_a_call_without_external_values_has_no_node():
    prints, encoder = _made()
    assert prints.ext([], [], []) is None
    assert encoder.objects == {}


def test_a_node_that_adds_nothing_to_its_one_child_is_that_child():
    prints, encoder = _made()
    leaf = prints.ext([_id(1)], [], [])
    assert leaf is not None
    assert prints.ext([], [leaf], []) == leaf
    assert prints.ext([], [leaf, leaf], []) == leaf
    assert len(encoder.objects) == 1


def test_a_node_keeps_each_value_child_and_barrier_once():
    prints, encoder = _made()
    leaf, other = prints.ext([_id(1)], [], []), prints.ext([_id(2)], [], [])
    assert leaf is not None
    assert other is not None
    node = prints.ext([_id(3), _id(3)], [leaf, other, leaf], [("shallow", leaf), ("shallow", leaf)])
    assert _parsed(encoder, node) == ExtRecord((_id(3),), (), (("shallow", leaf),), met=(_id(1), _id(2)))


def test_a_node_of_one_value_stands_in_others_as_that_value():
    prints, encoder = _made()
    met, wrote = prints.ext([_id(1)], [], []), prints.ext([_id(2)], [], [], frozenset({_id(2)}))
    two, past = prints.ext([_id(3), _id(4)], [], []), prints.ext([_id(5)], [], [], past=(_id(5),))
    assert met is not None
    assert wrote is not None
    assert two is not None
    assert past is not None
    node = _parsed(encoder, prints.ext([], [met, two, wrote, past], []))
    assert node == ExtRecord(children=(two, past), met=(_id(1),), wrote=(_id(2),))
    others, again = _made()
    others.known_node(met, _parsed(encoder, met))
    assert _parsed(again, others.ext([_id(6)], [met], [])) == ExtRecord((_id(6),), met=(_id(1),))


def test_values_that_a_body_made_come_first_and_are_counted():
    prints, encoder = _made()
    node = _parsed(encoder, prints.ext([_id(1), _id(2), _id(3)], [], [], frozenset({_id(3), _id(2), _id(9)})))
    assert node == ExtRecord((_id(2), _id(3), _id(1)), made=2)


def test_a_barrier_keeps_its_child_apart():
    prints, _ = _made()
    leaf = prints.ext([_id(1)], [], [])
    assert leaf is not None
    assert prints.ext([], [], [("shallow", leaf)]) not in (None, leaf)


def test_a_chain_of_values_takes_one_node_a_link():
    prints, encoder = _made()
    node: Digest | None = None
    for number in range(1000):
        node = prints.ext([_id(number)], [] if node is None else [node], [])
    assert len(encoder.objects) == 1000
