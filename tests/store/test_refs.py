from __future__ import annotations

import pytest

from redun.core.codec import pack
from redun.core.digest import Digest
from redun.core.errors import NotFound, RefMoved, StoreError
from redun.store import Store


@pytest.fixture
def two(store: Store) -> tuple[Digest, Digest]:
    first, second = store.put_many([("value", pack(1)), ("value", pack(2))])
    return first, second


def test_a_new_ref_is_there(store: Store, two: tuple[Digest, Digest]) -> None:
    store.set_ref("tags/a", two[0], expected=None, reason="made")
    assert store.ref("tags/a") == two[0]
    assert store.refs() == {"tags/a": two[0]}
    assert store.ref("tags") is None
    assert store.ref("tags/ab") is None


def test_a_ref_moves_only_from_where_it_is_expected(store: Store, two: tuple[Digest, Digest]) -> None:
    first, second = two
    store.set_ref("a", first, expected=None, reason="")
    for wrong in (None, second):
        with pytest.raises(RefMoved, match=first.hex()):
            store.set_ref("a", second, expected=wrong, reason="")
    assert store.ref("a") == first
    store.set_ref("a", second, expected=first, reason="")
    assert store.ref("a") == second


def test_a_ref_that_does_not_exist_is_at_none(store: Store, two: tuple[Digest, Digest]) -> None:
    with pytest.raises(RefMoved, match="does not exist"):
        store.set_ref("a", two[0], expected=two[1], reason="")


def test_a_removed_ref_is_gone_and_its_log_stays(store: Store, two: tuple[Digest, Digest]) -> None:
    store.set_ref("a", two[0], expected=None, reason="first")
    store.set_ref("a", two[1], expected=two[0], reason="second")
    store.set_ref("a", None, expected=two[1], reason="third")
    assert store.ref("a") is None
    assert store.refs() == {}
    log = store.reflog("a")
    assert [(e.old, e.new, e.reason) for e in log] == [
        (two[1], None, "third"),
        (two[0], two[1], "second"),
        (None, two[0], "first"),
    ]
    assert log[0].time >= log[1].time >= log[2].time > 10**15


def test_logs_of_refs_whose_names_start_alike_are_apart(store: Store, two: tuple[Digest, Digest]) -> None:
    for name in ("a", "a/b", "ab"):
        store.set_ref(name, two[0], expected=None, reason=name)
    assert [e.reason for e in store.reflog("a")] == ["a"]


def test_a_ref_to_nothing_is_refused(store: Store) -> None:
    with pytest.raises(NotFound):
        store.set_ref("a", Digest(bytes(store.format.size)), expected=None, reason="")
    assert store.reflog("a") == []


def test_a_ref_of_executions_points_to_an_execution(store: Store, two: tuple[Digest, Digest]) -> None:
    with pytest.raises(StoreError, match="value"):
        store.set_ref("executions/x", two[0], expected=None, reason="")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        ".",
        "..",
        "a/..",
        "../a",
        ".hidden",
        "a/.b",
        "a b",
        "a\nb",
        "a\0b",
        "\ud800",
        "x" * 481,
    ],
)
def test_what_could_be_a_path_or_cannot_be_a_key_is_no_name(store: Store, name: str) -> None:
    for use in (lambda: store.ref(name), lambda: store.reflog(name)):
        with pytest.raises(StoreError):
            use()


@pytest.mark.parametrize("name", ["x" * 480, "Größe/日本", "a.b-c_d/1@2"])
def test_other_names_are_names(store: Store, two: tuple[Digest, Digest], name: str) -> None:
    store.set_ref(name, two[0], expected=None, reason="")
    assert store.refs() == {name: two[0]}
    assert len(store.reflog(name)) == 1
