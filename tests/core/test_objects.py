from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from redun.core.codec import Pointer, pack, unpack
from redun.core.digest import OBJECT_FORMATS, SHA256, XXH3_128, Digest, ObjectFormat
from redun.core.errors import MalformedObject
from redun.core.frame import KINDS, object_id
from redun.core.objects import (
    CallRecord,
    ExecRecord,
    ExtRecord,
    HeadRecord,
    How,
    JobRow,
    JobsRecord,
    NoteRecord,
    Outcome,
    SourceRecord,
    Status,
    TaskCount,
    TaskRecord,
    TaskSetRecord,
    TraceRecord,
    TreeRecord,
    Why,
    call_task,
    check,
    job_id,
    parse_footprint,
    pointers,
)
from tests.core.graph import Graph, golden
from tests.core.records import BY_KIND, heads, task_sets

GOLDEN = json.loads((Path(__file__).parent / "golden" / "objects.json").read_text())
FORMATS = pytest.mark.parametrize("fmt", OBJECT_FORMATS.values(), ids=lambda fmt: fmt.name)
EVERY_KIND = pytest.mark.parametrize("kind", BY_KIND)
PARSERS = {
    "task": TaskRecord.parse,
    "source": SourceRecord.parse,
    "call": CallRecord.parse,
    "tree": TreeRecord.parse,
    "footprint": parse_footprint,
    "jobs": JobsRecord.parse,
    "exec": ExecRecord.parse,
    "trace": TraceRecord.parse,
    "note": NoteRecord.parse,
}
RECORDS = pytest.mark.parametrize(
    ("kind", "payload"),
    [
        pytest.param(entry["kind"], bytes.fromhex(entry["payload"]), id=name)
        for name, entry in GOLDEN["xxh3-128"].items()
        if entry["kind"] in PARSERS
    ],
)
X = Digest(b"x" * 16)
UUID = bytes(16)


# -- golden bytes -----------------------------------------------------------------------------------------------------


def test_the_golden_file_has_every_kind_under_every_format():
    assert set(GOLDEN) == set(OBJECT_FORMATS)
    for objects in GOLDEN.values():
        assert {entry["kind"] for entry in objects.values()} == set(KINDS)


def test_the_bytes_and_ids_of_every_kind_are_those_of_the_golden_file():
    assert golden() == GOLDEN


@pytest.mark.parametrize(
    ("name", "hashed"),
    [("sha256", lambda data: hashlib.sha256(data).hexdigest()), ("xxh3-128", xxhash.xxh3_128_hexdigest)],
)
def test_a_golden_id_is_the_plain_hash_of_its_frame(name: str, hashed: Any):
    for entry in GOLDEN[name].values():
        payload = bytes.fromhex(entry["payload"])
        assert entry["id"] == hashed(f"{entry['kind']} {len(payload)}\0".encode() + payload)


@FORMATS
def test_golden_objects_pass_the_check_and_come_back_as_they_were(fmt: ObjectFormat):
    for entry in GOLDEN[fmt.name].values():
        kind, payload = entry["kind"], bytes.fromhex(entry["payload"])
        check(kind, payload)
        if kind in PARSERS:
            assert PARSERS[kind](payload).payload() == payload


@FORMATS
def test_every_pointer_of_the_golden_graph_names_one_of_its_objects(fmt: ObjectFormat):
    graph = Graph(fmt)
    known = set(graph.ids.values())
    edges = [target for kind, payload in graph.objects.values() for target in pointers(kind, payload)]
    assert len(edges) > 30
    assert set(edges) <= known


def test_no_record_of_a_computation_depends_on_the_clock_or_the_place():
    timeless = [
        name for name in GOLDEN["sha256"] if name.split(":")[0] in ("task", "expr", "call", "footprint", "tree")
    ]
    for name in timeless:
        payload = bytes.fromhex(GOLDEN["sha256"][name]["payload"])
        assert b"w.py" not in payload
        assert UUID not in payload


# -- round trips ------------------------------------------------------------------------------------------------------


@EVERY_KIND
@given(data=st.data())
def test_a_record_comes_back_from_its_bytes_equal_and_of_its_type_and_passes_the_check(kind: str, data: st.DataObject):
    record = data.draw(BY_KIND[kind])
    for strict in (False, True):
        again = PARSERS[kind](record.payload(), strict=strict)
        assert again == record
        assert type(again) is type(record)
        assert again.payload() == record.payload()
    check(kind, record.payload())


@EVERY_KIND
@given(data=st.data())
def test_different_records_of_a_kind_have_different_bytes(kind: str, data: st.DataObject):
    one, other = data.draw(BY_KIND[kind]), data.draw(BY_KIND[kind])
    assert (one.payload() == other.payload()) == (one == other and type(one) is type(other))


@given(data=st.data())
def test_every_digest_that_a_record_holds_is_a_pointer_of_its_bytes(data: st.DataObject):
    def inside(item: Any) -> set[bytes]:
        if type(item) is bytes:
            return {item}
        return set().union(*map(inside, item)) if isinstance(item, tuple) else set()

    kind = data.draw(st.sampled_from(sorted(set(BY_KIND) - {"jobs", "exec"})))  # those two hold uuids beside
    record = data.draw(BY_KIND[kind])
    assert set(pointers(kind, record.payload())) == inside(record)


