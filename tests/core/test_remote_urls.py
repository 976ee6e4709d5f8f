"""URLs of files: one spelling each, no secrets in them, and no scheme that nobody knows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun.core.errors import TaskError
from redun.core.files.file import File
from redun.core.files.remote.urls import canonical, scheme_of, without_secrets
from redun.core.files.sets import Dir


@pytest.mark.parametrize(
    ("spelling", "url"),
    [
        ("S3://bucket/key", "s3://bucket/key"),
        ("s3a://bucket/key", "s3://bucket/key"),
        ("gcs://bucket/a//b", "gs://bucket/a//b"),
        ("ssh://Ada@Host.Example:22//srv/./a/../b.txt", "sftp://Ada@host.example/srv/b.txt"),
        ("sftp://host:2222/a#b?c", "sftp://host:2222/a#b?c"),
        ("ftp://[::1]:21/a", "ftp://[::1]/a"),
        ("HTTP://Example.ORG:80", "http://example.org/"),
        ("https://example.org:443/A/b?q=1#part", "https://example.org/A/b?q=1"),
        ("http://example.org?q=1", "http://example.org/?q=1"),
        ("memory:///a//b", "memory://a/b"),
        ("memory://a/b", "memory://a/b"),
    ],
)
def test_a_file_has_one_spelling(spelling: str, url: str):
    assert canonical(spelling) == url
    assert canonical(url) == url


def test_a_slash_at_the_end_of_a_directory_does_not_matter():
    assert Dir("memory://a/b/") == Dir("memory://a/b")
    assert Dir("s3://bucket/a/").path == "s3://bucket/a"


@pytest.mark.parametrize(
    "url",
    [
        "https://ada:sesame@example.org/a",
        "s3://AKIA:sesame@bucket/key",
        "sftp://ada:sesame@host/a",
        "https://bucket.example.org/key?X-Amz-Date=1&X-Amz-Signature=sesame",
        "https://account.example.org/key?se=2030&sig=sesame",
        "https://example.org/a?access_token=sesame",
    ],
)
def test_a_secret_in_a_url_is_refused_and_not_printed(url: str):
    with pytest.raises(TaskError, match=r"stands in the URL.*\*\*\*.*redun\.toml") as caught:
        File(url)
    assert "sesame" not in str(caught.value)
    assert "sesame" not in without_secrets(url)


def test_a_user_without_a_password_is_no_secret():
    assert File("sftp://ada@host/a").path == "sftp://ada@host/a"
    assert File("https://example.org/a?page=2").path == "https://example.org/a?page=2"


def test_a_control_character_has_no_place_in_a_url():
    with pytest.raises(TaskError, match="control character"):
        File("http://example.org/a\nb")


def test_one_scheme_at_a_time():
    with pytest.raises(TaskError, match="one scheme at a time"):
        File("simplecache::s3://bucket/key")


SCHEMES = ["s3", "S3A", "gs", "http", "HTTPS", "sftp", "ssh", "ftp", "memory", "az", "other"]


@given(st.sampled_from(SCHEMES), st.text("aB1:@/.?#[]%&= é-_~", max_size=30))
def test_the_one_spelling_of_any_url_is_its_own(scheme: str, rest: str):
    try:
        url = canonical(f"{scheme}://{rest}")
    except TaskError:
        return
    assert canonical(url) == url
    assert url.startswith(f"{scheme_of(url)}://")


@pytest.mark.parametrize("url", ["foo://x", "simplecache://x", "zip://x", "generic://x"])
def test_an_unknown_scheme_is_an_error_that_names_it_and_those_that_are_known(url: str):
    with pytest.raises(TaskError, match=f"{url}.*no filesystem for {url[:-1]}.*known are .*http.*s3.*sftp"):
        File(url)


def test_a_library_that_is_not_installed_is_an_error_that_says_how_to_install_it():
    code = """
import sys
sys.modules["s3fs"] = None
from redun.core.files.file import File
try:
    File("s3://bucket/key")
except Exception as error:
    print(type(error).__name__, error)
sys.modules["fsspec"] = None
try:
    File("sftp://host/key")
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    first, second = done.stdout.splitlines()
    assert first.startswith("TaskError")
    assert "pip install 'redun-core[s3]'" in first
    assert "pip install 'redun-core[sftp]'" in second


def test_local_files_load_nothing_of_remote_ones(tmp_path: Path):
    code = """
import sys
from redun.core.files.sets import Dir, File
File("a").write("b")
list(Dir("."))
print([name for name in sys.modules if name.partition(".")[0] in ("fsspec", "aiohttp") or ".remote" in name])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"
