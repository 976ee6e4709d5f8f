"""`redun doctor` as somebody meets it for whom something does not work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from redun.cli.app import main
from redun.cli.findings import size_text
from redun.core.codec import pack
from redun.core.errors import DigestCollision
from redun.core.objects import Status
from redun.store import Batch, Store, compression, condition, filesystem
from tests.store.collisions import values

Look = Callable[..., tuple[int, dict[str, list[dict[str, Any]]]]]


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The directory of a store in the working directory."""
    main(["init", "-q"])
    capsys.readouterr()
    return tmp_path / ".redun" / "store"


@pytest.fixture
def look(capsys: pytest.CaptureFixture[str]) -> Look:
    """Runs the command; returns its exit code and its findings by what they are about."""

    def run(*words: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
        code = main([*words, "doctor", "--json"] if words[:1] == ("--store",) else ["doctor", "--json", *words])
        said = capsys.readouterr()
        assert said.err == ""
        found: dict[str, list[dict[str, Any]]] = {}
        for finding in json.loads(said.out):
            found.setdefault(finding["about"], []).append(finding)
        return code, found

    return run


def marks(found: dict[str, list[dict[str, Any]]]) -> set[str]:
    return {finding["mark"] for findings in found.values() for finding in findings}


def not_ok(found: dict[str, list[dict[str, Any]]], section: str = "store") -> list[dict[str, Any]]:
    every = [finding for findings in found.values() for finding in findings]
    return [finding for finding in every if finding["section"] == section and finding["mark"] != "ok"]


# -- the command ------------------------------------------------------------------------------------------------------


def test_without_a_store_it_tells_of_the_installation(look: Look) -> None:
    code, found = look()
    assert code == 0
    assert "bad" not in marks(found)
    assert found["store"][0]["hint"] == "redun run makes one, or redun init"
    assert "redun-core" in found["redun"][0]["text"]
    for library in ("lmdb", "engine 0.9.", "xxhash", "msgpack", "click"):
        assert library in found["libraries"][0]["text"]
    assert sys.version.split()[0] in found["python"][0]["text"]
    assert not Path(".redun").exists()


def test_a_sound_store_is_told_in_lines(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    lines = said.out.splitlines()
    assert all(line.startswith(("  ok    ", "  warn  ", "  bad   ")) for line in lines)
    assert f"  ok    store           {store}" in lines
    assert any("detects damage, not malice" in line for line in lines)
    assert any("ok    data file" in line and "every page is sound" in line for line in lines)
    assert any("ok    durability" in line for line in lines)


def test_a_store_that_compresses_says_so_and_where_that_cannot_be_done(
    store: Path, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    pytest.importorskip(library)
    assert main(["init", "-q", "--compression", "zstd"]) == 0
    _, found = look()
    assert marks({"compression": found["compression"]}) == {"ok"}
    compression._library.cache_clear()
    monkeypatch.setitem(sys.modules, library.split(".")[0], None)
    code, found = look()
    compression._library.cache_clear()
    assert code == 0
    assert found["compression"][0]["mark"] == "warn"
    assert "zstd" in found["compression"][0]["hint"]


def test_quiet_leaves_out_what_is_ok(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (store / "incoming" / "left").write_bytes(bytes(9))
    os.utime(store / "incoming" / "left", (1, 1))
    assert main(["doctor", "-q"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "  ok  " in line] == []
    assert any("leftovers" in line for line in lines)


def test_it_leaves_the_store_as_it_is(store: Path, look: Look) -> None:
    def files() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in store.rglob("*") if path.is_file() and path.name != "lock.mdb"}

    before = files()
    look()
    assert files() == before


def test_a_fact_that_cannot_be_printed_here_is_escaped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = tmp_path / "odd\x1b[31m"
    odd.mkdir()
    monkeypatch.chdir(odd)
    main(["doctor"])
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(("size", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (10**13, "10.0 TB")])
def test_sizes_are_told_in_units(size: int, text: str) -> None:
    assert size_text(size) == text


# -- the installation -------------------------------------------------------------------------------------------------


def test_another_redun_in_the_environment_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: Look) -> None:
    info = tmp_path / "site" / "redun-0.44.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: redun\nVersion: 0.44.1\n")
    (info / "RECORD").write_text("redun/__init__.py,,\nredun-0.44.1.dist-info/METADATA,,\n")
    (tmp_path / "site" / "broken-1.dist-info").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    code, found = look()
    assert code == 0
    (finding,) = found["another redun"]
    assert finding["mark"] == "warn"
    assert "redun 0.44.1 owns 'redun' in this environment" in finding["text"]
    assert "redun-core" in finding["text"]
    assert "pip uninstall redun" in finding["hint"]


def test_a_module_of_our_name_in_the_way_is_named(tmp_path: Path, look: Look) -> None:
    (tmp_path / "redun.py").write_text("")
    _, found = look()
    assert [f["text"] for f in found["another redun"]] == [
        f"{tmp_path / 'redun.py'} is another module of that name where Python looks for modules"
    ]


def test_another_command_that_comes_first_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: Look) -> None:
    (tmp_path / "redun").write_text("#!/bin/sh\n")
    (tmp_path / "redun").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    _, found = look()
    own = Path(sys.executable).parent / "redun"
    assert found["command"][0]["mark"] == ("warn" if own.exists() else "ok")
    assert str(tmp_path / "redun") in found["command"][0]["text"]


# -- the store --------------------------------------------------------------------------------------------------------


def test_a_named_store_that_is_missing_is_bad(look: Look) -> None:
    code, found = look("--store", "nowhere")
    assert (code, found["store"][0]["mark"]) == (3, "bad")


def test_a_pointer_is_followed_and_told(tmp_path: Path, look: Look, capsys: pytest.CaptureFixture[str]) -> None:
    main(["init", "-q", "--at", "disk"])
    capsys.readouterr()
    code, found = look()
    assert code == 0
    assert str(tmp_path / "disk") in found["pointer"][0]["text"]


def test_a_pointer_to_another_store_than_the_named_one_is_not_told(
    look: Look, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["init", "-q", "--at", "disk"])
    main(["init", "-q", "other"])
    capsys.readouterr()
    assert "pointer" not in look("--store", "other")[1]


def test_a_pointer_that_leads_nowhere_is_bad(tmp_path: Path, look: Look) -> None:
    (tmp_path / ".redun").write_text("/no/such/place\n")
    code, found = look()
    assert code == 3
    assert "/no/such/place" in found["store"][0]["text"]


def test_a_sha256_store_is_told_as_such(look: Look) -> None:
    main(["init", "-q", "--object-format", "sha256"])
    _, found = look()
    assert "sha256: withstands" in found["object format"][0]["text"]


@pytest.mark.parametrize(
    ("file", "data", "code"),
    [
        ("data.mdb", None, 6),
        ("data.mdb", b"", 6),
        ("data.mdb", b"no database", 6),
        ("data.mdb", bytes(40_000), 6),
        ("FORMAT", None, 6),
        ("FORMAT", b"\xff\xfe", 3),
        ("FORMAT", b"something else\n", 3),
        ("FORMAT", b"redun store\nlayout 99\n", 4),
        ("FORMAT", b"redun store\nlayout 1\nobjects xxh3-128\nid zz\nengine lmdb-0.9\n", 6),
        ("synced", b"nonsense", 0),
    ],
)
def test_a_store_that_is_damaged_is_told_so_and_no_traceback(
    store: Path, look: Look, file: str, data: bytes | None, code: int
) -> None:
    (store / file).unlink()
    if data is not None:
        (store / file).write_bytes(data)
    found_code, found = look()
    assert found_code == code
    assert ("bad" in marks(found)) == (code != 0)


def test_a_store_that_has_lost_its_format_file_is_told_how_to_get_it_back(store: Path, look: Look) -> None:
    text = (store / "FORMAT").read_text()
    (store / "FORMAT").unlink()
    assert look()[1]["store"][0]["hint"] == "redun init here writes it anew"
    assert main(["init", "-q"]) == 0
    assert (store / "FORMAT").read_text() == text


def test_every_page_of_a_store_may_be_damaged(store: Path, look: Look) -> None:
    with Store.open(store) as opened:
        opened.put_many([("value", pack(bytes(100) + i.to_bytes(2, "big"))) for i in range(200)])
    sound = (store / "data.mdb").read_bytes()
    codes = set()
    for page in range(0, len(sound), 4096):
        (store / "data.mdb").write_bytes(sound[:page] + os.urandom(64) + sound[page + 64 :])
        codes.add(look()[0])
    assert 6 in codes
    assert codes <= {0, 6}


def test_what_is_left_of_writes_that_were_cut_off_is_told(store: Path, look: Look) -> None:
    (store / "incoming" / "new").write_bytes(bytes(10))
    assert "leftovers" not in look()[1]
    (store / "incoming" / "old").write_bytes(bytes(3000))
    os.utime(store / "incoming" / "old", (1, 1))
    code, found = look()
    assert code == 0
    assert "1 file of writes that were cut off, 3.0 kB" in found["leftovers"][0]["text"]


def test_a_collision_that_was_kept_is_told(store: Path, look: Look) -> None:
    with Store.open(store) as opened:
        one, two = values(53)
        opened.put("value", pack(one))
        with pytest.raises(DigestCollision):
            opened.put("value", pack(two))
    _, found = look()
    assert found["collisions"][0]["mark"] == "warn"
    assert "sha256" in found["collisions"][0]["hint"]


def test_a_run_that_has_died_is_told_and_one_that_goes_on_too(store: Path, look: Look) -> None:
    opened = Store.open(store)
    opened.begin_run(["run", "x"], {})
    assert [(f["mark"], f["text"].rpartition(") ")[2]) for f in look()[1]["runs"]] == [("ok", "is going on")]
    opened.close()
    code, found = look()
    assert [(f["mark"], f["text"].rpartition(") ")[2]) for f in found["runs"]] == [("warn", "has died")]
    assert code == 0


def _sealed(store: Path) -> None:
    with Store.open(store) as opened:
        opened.begin_run([], {}).seal(Batch(), root=None, status=Status.DONE, rows=0, counts=(), sources=())


def test_a_clock_that_went_back_is_told(store: Path, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    _sealed(store)
    assert look()[1]["clock"][0]["mark"] == "ok"
    now = time.time_ns
    with monkeypatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: now() - 10**9 * 3600)
        _sealed(store)
    assert "went back" in look()[1]["clock"][0]["text"]
    with monkeypatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: now() + 10**9 * 3600)
        _sealed(store)
    assert "in the future" in look()[1]["clock"][0]["text"]