def test_enumerations_come_back_as_members_not_as_numbers():
    row = JobRow(0, None, -1, Status.DONE, How.STEP, Why.ARGUMENT, 0, 0)
    (again,) = JobsRecord.parse(JobsRecord(UUID, (row,)).payload()).rows
    assert (type(again.status), type(again.how), type(again.why)) == (Status, How, Why)
    assert CallRecord.parse(CallRecord(X, (), None, Outcome.VALUE, X).payload()).outcome is Outcome.VALUE


@given(heads | task_sets)
def test_the_parts_of_a_footprint_are_told_apart(record: HeadRecord | TaskSetRecord):
    assert type(parse_footprint(record.payload())) is type(record)


@FORMATS
def test_the_task_of_a_call_is_read_without_the_rest(fmt: ObjectFormat):
    graph = Graph(fmt)
    for kind, payload in graph.objects.values():
        if kind == "call":
            assert call_task(payload) == CallRecord.parse(payload).task == graph.ids["task"]


def test_an_empty_node_of_external_values_is_a_footprint():
    assert parse_footprint(ExtRecord().payload()) == ExtRecord()


def test_a_page_holds_rows_out_of_order_and_says_common_things_once():
    rows = [JobRow(number, X, 0, Status.DONE, How.RAN, Why.FIRST, 5, 5, head=X) for number in (511, 3, 0, 12)]
    payload = JobsRecord(UUID, tuple(rows)).payload()
    assert JobsRecord.parse(payload).rows == tuple(rows)
    one_more = JobsRecord(UUID, (*rows, rows[0])).payload()
    assert len(one_more) - len(payload) <= 18 + 3 + 9  # a pointer, a step of the number, nine columns


@FORMATS
def test_a_page_names_what_jobs_were_compared_with_and_does_not_point_to_it(fmt: ObjectFormat):
    call, earlier = (Digest(fmt.hash(word)) for word in (b"call", b"earlier"))
    row = JobRow(0, call, -1, Status.DONE, How.RAN, Why.CODE, 0, 0, compared=earlier)
    payload = JobsRecord(UUID, (row,)).payload()
    assert JobsRecord.parse(payload, strict=True).rows == (row,)
    assert pointers("jobs", payload) == [call]
    for wrong in (Pointer(earlier), earlier[1:], "earlier"):
        fields = unpack(payload)
        fields[14][0][2] = wrong
        for strict in (False, True):
            with pytest.raises(MalformedObject):
                JobsRecord.parse(pack(fields), strict=strict)


def test_the_total_of_a_task_is_the_sum_of_its_columns():
    assert TaskCount("a.f", 1, 20, 300, 4000, 50000).total == 54321


# -- what is refused --------------------------------------------------------------------------------------------------


@RECORDS
def test_another_number_of_fields_is_refused(kind: str, payload: bytes):
    fields = unpack(payload)
    for wrong in (fields[:-1], [*fields, None], fields[:1], []):
        for strict in (False, True):
            with pytest.raises(MalformedObject):
                PARSERS[kind](pack(wrong), strict=strict)


@RECORDS
@pytest.mark.parametrize("schema", [0, 2, -1, "1", None, 1.0, True, [1]], ids=repr)
def test_another_schema_is_refused_even_where_python_calls_it_equal(kind: str, payload: bytes, schema: Any):
    for strict in (False, True):
        with pytest.raises(MalformedObject):
            PARSERS[kind](pack([schema, *unpack(payload)[1:]]), strict=strict)


def test_a_newer_schema_is_refused_with_what_to_do():
    with pytest.raises(MalformedObject, match="schema 2") as caught:
        SourceRecord.parse(pack([2, "text", "", 0]))
    assert "upgrade" in caught.value.hint


@RECORDS
def test_a_field_of_another_type_is_refused_from_elsewhere(kind: str, payload: bytes):
    fields = unpack(payload)
    for at in range(1, len(fields)):
        for wrong in ({}, 1.5, True, [[[]]], {"a": [1]}):
            if type(wrong) is not type(fields[at]):
                with pytest.raises(MalformedObject):
                    check(kind, pack([*fields[:at], wrong, *fields[at + 1 :]]))


@RECORDS
@given(data=st.data())
def test_readers_of_stored_bytes_raise_nothing_but_malformed_object(kind: str, payload: bytes, data: st.DataObject):
    fields = unpack(payload)
    junk = st.recursive(st.none() | st.integers(-3, 3) | st.text(max_size=2), lambda inner: st.lists(inner, max_size=3))
    fields[data.draw(st.integers(0, len(fields) - 1))] = data.draw(junk)
    for strict in (False, True):
        try:
            PARSERS[kind](pack(fields), strict=strict)
        except MalformedObject:
            continue


