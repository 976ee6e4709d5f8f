"""`redun cat-object`: every kind, every form, and nothing of the user's code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from redun import task
from redun.cli import exits
from redun.cli.app import main as redun
from redun.core import codes
from redun.core.codec import ExtType, Pointer, pack
from redun.core.digest import Digest
from redun.core.frame import KINDS, unframe
from redun.core.objects import NoteRecord, SourceRecord, TreeRecord
from redun.executor.scheduler import Scheduler
from redun.store import Store
from redun.store.lookup_names import runs

redun_namespace = "ns.cat"


@task()
def get_planet() -> str:
    # which one is home
    return "World"


@task()
def greeter(greet: str, thing: str) -> str:
    return f"{greet}, {thing}!"


@task()
def main(greet: str = "Hello") -> Any:
    return [greeter(greet, get_planet()), broken()]


@task()
def broken() -> str:
    raise ValueError("no")


Cat = Callable[..., str]


@pytest.fixture(params=["xxh3-128", "sha256"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REDUN_STORE", raising=False)
    with Store.init(tmp_path / ".redun" / "store", object_format=request.param) as store:
        yield store


@pytest.fixture
def cat(capfd: pytest.CaptureFixture[str]) -> Cat:
    """Runs `redun cat-object` and returns what it printed."""

    def run(*words: str) -> str:
        code = redun(["cat-object", *words])
        done = capfd.readouterr()
        assert (code, done.err) == (0, "")
        return done.out

    return run


def filled(store: Store) -> dict[str, Digest]:
    """Puts one object of every kind at least; returns an id of each."""
    Scheduler(store).execute(main(), argv=["run", "w.py", "main"])
    blob = store.put_blob([b"\x00ab" * 1000], 3000)
    store.put("note", NoteRecord("tag", blob, "", (("a", "b"),), 1, "me").payload())
    store.put("tree", TreeRecord(0, 1, (blob,)).payload())
    run = next(runs(store))
    assert run.digest is not None
    found = {kind: digest for digest, kind, _ in store.walk([run.digest])}
    for prefix in range(256):
        found.update((kind, digest) for kind, digest in store.resolve(f"{prefix:02x}", 1000) if kind not in found)
    found["blob"] = blob
    found["tool.thing"] = store.put("tool.thing", pack([1, {"of": Pointer(blob)}, "another tool"]))
    return found


def test_the_raw_bytes_of_every_kind_hash_to_its_id(store: Store, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    objects = filled(store)
    assert set(objects) == {*KINDS, "tool.thing"}
    for kind, digest in objects.items():
        assert redun(["cat-object", "--raw", digest.hex()]) == 0
        framed = capfdbinary.readouterr().out
        assert store.format.hash(framed) == digest
        assert unframe(framed) == (kind, bytes(store.get(digest)[1]))


def test_kind_size_and_json_of_every_kind(store: Store, cat: Cat) -> None:
    for kind, digest in filled(store).items():
        payload = store.get(digest)[1]
        assert cat("-t", digest.hex()[:12]) == f"{kind}\n"
        assert cat("-s", digest.hex()) == f"{len(payload)}\n"
        document = json.loads(cat("--json", digest.hex()))
        assert (document["id"], document["kind"], document["size"]) == (digest.hex(), kind, len(payload))
        assert document["content"] is not None


def test_every_kind_has_a_form_for_people(store: Store, cat: Cat) -> None:
    objects = filled(store)
    for digest in objects.values():
        assert cat(digest.hex()) == cat("-p", digest.hex())
    shown = {kind: cat(digest.hex()) for kind, digest in objects.items()}
    assert shown["blob"].startswith("3,000 bytes\n\n00000000  00 61 62 00 61 62 ")
    assert shown["blob"].endswith("... 2,744 bytes more: --raw writes them all\n")
    assert shown["expr"] == "[greeter('Hello', get_planet()), broken()]\n"
    assert "argv:\n  run\n  w.py\n  main\n" in shown["exec"]
    assert "Traceback:\n" in shown["trace"]
    assert "topic: tag\n" in shown["note"]
    assert "children:\n" in shown["tree"]


def test_a_task_shows_its_exact_source(store: Store, cat: Cat) -> None:
    filled(store)
    shown = cat("get_planet")
    assert '  def get_planet() -> str:\n      # which one is home\n      return "World"\n' in shown
    assert "code: closure\n" in shown
    assert cat(cat("get_planet").split()[1]) == shown


def test_an_execution_is_named_by_uuid_and_position(store: Store, cat: Cat) -> None:
    digest = filled(store)["exec"]
    run = next(runs(store))
    for name in ("-", "~0", run.uuid.hex()[:8], digest.hex()):
        assert json.loads(cat("--json", name))["id"] == digest.hex()


def test_a_source_shows_where_it_was(store: Store, cat: Cat) -> None:
    digest = store.put("source", SourceRecord("def f():\n\treturn '\x1b'\n", "dir/w\x1b.py", 7).payload())
    assert cat(digest.hex()) == "dir/w\\x1b.py, line 7\n\ndef f():\n\treturn '\\x1b'\n"


def test_stored_classes_are_shown_and_never_looked_for(store: Store, cat: Cat) -> None:
    Path("trap.py").write_text("raise SystemExit('imported')")
    inner = ExtType(codes.DATACLASS, pack(["trap:Point", ["x", "y"], [1, [2]]]))
    digest = store.put("value", pack([inner]))
    assert cat(digest.hex()) == "[Point(x=1, y=[2])]\n"
    assert json.loads(cat("--json", digest.hex()))["content"] == [
        {"$dataclass": "trap:Point", "fields": {"x": 1, "y": [2]}}
    ]
    assert "trap" not in sys.modules


def test_a_value_is_laid_out_and_coloured_on_demand(store: Store, cat: Cat) -> None:
    digest = store.put("value", pack({"name": "x" * 100, "size": [1, 2, 3]}))
    assert cat(digest.hex()) == "{\n" + f"  'name': '{'x' * 100}',\n" + "  'size': [1, 2, 3],\n}\n"
    assert "\x1b[" in cat(digest.hex(), "--color", "always")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["ffffffffffff"], exits.MISSING, "names no"),
        (["-t", "-s", "-"], exits.USAGE, "do not go together"),
        (["--raw", "--json", "-"], exits.USAGE, "do not go together"),
        ([], exits.USAGE, "ID"),
    ],
)
def test_what_cannot_be_shown_is_one_line_and_an_exit_code(
    store: Store, capfd: pytest.CaptureFixture[str], words: list[str], code: int, message: str
) -> None:
    Scheduler(store).execute(get_planet())
    assert redun(["cat-object", *words]) == code
    done = capfd.readouterr()
    assert done.out == ""
    assert message in done.err


def test_a_job_is_no_object(store: Store, capfd: pytest.CaptureFixture[str]) -> None:
    Scheduler(store).execute(main())
    assert redun(["log", "-", "--json"]) == 0
    identity = json.loads(capfd.readouterr().out)["jobs"][1]["job"]
    assert redun(["cat-object", identity[:10]]) == exits.MISSING
    assert "redun log" in capfd.readouterr().err


def test_a_damaged_object_is_reported_and_not_shown(store: Store, capfd: pytest.CaptureFixture[str]) -> None:
    digest = store.put_blob([bytes(3_000_000)], 3_000_000)
    assert store.path is not None
    file = next(path for path in (store.path / "blobs").rglob("*") if path.name == digest.hex())
    file.chmod(0o644)
    with file.open("r+b") as stream:
        stream.write(b"\x01")
    assert redun(["cat-object", digest.hex()]) == exits.DAMAGED
    assert capfd.readouterr().out == ""
