from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun.core import digest
from redun.core.digest import DEFAULT_FORMAT, OBJECT_FORMATS, ObjectFormat, object_format, self_test
from redun.core.errors import InternalError, StoreFormatError

FORMATS = pytest.mark.parametrize("fmt", OBJECT_FORMATS.values(), ids=lambda fmt: fmt.name)


def test_the_default_format_is_xxh3_128():
    assert DEFAULT_FORMAT.name == "xxh3-128"


def test_the_installed_libraries_give_the_known_answers():
    self_test()


def test_a_library_that_hashes_wrongly_is_found():
    wrong = ObjectFormat("sha256", 32, lambda data: hashlib.blake2s(data).digest(), hashlib.sha256)
    with pytest.raises(InternalError, match="sha256"):
        self_test([wrong])


def test_a_library_that_hashes_parts_wrongly_is_found():
    wrong = ObjectFormat("sha256", 32, lambda data: hashlib.sha256(data).digest(), hashlib.blake2s)
    with pytest.raises(InternalError, match="sha256"):
        self_test([wrong])


@FORMATS
@given(parts=st.lists(st.binary(max_size=50)))
def test_hashing_in_parts_gives_what_hashing_at_once_gives(fmt: ObjectFormat, parts: list[bytes]):
    hasher = fmt.new()
    for part in parts:
        hasher.update(memoryview(part))
    assert hasher.digest() == fmt.hash(b"".join(parts))
    assert len(hasher.digest()) == fmt.size


@FORMATS
def test_a_format_is_found_by_its_name(fmt: ObjectFormat):
    assert object_format(fmt.name) is fmt


def test_an_unknown_format_is_refused_with_those_that_are_known():
    with pytest.raises(StoreFormatError, match="'md5'") as caught:
        object_format("md5")
    assert "xxh3-128, sha256" in caught.value.hint


def test_openssl_is_loaded_only_by_a_store_that_needs_it():
    code = f"import {digest.__name__} as d, sys; d.self_test([d.DEFAULT_FORMAT]); assert 'hashlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env={})