@pytest.mark.parametrize("kind", KINDS)
@given(payload=st.binary(max_size=60) | st.binary(max_size=60).map(lambda tail: b"\x94\x01" + tail))
def test_any_bytes_pass_the_check_or_raise_malformed_object(kind: str, payload: bytes):
    try:
        check(kind, payload)
    except MalformedObject:
        return
    assert kind in ("blob", "value", "expr", "source", "tree")


@RECORDS
def test_one_changed_bit_is_refused_or_gives_another_record(kind: str, payload: bytes):
    record = PARSERS[kind](payload)
    for bit in range(8 * len(payload)):
        changed = bytearray(payload)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            again = PARSERS[kind](bytes(changed), strict=True)
        except MalformedObject:
            continue
        assert again != record


@pytest.mark.parametrize(
    ("kind", "record"),
    [
        ("task", TaskRecord("a", "closure", interface=(("b", ""), ("a", "")))),
        ("task", TaskRecord("a", "closure", includes=(X, Digest(bytes(16))))),
        ("footprint", HeadRecord(X, context=(("b", None), ("a", X)))),
        ("footprint", TaskSetRecord((("b", X, ()), ("a", X, ())))),
        ("exec", ExecRecord(UUID, UUID, None, None, Status.DONE, 0, 0, (), info=(("b", ""), ("a", "")))),
        ("exec", ExecRecord(UUID, UUID, None, None, Status.DONE, 0, 0, (), sources=((X, X), (Digest(bytes(16)), X)))),
    ],
)
def test_what_has_no_order_of_its_own_is_taken_only_sorted(kind: str, record: Any):
    with pytest.raises(MalformedObject):
        check(kind, record.payload())


@pytest.mark.parametrize(
    ("kind", "record"),
    [
        (
            "jobs",
            JobsRecord(UUID, tuple(JobRow(n, None, 0, *[Status.DONE, How.RAN, Why.FIRST], 0, 0) for n in range(513))),
        ),
        ("tree", TreeRecord(0, 1025, (X,) * 1025)),
        ("call", CallRecord(X, (X,) * 1025, None, Outcome.VALUE, X)),
        ("exec", ExecRecord(UUID, UUID, None, None, Status.DONE, 0, 0, (), pages=(X,) * 1025)),
        ("jobs", JobsRecord(bytes(15), ())),
        ("call", CallRecord(X, (), None, Outcome.VALUE, None)),
        ("call", CallRecord(X, (), None, Outcome.PARTIAL, X)),
    ],
)
def test_what_is_longer_or_other_than_the_format_says_is_refused(kind: str, record: Any):
    with pytest.raises(MalformedObject):
        check(kind, record.payload())


def test_columns_of_a_page_that_do_not_fit_together_are_refused():
    row = JobRow(0, X, -1, Status.DONE, How.RAN, Why.FIRST, 0, 0, head=X)
    fields = unpack(JobsRecord(UUID, (row, row)).payload())
    wrong = {2: [0], 5: b"\x01", 6: b"\x09\x00", 11: [0, 1], 13: [1, 2], 14: [[2, 2, None, None, "", []]]}
    for column, content in wrong.items():
        with pytest.raises(MalformedObject):
            check("jobs", pack([*fields[:column], content, *fields[column + 1 :]]))


@pytest.mark.parametrize("kind", ["", "Value", "job", "values"])
def test_a_kind_that_does_not_exist_is_refused(kind: str):
    with pytest.raises(MalformedObject, match="kind"):
        check(kind, b"\xc0")


@pytest.mark.parametrize(
    "fields", [[1, [], []], [2, [], [], None], [1, [1], [], None], [1, [], [1], None], [1, {}, [], None]], ids=repr
)
def test_an_expression_without_its_four_fields_is_refused(fields: Any):
    check("expr", pack([1, ["a.f"], [[0, 0, [], {}, {}]], None]))
    with pytest.raises(MalformedObject):
        check("expr", pack(fields))


def test_a_blob_is_any_bytes_and_points_nowhere():
    check("blob", b"\xc1")
    assert pointers("blob", pack([Pointer(X)])) == []


# -- ids of jobs ------------------------------------------------------------------------------------------------------


@FORMATS
def test_ids_of_jobs_are_sixteen_bytes_and_differ_by_run_and_row(fmt: ObjectFormat):
    ids = {job_id(fmt.hash, uuid, number) for uuid in (UUID, b"1" * 16) for number in (0, 1, 256, 2**40)}
    assert len(ids) == 8
    assert {len(one) for one in ids} == {16}


def test_ids_of_jobs_stay_what_they_are():
    assert job_id(XXH3_128.hash, UUID, 1).hex() == xxhash.xxh3_128_hexdigest(b"job " + UUID + bytes(7) + b"\x01")
    assert job_id(SHA256.hash, UUID, 1) == hashlib.sha256(b"job " + UUID + bytes(7) + b"\x01").digest()[:16]


def test_an_id_of_an_object_says_its_kind():
    empty = pack([])
    assert object_id(SHA256, "value", empty) != object_id(SHA256, "expr", empty)
