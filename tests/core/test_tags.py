"""How tags are read and kept: one text for each value."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun.core.tags import canonical, check_tag, read_tag, shown_tag, tag_text, tag_value

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(JSON)
def test_a_value_comes_back_from_its_text(value: object) -> None:
    assert tag_value(tag_text(value)) == value
    assert type(tag_value(tag_text(value))) is type(value)


@given(st.text())
def test_whatever_is_typed_has_one_text(text: str) -> None:
    once = canonical(text)
    assert canonical(once) == once
    once.encode()


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("prod", "prod"),
        ("My doc", "My doc"),
        ("3", "3"),
        ('"3"', '"3"'),
        ('"prod"', "prod"),
        ("[1,2]", "[1, 2]"),
        ('{"a":1}', '{"a": 1}'),
        ("1e999", "1e999"),
        ("NaN", "NaN"),
        ("1.50", "1.5"),
        ("", ""),
        ("[", "["),
        ("[" * 100_000, "[" * 100_000),
        ("\udcff", '"\\udcff"'),
    ],
)
def test_json_is_read_as_such_and_other_text_stands_for_itself(typed: str, kept: str) -> None:
    assert canonical(typed) == kept


def test_numbers_and_words_that_look_like_them_are_two_things() -> None:
    assert tag_value("3") == 3
    assert tag_value('"3"') == "3"
    assert math.isclose(tag_value("0.5"), 0.5)


def test_a_tag_is_a_name_and_a_value_or_a_name_alone() -> None:
    assert read_tag("a=b=c") == ("a", "b=c")
    assert read_tag("a=") == ("a", "")
    assert read_tag("a") == ("a", None)


@pytest.mark.parametrize("text", ["", "=1", " =1", "a =1", "a\n=1", "x" * 201 + "=1", "a=" + "x" * 10_001])
def test_what_can_be_no_tag_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="name"):
        read_tag(text)


def test_a_value_that_is_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match="no text"):
        check_tag("a", "\udcff")


def test_words_are_shown_bare_and_texts_in_quotes() -> None:
    assert shown_tag("env", "prod") == "env=prod"
    assert shown_tag("doc", "My doc") == 'doc="My doc"'
    assert shown_tag("l", "[1, 2]") == "l=[1, 2]"
    assert shown_tag("empty", "") == 'empty=""'
    assert shown_tag("count", "3") == "count=3"
