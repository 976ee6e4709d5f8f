from __future__ import annotations

from collections.abc import Iterator

import pytest

from redun.core.errors import TaskError
from redun.core.namespace import check_name, check_namespace, get_current_namespace, namespace


@pytest.fixture(autouse=True)
def _none_afterwards() -> Iterator[None]:
    yield
    namespace()


def test_the_namespace_stays_until_another_is_set():
    assert get_current_namespace() == ""
    namespace("a.b")
    assert get_current_namespace() == "a.b"
    namespace()
    assert get_current_namespace() == ""


@pytest.mark.parametrize("name", ["a", "a.b", "A_1.b2", "1", "_", "a..b", ""])
def test_letters_digits_underscores_and_dots_are_a_namespace(name: str):
    assert check_namespace(name) == name


@pytest.mark.parametrize("name", [".a", "a b", "a-b", "a/b", "é", "a\n", " "])
def test_anything_else_is_no_namespace(name: str):
    with pytest.raises(TaskError) as caught:
        check_namespace(name)
    assert caught.value.hint
    with pytest.raises(TaskError):
        namespace(name)
    assert get_current_namespace() == ""


@pytest.mark.parametrize("name", ["a", "A", "_a1"])
def test_names_are_like_those_of_variables(name: str):
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "1a", "a.b", "a-b", "a\n", "<lambda>"])
def test_anything_else_is_no_name(name: str):
    with pytest.raises(TaskError):
        check_name(name)
