"""Tasks over files elsewhere: what changed runs again and nothing else; what cannot be told of fails, unguessed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from redun.core.errors import RemoteFileError
from redun.core.files.file import File
from redun.core.files.memo import STATS
from redun.core.files.sets import Dir
from redun.core.objects import Status
from tests.executor.flows import Flow
from tests.servers.running import Server, s3_server, told
from tests.servers.web_server import Web, web_server

COUNTS = """
@task()
def count(data):
    ran("count")
    out = File("memory://flow/out/count.txt")
    out.write(str(len(data.read().split())))
    return out

@task()
def shout(file):
    ran("shout")
    return file.read() + "!"

@task()
def main(): return shout(count(File("memory://flow/in.txt")))
"""


@pytest.fixture
def memory() -> Iterator[Dir]:
    files = Dir("memory://flow")
    files.file("in.txt").write("a b c")
    yield files
    files.rmdir(recursive=True)


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as server:
        yield server


def test_what_did_not_change_runs_nothing(flow: Flow, memory: Dir):
    flow.load(COUNTS)
    assert flow() == "3!"
    assert flow.ran == ["count", "shout"]
    assert flow() == "3!"
    assert flow.ran == []
    memory.file("in.txt").write("a b c")
    memory.file("in.txt").touch()
    assert flow() == "3!"
    assert flow.ran == []


def test_an_edited_input_runs_what_read_it(flow: Flow, memory: Dir):
    flow.load(COUNTS)
    flow()
    memory.file("in.txt").write("a b c d")
    assert flow() == "4!"
    assert flow.ran == ["count", "shout"]
    memory.file("in.txt").write("e f g h")
    assert flow() == "4!"
    assert flow.ran == ["count"]


@pytest.mark.parametrize("change", ["delete", "edit"])
def test_an_output_that_is_deleted_or_edited_runs_its_producer_and_no_other(flow: Flow, memory: Dir, change: str):
    flow.load(COUNTS)
    flow()
    output = memory.file("out/count.txt")
    if change == "delete":
        output.remove()
    else:
        output.write("something else")
    assert flow() == "3!"
    assert flow.ran == ["count"]
    assert output.read() == "3"
    assert flow() == "3!"
    assert flow.ran == []


def test_a_set_of_files_runs_again_what_took_it_when_a_member_comes_changes_or_goes(flow: Flow, memory: Dir):
    flow.load("""
from redun.core.files.sets import FileSet

@task()
def join(files):
    ran("join")
    return " ".join(file.read() for file in files)

@task()
def main(): return join(FileSet("memory://flow/*.txt"))
""")
    assert flow() == "a b c"
    memory.file("other.txt").write("d")
    assert flow() == "a b c d"
    memory.file("other.csv").write("e")
    assert flow() == "a b c d"
    assert flow.ran == []
    memory.file("in.txt").remove()
    assert flow() == "d"


PAGE = """
@task()
def read(page):
    ran("read")
    return page.read()

@task()
def main(url): return read(File(url))
"""


def test_a_page_that_changed_is_read_again(flow: Flow, web: Web):
    flow.load(PAGE)
    url = web.put("/a", b"one", ETag='"1"')
    assert flow(f"main({url!r})") == "one"
    assert flow(f"main({url!r})") == "one"
    assert flow.ran == []
    web.put("/a", b"two", ETag='"2"')
    assert flow(f"main({url!r})") == "two"


def test_a_page_without_a_tag_is_read_once_by_all_runs_and_processes(flow: Flow, web: Web):
    flow.load(PAGE)
    url = web.put("/a", b"one", Last_Modified="Mon, 01 Jan 2024 00:00:00 GMT")
    assert flow(f"main({url!r})") == "one"
    read = web.count("GET")
    STATS._rows.clear()  # as a new process begins
    assert flow(f"main({url!r})") == "one"
    assert web.count("GET") == read
    web.put("/a", b"two", Last_Modified="Mon, 01 Jan 2024 00:00:01 GMT")
    assert flow(f"main({url!r})") == "two"


def test_an_input_of_which_nothing_is_told_fails_the_job_and_what_was_computed_stays(flow: Flow, web: Web):
    flow.load(PAGE)
    url = web.put("/a", b"one", ETag='"1"')
    flow(f"main({url!r})")
    web.always["/a"] = 500
    execution = flow.execute(f"main({url!r})")
    assert execution.status is Status.FAILED
    assert isinstance(execution.error, RemoteFileError)
    assert url in str(execution.error)
    assert flow.ran == []
    del web.always["/a"]
    assert flow(f"main({url!r})") == "one"
    assert flow.ran == []


def test_an_output_of_which_nothing_is_told_does_not_run_its_producer_again(flow: Flow, web: Web):
    flow.load("""