READ = """
import sys
import lmdb
env = lmdb.open(sys.argv[1], readonly=True, max_dbs=128, lib_version=0)
with env.begin():
    print("reading", flush=True)
    sys.stdin.read()
"""


def test_a_reader_that_does_not_end_is_named(store: Path, look: Look) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", READ, str(store)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    child.stdout.readline()
    try:
        assert look()[1]["readers"][0]["text"].startswith("1 transaction of other processes")
        with Store.open(store) as opened:
            for number in range(120):
                opened.put("value", pack(number))
        (finding,) = look()[1]["readers"]
        assert finding["mark"] == "warn"
        assert finding["hint"] == f"end it: kill {child.pid}"
    finally:
        child.communicate("")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_that_may_not_be_written_is_told(store: Path, look: Look) -> None:
    (store / "data.mdb").chmod(0o444)
    _, found = look()
    assert "no permission to write to data.mdb" in found["permissions"][0]["text"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_store_that_may_not_be_read_is_bad(store: Path, look: Look) -> None:
    (store / "data.mdb").chmod(0o000)
    code, found = look()
    assert code == 5
    assert "no permission to read" in found["data file"][0]["text"]


def test_a_network_file_system_is_bad(store: Path, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    here = filesystem.type_at(store)
    monkeypatch.setattr(filesystem, "NETWORK_TYPES", frozenset({here}))  # as if the one here were one
    code, found = look()
    assert code == 5
    assert found["file system"][0]["text"].startswith(f"{here}, a network file system")
    assert "redun init --at" in found["file system"][0]["hint"]


def test_the_place_of_a_store_is_told_even_where_nothing_is_known_of_it(tmp_path: Path) -> None:
    place = condition.place(tmp_path)
    assert 0 < place.free <= place.total
    files = condition.files(tmp_path / "nowhere")
    assert (files.data, files.blobs, files.leftovers, files.collisions) == (None, 0, 0, 0)


# -- the tasks of a workflow ------------------------------------------------------------------------------------------

WORKFLOW = """
import os
import time
import msgpack
from redun import task
import doctor_helper

TABLE = {"a": 1}

@task()
def clean(x: int = 3) -> int:
    return doctor_helper.thing(x) + TABLE["a"]

@task()
def worldly(name: str) -> str:
    return os.environ["X"] + str(time.time()) + open(name).read() + getattr(os, name) + msgpack.packb(1).hex()

@task(version="2", track_versions=["msgpack"])
def versioned() -> int:
    return 1

exec("@task()\\ndef made():\\n    return 1")
"""
HELPER = """
from pathlib import Path

def thing(x):
    return len(Path("x").read_text()) + x
"""


@pytest.fixture
def workflow(tmp_path: Path) -> str:
    (tmp_path / "doctor_flow.py").write_text(WORKFLOW)
    (tmp_path / "doctor_helper.py").write_text(HELPER)
    return "doctor_flow.py"


def texts(found: dict[str, list[dict[str, Any]]], task: str, mark: str) -> str:
    return "\n".join(finding["text"] for finding in found[task] if finding["mark"] == mark)


def test_what_is_tracked_of_each_task_and_what_is_not(workflow: str, look: Look) -> None:
    code, found = look(workflow)
    assert code == 0
    assert "4 tasks in doctor_flow" in found["workflow"][0]["text"]
    assert texts(found, "clean", "ok") == "tracked: its own text, 1 function, 1 constant, 1 library name, 1 default"
    assert texts(found, "clean", "warn") == (
        "not tracked: doctor_helper.thing reads a file that is no redun.File (Path.read_text)"
    )
    told = texts(found, "worldly", "warn")
    for what in ("getattr()", "the environment (os.environ)", "the clock (time.time)", "a file that is no redun.File"):
        assert what in told
    assert "msgpack" in texts(found, "worldly", "ok")
    assert "its version is not tracked" in texts(found, "worldly", "ok")
    assert "its version alone" in texts(found, "versioned", "ok")
    assert "always runs" in texts(found, "made", "warn")
    assert "track_versions" in found["never tracked"][0]["text"]


def test_what_a_workflow_prints_is_no_part_of_the_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "loud.py").write_text("print('hello')\n")
    assert main(["doctor", "--json", "loud.py"]) == 0
    said = capsys.readouterr()
    assert said.err == "hello\n"
    assert "0 tasks in loud" in {finding["about"]: finding["text"] for finding in json.loads(said.out)}["workflow"]


@pytest.mark.parametrize("text", ["syntax error here", "import nothing_of_that_name", "raise SystemExit(3)", "1 / 0"])
def test_a_workflow_that_cannot_be_loaded_is_one_bad_line(tmp_path: Path, look: Look, text: str) -> None:
    (tmp_path / "broken.py").write_text(text)
    code, found = look("broken.py")
    assert code == 1
    assert found["workflow"][0]["mark"] == "bad"
    assert "broken.py cannot be loaded" in found["workflow"][0]["text"]


def test_a_workflow_that_is_missing_is_bad(look: Look) -> None:
    code, found = look("nothing.py")
    assert code != 0
    assert found["workflow"][0]["mark"] == "bad"
