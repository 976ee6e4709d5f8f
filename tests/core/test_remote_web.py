"""Files of web servers: what tells their states apart, and what is said where a server has a bad day."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from redun.core.errors import RemoteFileDenied, RemoteFileError
from redun.core.files.file import File
from redun.core.files.memo import STATS
from redun.core.files.sets import Dir
from tests.servers.running import told
from tests.servers.web_server import Web, web_server

OLD = "Mon, 01 Jan 2024 00:00:00 GMT"
NEWER = "Tue, 02 Jan 2024 00:00:00 GMT"


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as server:
        yield server


def test_a_tag_tells_the_state_and_nothing_is_read(web: Web):
    file = File(web.put("/a", b"one", ETag='"1"'))
    before = file.hash
    assert file.is_valid()
    assert web.count("GET") == 0
    web.put("/a", b"one", ETag='"2"')
    assert not file.is_valid()
    assert File(file.path).hash != before


def test_without_a_tag_the_content_tells_and_is_read_once_for_each_time_of_change(web: Web):
    file = File(web.put("/a", b"one", Last_Modified=OLD))
    assert file.hash
    read = web.count("GET")
    assert read >= 1
    assert file.is_valid()
    assert File(file.path).hash == file.hash
    assert web.count("GET") == read
    web.put("/a", b"one", Last_Modified=NEWER)
    assert file.is_valid()
    assert web.count("GET") > read
    web.put("/a", b"two", Last_Modified=OLD.replace("00:00:00", "00:00:01"))
    assert not file.is_valid()


def test_a_size_alone_tells_nothing(web: Web):
    for by in ("content", "stat"):
        file = File(web.put("/a", b"one"), by=by)
        assert file.hash
        web.put("/a", b"two")
        assert not file.is_valid()


def test_a_change_of_just_now_may_be_followed_by_another_in_the_same_second(web: Web):
    now = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
    file = File(web.put("/a", b"one", Last_Modified=now))
    assert file.hash
    web.put("/a", b"two", Last_Modified=now)
    assert not file.is_valid()
    assert file.path not in STATS.fresh


def test_a_weak_tag_is_not_believed_alone(web: Web):
    file = File(web.put("/a", b"one", ETag='W/"1"'))
    assert file.hash
    web.put("/a", b"two", ETag='W/"1"')
    assert not file.is_valid()


def test_by_stat_time_and_size_are_enough(web: Web):
    file = File(web.put("/a", b"one", Last_Modified=OLD), by="stat")
    assert file.is_valid()
    assert web.count("GET") == 0
    web.put("/a", b"one", Last_Modified=NEWER)
    assert not file.is_valid()


def test_a_server_that_tells_no_size_is_read(web: Web):
    file = File(web.put("/a", b"one", Transfer_Encoding="identity"))
    assert (file.size(), file.read()) == (3, "one")
    assert file.is_valid()


def test_only_a_server_that_says_so_has_no_such_file(web: Web):
    for status in (404, 410):
        web.always["/a"] = status
        assert File(f"{web.url}/a").hash == ""
        assert not File(f"{web.url}/a").exists()
    with pytest.raises(FileNotFoundError, match="/a"):
        File(f"{web.url}/a").read()


@pytest.mark.parametrize("status", [401, 403, 407])
def test_a_server_that_refuses_is_told_so_with_a_hint(web: Web, status: int):
    file = File(web.put("/a", b"one", ETag='"1"'))
    web.always["/a"] = status
    for look in (file.state, file.exists, file.read, file.size):
        with pytest.raises(RemoteFileDenied, match=rf"{web.url}/a: {status}.*\[files.http\] of redun.toml"):
            look()


def test_headers_of_the_settings_are_sent(web: Web, monkeypatch: pytest.MonkeyPatch):
    url = web.put("/a", b"one", ETag='"1"')
    web.wanted["/a"] = "Bearer sesame"
    with pytest.raises(RemoteFileDenied):
        File(url).state()
    monkeypatch.setenv("TEST_TOKEN", "sesame")
    settings = {"http": {"client_kwargs": {"headers": {"Authorization": "Bearer ${TEST_TOKEN}"}}}}
    with told(settings):
        assert File(url).read() == "one"
    with told(settings, timeout=1):
        web.slow.add("/a")
        with pytest.raises(RemoteFileError, match="no answer in time"):
            File(url).state()


def test_many_files_of_a_server_that_is_not_there_fail_as_one_does():
    urls = [f"http://127.0.0.1:1/{number}" for number in range(2000)]
    began = time.process_time()
    with pytest.raises(RemoteFileError):
        File(urls[0]).filesystem.states(urls, "content")
    assert time.process_time() - began < 5


def test_a_server_that_fails_is_no_missing_file_and_an_old_state_is_not_called_changed(web: Web):
    file = File(web.put("/a", b"one", ETag='"1"'))
    assert file.hash
    web.always["/a"] = 500
    with pytest.raises(RemoteFileError, match=f"cannot look at {web.url}/a: the server answered 500"):
        file.is_valid()


def test_a_failure_that_passes_is_tried_again(web: Web):
    web.put("/a", b"one", ETag='"1"')
    web.failures["/a"] = [503, 503]
    assert File(f"{web.url}/a").hash
    web.failures["/a"] = [500]
    assert File(f"{web.url}/a").read() == "one"


def test_a_server_that_does_not_answer_is_waited_for_so_long_and_no_longer(web: Web):
    web.put("/a", b"one", ETag='"1"')
    web.slow.add("/a")
    with told({}, timeout=1), pytest.raises(RemoteFileError, match=r"no answer in time.*timeout"):
        File(f"{web.url}/a").state()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/a", "http://nowhere.invalid/a"])
def test_a_server_that_is_not_there_is_no_missing_file(url: str):
    for look in (File(url).state, File(url).exists, File(url).is_valid, File(url).read):
        with pytest.raises(RemoteFileError, match=f"{url}: .*"):
            look()


def test_web_pages_are_read_and_not_written(web: Web):
    file = File(web.put("/a", b"one", ETag='"1"'))
    with pytest.raises(OSError, match=r"read, not written.*/a"):
        file.write("two")
    with pytest.raises(RemoteFileError, match="not of directories"):
        Dir(f"{web.url}/a").files()


def test_a_page_is_copied_to_this_machine(web: Web, tmp_path: pytest.TempPathFactory):
    data = bytes(range(256)) * 10_000
    copy = File(web.put("/a.bin", data)).copy_to(f"{tmp_path}/")
    assert (copy.basename(), copy.read("rb")) == ("a.bin", data)


def test_a_page_can_be_gone_through_in_order_only(web: Web):
    with File(web.put("/a", b"one")).open("rb") as stream:
        assert not stream.seekable()
        with pytest.raises(OSError, match="copy"):
            stream.raw.seek(1)  # type: ignore[attr-defined]  # it is a buffered reader


def test_states_of_many_pages_are_asked_for_side_by_side(web: Web):
    urls = [web.put(f"/{number}", b"one", ETag=f'"{number}"') for number in range(50)]
    states = File(urls[0]).filesystem.states(urls, "content")
    assert len(set(states)) == 50
