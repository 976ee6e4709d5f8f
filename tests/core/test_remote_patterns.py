"""A pattern names the same files elsewhere as it does here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun.core.files.globs import find
from redun.core.files.remote.patterns import depth_of, matcher

NAMES = (
    "a.txt",
    "b.csv",
    ".h",
    "sub/a.txt",
    "sub/deep/b.txt",
    ".d/c.txt",
    "sub/.h.redun-part",
    "sub/[x]",
    "x.redun-part",
)
PARTS = ("*", "**", "?*", "a*", "*.txt", "[ab].*", ".*", "sub", "a.txt", ".d", "[!a]*", "[[]x]")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("tree")
    for name in NAMES:
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text("")
    return base


@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=4), st.booleans())
def test_a_listing_is_matched_as_a_directory_is_searched(tree: Path, parts: list[str], hidden: bool):
    pattern = "/".join(parts)
    matches = matcher(pattern, hidden)
    assert sorted(filter(matches, NAMES)) == find(os.fspath(tree), pattern, hidden)


def test_only_patterns_for_any_directory_look_into_all_of_them():
    assert (depth_of("*.txt"), depth_of("*/b/c"), depth_of("**/c"), depth_of("a/**")) == (1, 3, None, None)
