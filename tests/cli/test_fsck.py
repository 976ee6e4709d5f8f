"""`redun fsck`: what it says, to people and to scripts, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from redun.cli import exits
from redun.cli.app import main as redun
from redun.core.codec import pack
from redun.core.digest import Digest
from redun.store import Store

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a store, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    Store.init(tmp_path / ".redun" / "store").close()
    return tmp_path


def _damage(place: Path) -> Digest:
    with Store.open(place / ".redun" / "store") as store:
        digest = store.put("value", pack("hello"))
        store._backend.write(lambda txn: txn.put("objects", digest, b"\0\0" + pack("hullo")))
    return digest


def test_a_sound_store_is_called_so(place: Path, capsys: Capture) -> None:
    with Store.open(place / ".redun" / "store") as store:
        store.put_many([("value", pack(number)) for number in range(1500)])
    assert redun(["fsck"]) == exits.OK
    assert capsys.readouterr().out == f"{place}/.redun/store: sound (1,500 objects, 0 cache entries)\n"
    assert redun(["fsck", "-q"]) == exits.OK
    assert capsys.readouterr().out == ""


def test_each_problem_is_a_line_with_what_to_do(place: Path, capsys: Capture) -> None:
    digest = _damage(place)
    assert redun(["fsck"]) == exits.DAMAGE_REMAINS == 11
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith(
        f"object: the bytes of value {digest.hex()} do not fit its id; run the workflow that made it"
    )
    assert last.startswith(f"{place}/.redun/store: 1 problem (1 objects")
    assert redun(["fsck", "-q"]) == exits.DAMAGE_REMAINS
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_level_looks_no_deeper(place: Path, capsys: Capture) -> None:
    _damage(place)
    assert redun(["fsck", "--level", "0"]) == exits.OK
    assert capsys.readouterr().out == f"{place}/.redun/store: sound\n"
    assert redun(["fsck", "--level", "1"]) == exits.DAMAGE_REMAINS
    assert redun(["fsck", "--level", "5"]) == exits.USAGE


def test_json_has_the_same_facts(place: Path, capsys: Capture) -> None:
    store = str(place / ".redun" / "store")
    assert redun(["fsck", "--json", "--level", "1"]) == exits.OK
    sound = {
        "store": store,
        "level": 1,
        "sound": True,
        "objects": 0,
        "cache_entries": None,
        "known_losses": None,
        "problems": [],
    }
    assert json.loads(capsys.readouterr().out) == sound
    digest = _damage(place)
    assert redun(["fsck", "--json"]) == exits.DAMAGE_REMAINS
    found = json.loads(capsys.readouterr().out)
    assert (found["sound"], found["objects"], found["cache_entries"]) == (False, 1, 0)
    [problem] = found["problems"]
    assert (problem["level"], problem["what"], problem["where"]) == (1, "object", digest.hex())
    assert problem["message"]
    assert problem["remedy"]


def test_a_data_file_in_pieces_is_damage_and_not_the_end_of_the_process(place: Path, capsys: Capture) -> None:
    data = place / ".redun" / "store" / "data.mdb"
    data.write_bytes(b"\xff" * data.stat().st_size)
    assert redun(["fsck"]) == exits.DAMAGE_REMAINS
    assert "file: data.mdb" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--store", "nowhere", "fsck"], ["fsck"]])
def test_what_is_not_there_could_not_be_checked(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert redun(words) == exits.UNCHECKED == 12
    assert capsys.readouterr().err.startswith("redun: error: no ")


def test_a_newer_store_could_not_be_checked(place: Path, capsys: Capture) -> None:
    path = place / ".redun" / "store" / "FORMAT"
    path.write_text(path.read_text().replace("layout 1", "layout 9"))
    assert redun(["fsck"]) == exits.UNCHECKED
    assert "upgrade" in capsys.readouterr().err


def test_names_in_a_store_do_not_move_the_cursor(place: Path, capsys: Capture) -> None:
    with Store.open(place / ".redun" / "store") as store:
        store._backend.write(lambda txn: txn.put("refs", b"a\x1b[31m\nb", b"x" * 16))
    assert redun(["fsck"]) == exits.DAMAGE_REMAINS
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert len(out.splitlines()) == 2


# -- repair -----------------------------------------------------------------------------------------------------------


def test_a_repair_says_what_it_did_and_where_it_kept_things(place: Path, capsys: Capture) -> None:
    digest = _damage(place)
    assert redun(["fsck", "--repair"]) == exits.REPAIRED == 10
    *did, kept, verdict = capsys.readouterr().out.splitlines()
    assert did == [
        f"object: value {digest.hex()} was damaged and is taken out; the next run that needs it makes it again"
    ]
    assert kept.startswith(f"what was taken out is kept in {place}/.redun/store/damaged/")
    assert verdict == f"{place}/.redun/store: repaired"
    assert redun(["fsck"]) == exits.OK
    assert "; 1 object is known to be lost since a repair" in capsys.readouterr().out
    assert redun(["fsck", "--repair"]) == exits.OK
    assert capsys.readouterr().out == f"{place}/.redun/store: sound\n"


def test_a_plan_changes_nothing(place: Path, capsys: Capture) -> None:
    digest = _damage(place)
    assert redun(["fsck", "--repair", "--dry-run"]) == exits.DAMAGE_REMAINS
    first, _ = capsys.readouterr().out.splitlines()
    assert f"{digest.hex()} do not fit its id; with --repair it is had back from" in first
    assert redun(["fsck", "-q"]) == exits.DAMAGE_REMAINS


def test_what_a_repair_leaves_is_named(place: Path, capsys: Capture) -> None:
    with Store.open(place / ".redun" / "store") as store:
        store.put("call", pack([1]))
    assert redun(["fsck", "--repair"]) == exits.DAMAGE_REMAINS
    assert capsys.readouterr().out.endswith("/.redun/store: 1 problem remains\n")
    (place / ".redun" / "store" / "data.mdb").write_bytes(b"")
    assert redun(["fsck", "--repair", "--json"]) == exits.DAMAGE_REMAINS
    found = json.loads(capsys.readouterr().out)
    assert (found["sound"], found["kept"], [problem["where"] for problem in found["problems"]]) == (
        False,
        None,
        ["data.mdb"],
    )


def test_a_store_in_use_is_not_repaired(place: Path, capsys: Capture) -> None:
    with Store.open(place / ".redun" / "store"):
        assert redun(["fsck", "--repair"]) == exits.UNCHECKED
    assert "open elsewhere" in capsys.readouterr().err


def test_a_plan_is_of_a_repair(place: Path, capsys: Capture) -> None:
    assert redun(["fsck", "--dry-run"]) == exits.USAGE
    assert "--repair --dry-run" in capsys.readouterr().err
