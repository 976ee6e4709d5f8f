"""Where a store is: found upwards, followed through pointer files, made once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from redun.core.errors import NotAStore, StoreError, StoreFormatError, StoreReadOnly
from redun.store import Store
from redun.store.locate import create_store, find_store, object_format_of, store_at, store_of


def test_a_store_is_found_from_any_directory_below(tmp_path: Path) -> None:
    store = create_store(tmp_path)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert store == tmp_path / ".redun" / "store"
    assert find_store(below) == find_store(tmp_path) == store


def test_the_nearest_store_is_found(tmp_path: Path) -> None:
    create_store(tmp_path)
    inner = create_store(tmp_path / "inner")
    assert find_store(tmp_path / "inner") == inner


def test_nothing_is_found_where_there_is_nothing(tmp_path: Path) -> None:
    assert store_of(tmp_path) is None


def test_a_config_directory_without_a_store_is_passed_over(tmp_path: Path) -> None:
    store = create_store(tmp_path)
    (tmp_path / "sub" / ".redun").mkdir(parents=True)
    (tmp_path / "sub" / ".redun" / "redun.ini").write_text("")
    assert find_store(tmp_path / "sub") == store


def test_a_half_made_store_is_none_and_is_completed(tmp_path: Path) -> None:
    (tmp_path / ".redun" / "store").mkdir(parents=True)
    assert store_of(tmp_path) is None
    assert create_store(tmp_path) == store_of(tmp_path)


def test_making_a_store_twice_is_harmless(tmp_path: Path) -> None:
    first = create_store(tmp_path)
    with Store.open(first) as store:
        digest = store.put("value", b"\x01")
    assert create_store(tmp_path) == first
    with Store.open(first, read_only=True) as store:
        assert store.has(digest)


def test_git_ignores_the_store_and_a_changed_ignore_file_is_left_alone(tmp_path: Path) -> None:
    create_store(tmp_path)
    ignore = tmp_path / ".redun" / ".gitignore"
    assert ignore.read_text() == "*\n"
    ignore.write_text("mine\n")
    create_store(tmp_path)
    assert ignore.read_text() == "mine\n"


def test_the_object_format_is_chosen_once(tmp_path: Path) -> None:
    store = create_store(tmp_path, object_format="sha256")
    assert object_format_of(store) == "sha256"
    assert create_store(tmp_path) == store
    with pytest.raises(StoreFormatError, match="sha256"):
        create_store(tmp_path, object_format="xxh3-128")


# -- pointer files ----------------------------------------------------------------------------------------------------


def test_a_store_elsewhere_is_found_through_a_pointer_file(tmp_path: Path) -> None:
    store = create_store(tmp_path / "project", at=tmp_path / "disk")
    pointer = tmp_path / "project" / ".redun"
    assert pointer.read_text() == f"{tmp_path / 'disk'}\n"
    assert store == tmp_path / "disk" / "store" == find_store(tmp_path / "project")
    assert create_store(tmp_path / "project", at=tmp_path / "disk") == store


def test_two_projects_may_share_one_store(tmp_path: Path) -> None:
    one = create_store(tmp_path / "one", at=tmp_path / "disk")
    two = create_store(tmp_path / "two", at=tmp_path / "disk")
    assert one == two


def test_a_relative_pointer_counts_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = create_store(tmp_path / "disk")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / ".redun").write_text("../disk/.redun\n")
    monkeypatch.chdir("/")
    assert find_store(tmp_path / "project") == store


@pytest.mark.parametrize("text", ["", "a\nb\n", "no/such/place\n", "x" * 5000])
def test_a_pointer_that_leads_nowhere_is_an_error_and_not_passed_over(tmp_path: Path, text: str) -> None:
    create_store(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / ".redun").write_text(text)
    with pytest.raises(NotAStore, match="point"):
        find_store(tmp_path / "sub")


def test_a_second_store_beside_the_first_is_refused(tmp_path: Path) -> None:
    create_store(tmp_path)
    with pytest.raises(StoreError, match="already"):
        create_store(tmp_path, at=tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()


def test_a_config_directory_with_content_is_never_removed_for_a_pointer(tmp_path: Path) -> None:
    (tmp_path / ".redun").mkdir()
    (tmp_path / ".redun" / "redun.ini").write_text("mine")
    with pytest.raises(StoreError, match="not empty"):
        create_store(tmp_path, at=tmp_path / "elsewhere")
    assert (tmp_path / ".redun" / "redun.ini").read_text() == "mine"


# -- paths that users give --------------------------------------------------------------------------------------------


def test_a_store_may_be_named_in_four_ways(tmp_path: Path) -> None:
    store = create_store(tmp_path)
    (tmp_path / "pointer").write_text(f"{tmp_path / '.redun'}\n")
    for path in (store, tmp_path / ".redun", tmp_path, tmp_path / "pointer"):
        assert store_at(path) == store


@pytest.mark.parametrize("path", ["", ".redun", ".redun/store", "missing"])
def test_a_named_store_that_is_missing_tells_how_to_make_it(tmp_path: Path, path: str) -> None:
    project = tmp_path / path if path == "missing" else tmp_path
    with pytest.raises(NotAStore) as raised:
        store_at(tmp_path / path)
    assert raised.value.hint == f"redun init {project} makes one"


# -- places that admit no store ---------------------------------------------------------------------------------------


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        create_store(tmp_path / "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_permission_is_a_read_only_place(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StoreReadOnly):
            create_store(tmp_path)
    finally:
        tmp_path.chmod(0o700)
