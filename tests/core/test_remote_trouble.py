"""Object stores and hosts over ssh on bad days: out of reach, refused, changed while they are read."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from redun.core.errors import ConfigError, RemoteFileDenied, RemoteFileError
from redun.core.files.file import File
from redun.core.files.remote import options
from redun.core.files.sets import Dir, FileSet
from tests.servers.running import Server, s3_server, sftp_server, told


@pytest.fixture(scope="module")
def s3() -> Iterator[Server]:
    with s3_server() as server, told(server.settings):
        yield server


@pytest.fixture
def sftp(tmp_path: Path) -> Iterator[Server]:
    with sftp_server(tmp_path) as server, told(server.settings):
        yield server


def test_a_store_that_is_out_of_reach_is_no_missing_file(s3: Server):
    file = File(f"{s3.url}/a.txt")
    file.write("one")
    assert file.hash
    with told({"s3": {**s3.settings["s3"], "endpoint_url": "http://127.0.0.1:1"}}):
        for look in (file.is_valid, Dir(s3.url).files):
            with pytest.raises(RemoteFileError, match=r"s3://data.*endpoint"):
                look()


def test_no_credentials_are_told_so_with_where_they_belong(s3: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    bare = {"s3": {"endpoint_url": s3.settings["s3"]["endpoint_url"]}}
    with told(bare), pytest.raises(RemoteFileDenied, match=r"s3://data/a: .*credentials.*\[files.s3\]"):
        File(f"{s3.url}/a").state()


def test_a_bucket_that_is_not_there_holds_no_file_and_takes_none(s3: Server):
    file = File("s3://nowhere/a.txt")
    assert (file.hash, file.exists()) == ("", False)
    with pytest.raises(FileNotFoundError, match=r"s3://nowhere/a\.txt"):
        file.write("one")


def test_a_file_that_is_replaced_while_it_is_read_is_not_read_as_a_mixture(s3: Server):
    file = File(f"{s3.url}/big.bin")
    file.write(b"1" * (12 << 20))
    with told({"s3": {**s3.settings["s3"], "default_block_size": 5 << 20}}), file.open("rb") as stream:
        assert stream.read(10) == b"1" * 10
        file.write(b"2" * (12 << 20))
        with pytest.raises(OSError, match=r"s3://data/big\.bin"):
            stream.read()


def test_a_writer_that_is_killed_leaves_nothing_here_and_what_was_there(s3: Server, tmp_path: Path):
    file = File(f"{s3.url}/killed.txt")
    file.write("whole")
    code = f"""