@task()
def find(url):
    ran("find")
    return File(url)

@task()
def main(url): return [find(url), 1]
""")
    url = web.put("/a", b"one", ETag='"1"')
    flow(f"main({url!r})")
    web.always["/a"] = 503
    execution = flow.execute(f"main({url!r})")
    assert isinstance(execution.error, RemoteFileError)
    assert flow.ran == []
    del web.always["/a"]
    assert flow(f"main({url!r})")[1] == 1
    assert flow.ran == []
    web.always["/a"] = 404
    flow(f"main({url!r})")
    assert flow.ran == ["find"]


def test_a_file_of_which_nothing_is_told_can_be_handled_as_any_failure(flow: Flow, web: Web):
    flow.load("""
from redun.core.errors import RemoteFileError
from redun.core.functional import catch

@task()
def read(page): return page.read()

@task()
def give_up(error): return str(error)

@task()
def find(url): return read(File(url))

@task()
def main(url): return catch(find(url), RemoteFileError, give_up)
""")
    web.always["/a"] = 500
    assert "/a" in flow(f"main({web.url + '/a'!r})")
    url = web.put("/a", b"one", ETag='"1"')
    del web.always["/a"]
    assert flow(f"main({url!r})") == "one"


def test_a_page_that_changes_while_it_is_read_leaves_nothing_cached(flow: Flow, web: Web):
    flow.load(PAGE)
    url = web.put("/a", b"one", ETag='"1"')
    web.then["/a"] = lambda: web.put("/a", b"two", ETag='"2"')
    assert flow(f"main({url!r})") == "one"
    assert any(f"{url} changed while read ran on it" in warning for warning in flow.watcher.warnings)
    web.put("/a", b"one", ETag='"1"')
    assert flow(f"main({url!r})") == "one"
    assert flow.ran == ["read"]


def test_retries_wait_out_a_server_on_a_bad_day(flow: Flow, web: Web):
    flow.load("""
@task(retries=3)
def fetch(url):
    ran("fetch")
    return File(url).read()
""")
    url = web.put("/a", b"one", ETag='"1"')
    web.failures["/a"] = [500] * 4
    assert flow(f"fetch({url!r})") == "one"
    assert flow.ran == ["fetch", "fetch"]


@pytest.fixture(scope="module")
def s3() -> Iterator[Server]:
    with s3_server() as server, told(server.settings):
        yield server


@pytest.mark.parametrize("executor", ["processes", "dask"])
def test_files_elsewhere_travel_to_workers_which_are_told_what_the_run_was(flow: Flow, s3: Server, executor: str):
    if executor == "dask" and flow.replay == "step":
        pytest.skip("one cluster is enough")
    config = {"executors": {"dask": {"type": "dask", "workers": 1}}} if executor == "dask" else None
    flow.load(f"""
@task(executor="{executor}")
def copy(file, number):
    out = File(f"{s3.url}/{executor}/{{number}}.txt")
    out.write(file.read() * number)
    return out

@task()
def main(): return [copy(File("{s3.url}/{executor}/in.txt"), number) for number in (1, 2, 3)]
""")
    File(f"{s3.url}/{executor}/in.txt").write("x")
    first = flow(config=config)
    assert [file.read() for file in first] == ["x", "xx", "xxx"]
    first[1].remove()
    assert [file.read() for file in flow(config=config)] == ["x", "xx", "xxx"]