from redun.core.files.file import File
from redun.core.files.remote import options
options.configure(options.from_text({options.to_text(options.current())!r}))
stream = File("{file.path}").open("w")
stream.write("half" * 1_000_000)
stream.flush()
print("half", flush=True)
input()
"""
    command = [sys.executable, "-c", code]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(tmp_path)}, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        process.kill()
        process.wait()
    assert list(tmp_path.iterdir()) == []
    assert file.read() == "whole"


def test_an_object_whose_name_is_no_path_is_named(s3: Server):
    import s3fs

    s3fs.S3FileSystem(**s3.settings["s3"]).pipe("data/odd/a//b.txt", b"one")
    File(f"{s3.url}/odd/c.csv").write("two")
    with pytest.raises(OSError, match=r"no path.*s3://data/odd/a//b\.txt"):
        Dir(f"{s3.url}/odd").members()
    assert [file.basename() for file in FileSet(f"{s3.url}/odd/*.csv")] == ["c.csv"]


def test_a_large_file_is_sent_in_parts_and_has_one_state(s3: Server):
    data = os.urandom(1 << 20) * 12
    file = File(f"{s3.url}/large.bin")
    file.write(data)
    assert file.read("rb") == data
    before = file.hash
    file.write(data)
    assert file.hash == before


def test_a_variable_in_the_settings_is_one_of_the_environment(s3: Server, monkeypatch: pytest.MonkeyPatch):
    with told({"s3": {**s3.settings["s3"], "secret": "${TEST_S3_SECRET}"}}):
        with pytest.raises(ConfigError, match=r"files\.s3\.secret.*TEST_S3_SECRET"):
            File(f"{s3.url}/a").state()
        monkeypatch.setenv("TEST_S3_SECRET", "open sesame")
        assert File(f"{s3.url}/none").hash == ""


def test_a_secret_of_the_settings_is_masked_in_what_libraries_say(s3: Server):
    settings = {"s3": {**s3.settings["s3"], "secret": "hush-hush", "endpoint_url": "http://hush-hush.invalid"}}
    with told(settings), pytest.raises(RemoteFileError) as caught:
        File(f"{s3.url}/a").state()
    assert "hush-hush" not in str(caught.value)


def _state(url: str, settings: dict[str, dict[str, str]], answer: multiprocessing.SimpleQueue[object]) -> None:
    with told(settings):
        answer.put(File(url).hash)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("kind", ["s3", "sftp"])
def test_a_fork_has_connections_of_its_own(kind: str, request: pytest.FixtureRequest):
    server: Server = request.getfixturevalue(kind)
    file = File(f"{server.url}/forked.txt")
    file.write("one")
    context = multiprocessing.get_context("fork")
    answer = context.SimpleQueue()
    child = context.Process(target=_state, args=(file.path, dict(server.settings), answer))
    child.start()
    child.join(60)
    child.kill()
    assert child.exitcode == 0
    assert answer.get() == file.hash
    assert File(file.path).hash == file.hash


def test_a_host_that_nobody_vouched_for_is_told_no_secret(
    sftp: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    unknown = pytest.raises(RemoteFileDenied, match=r"not among the known hosts.*ssh")
    with told({"sftp": {"password": "open sesame"}}), unknown:
        File(f"{sftp.url}/a").state()


def test_a_wrong_password_is_told_so(sftp: Server):
    refused = pytest.raises(RemoteFileDenied, match=r"Authentication failed.*\[files.sftp\]")
    with told({"sftp": {"password": "wrong", "host_key_policy": "auto_add"}}), refused:
        File(f"{sftp.url}/a").state()


def test_the_settings_of_ssh_hold(sftp: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    port = sftp.url.rpartition(":")[2]
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "config").write_text(f"Host nickname\n  HostName 127.0.0.1\n  Port {port}\n  User ada\n")
    monkeypatch.setenv("HOME", str(home))
    File("sftp://nickname/a.txt").write("one")
    assert (tmp_path / "a.txt").read_text() == "one"


def test_a_connection_that_was_lost_is_made_again_and_a_host_that_is_gone_is_no_missing_file(tmp_path: Path):
    with sftp_server(tmp_path) as first, told(first.settings):
        file = File(f"{first.url}/a.txt")
        file.write("one")
        assert file.hash
        first.kill()
        for look in (file.is_valid, file.exists, file.read):
            with pytest.raises(RemoteFileError, match=f"{first.url}/a.txt"):
                look()
    assert (tmp_path / "a.txt").read_text() == "one"


def test_a_touch_over_ssh_changes_nothing_and_an_edit_in_the_same_second_does(sftp: Server, tmp_path: Path):
    file = File(f"{sftp.url}/a.txt")
    file.write("one")
    before = File(file.path)
    assert before.hash
    os.utime(tmp_path / "a.txt", (1e9, 1e9))
    assert before.is_valid()
    (tmp_path / "a.txt").write_text("two")
    os.utime(tmp_path / "a.txt", (1e9 + 1, 1e9 + 1))
    assert not before.is_valid()
    now = File(file.path)
    assert now.hash
    (tmp_path / "a.txt").write_text("six")
    assert not now.is_valid()


def test_a_full_or_forbidden_place_leaves_what_was_there(sftp: Server, tmp_path: Path):
    (tmp_path / "dir").mkdir()
    with pytest.raises(IsADirectoryError):
        File(f"{sftp.url}/dir").write("one")
    assert list((tmp_path / "dir").iterdir()) == []
    (tmp_path / "file").write_text("one")
    with pytest.raises(OSError, match="file/below"):
        File(f"{sftp.url}/file/below.txt").write("two")
    assert sorted(os.listdir(tmp_path)) == ["dir", "file"]
