"""Converting a store to the other object format: it says what it said, under other ids."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from redun.core.codec import Pointer, pack
from redun.core.digest import OBJECT_FORMATS, Digest
from redun.core.errors import DigestCollision, StoreDamaged, StoreError, StoreFormatError, StoreLocked
from redun.core.keys import CodeExternal, call_key
from redun.core.objects import CallRecord, HeadRecord, JobsRecord, Outcome, SourceRecord, TaskRecord, TaskSetRecord
from redun.store import Batch, MemoUpdate, Store, check, convert
from redun.store.gc.collect import GcOptions
from redun.store.gc.retention import KeepRules
from redun.store.lmdb_backend import LmdbBackend
from redun.store.lost import Loss, declare
from redun.store.rewriting import rewritten
from tests.store.collisions import blobs
from tests.store.moves import answers, fill, run, unfinished

OTHER = {"xxh3-128": "sha256", "sha256": "xxh3-128"}
BOTH = pytest.mark.parametrize("name", list(OBJECT_FORMATS))


def _made(path: Path, name: str) -> dict[str, object]:
    with Store.init(path, object_format=name) as store:
        fill(store)
        return answers(store)


def _ids(path: Path) -> list[Digest]:
    with Store.open(path, read_only=True) as store:
        return [digest for digest, _ in store.objects()]


@BOTH
def test_a_converted_store_says_what_it_said(tmp_path: Path, name: str) -> None:
    place = tmp_path / "s"
    before = _made(place, name)
    done = convert(place, OTHER[name])
    assert (done.before, done.after, done.forgotten) == (name, OTHER[name], 0)
    assert done.cache == 2  # the third went with what was pruned
    with Store.open(place) as store:
        assert store.format.name == OTHER[name]
        assert answers(store) == before
    assert list(check(place)) == []
    with Store.open(tmp_path / "s.before-convert") as store:
        assert answers(store) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s", "s.before-convert"]
    assert not (place / "converted").exists()


@BOTH
def test_there_and_back_again_every_object_has_the_id_that_it_had(tmp_path: Path, name: str) -> None:
    place = tmp_path / "s"
    with Store.init(place, object_format=name) as store:
        fill(store, prune=False)
        before = answers(store)
    first = _ids(place)
    convert(place, OTHER[name], keep=False)
    convert(place, name, keep=False)
    assert _ids(place) == first
    with Store.open(place) as store:
        assert answers(store) == before
    assert list(check(place)) == []
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


@BOTH
def test_the_call_that_a_job_was_compared_with_gets_its_new_id_and_is_left_out_where_it_is_gone(
    tmp_path: Path, name: str
) -> None:
    place = tmp_path / "s"
    with Store.init(place, object_format=name) as store:
        for number in range(3):
            run(store, number)
        store.prune(store.plan_pruning(KeepRules(last=2)))
        store.collect_garbage(GcOptions(expiry_s=0))
    convert(place, OTHER[name])
    with Store.open(place, read_only=True) as store:
        history = [record for _, record in store.executions()]
        compared = [row.compared for record in history for page in store.job_pages(record.pages) for row in page.rows]
        assert compared == [history[1].root, None]
        for digest, _ in store.objects("jobs"):
            payload = store.get(digest)[1]
            assert JobsRecord.parse(payload, strict=True).payload() == payload
    assert list(check(place)) == []


@BOTH
def test_ids_of_before_are_still_found(tmp_path: Path, name: str) -> None:
    place = tmp_path / "s"
    with Store.init(place, object_format=name) as store:
        run(store, 1)
        old = store.put_value(["something"])
    convert(place, OTHER[name])
    with Store.open(place, read_only=True) as store:
        for length in (8, 12, 2 * len(old)):
            ((kind, found),) = store.resolve(old.hex()[:length])
            assert (kind, store.get_value(found)) == ("value", ["something"])
        assert store.resolve("00" * 16) == []


def test_ids_of_before_are_found_after_several_conversions(tmp_path: Path) -> None:
    place = tmp_path / "s"
    with Store.init(place) as store:
        old = store.put_value(["something"])
    for name in ("sha256", "xxh3-128", "sha256"):
        convert(place, name, keep=False)
    with Store.open(place, read_only=True) as store:
        ((_, found),) = store.resolve(old.hex())
        assert store.get_value(found) == ["something"]


@BOTH
def test_values_and_code_get_the_ids_that_they_would_have_been_given(tmp_path: Path, name: str) -> None:
    place, large = tmp_path / "s", "x" * 70_000
    values = [
        {(large + str(i), i) for i in range(20)},
        frozenset({large, "a", (1, large + "!")}),
        [large, {"k": (large, [large])}],
        b"x" * 2_000_000,
        "y" * 1_500_000,
        list(range(500_000)),
        {i: str(i) for i in range(200_000)},
        (2**70, 1.5, None, {3, 1, 2}),
    ]
    with Store.init(place, object_format=name) as store:
        for value in values:
            store.put_value(value)
    convert(place, OTHER[name])
    there = set(_ids(place))
    with Store.memory(OTHER[name]) as store:
        for value in values:
            assert store.put_value(value) in there
            assert {digest for digest, _ in store.objects()} <= there


def test_a_deep_value_is_converted(tmp_path: Path) -> None:
    value: object = "x" * 70_000
    for _ in range(60):
        value = [value]
    with Store.init(tmp_path / "s") as store:
        digest = store.put_value(value)
    with Store.memory("sha256") as scratch:
        wanted = scratch.put_value(value)
    convert(tmp_path / "s", "sha256")
    assert wanted in _ids(tmp_path / "s")
    assert digest not in _ids(tmp_path / "s")


def test_a_payload_with_structure_as_deep_as_it_may_be_is_rewritten() -> None:
    value: object = Pointer(bytes(16))
    for _ in range(400):
        value = [value]
    new = Digest(b"n" * 32)
    assert rewritten("tool.thing", pack(value), lambda _: new).endswith(bytes(new))


def test_a_key_with_the_code_of_classes_is_made_anew(tmp_path: Path) -> None:
    from redun.core.codec import ExtType

    place = tmp_path / "s"

    def parts(store: Store) -> tuple[Digest, Digest, Digest]:
        text = store.put("source", SourceRecord("class Box: ...").payload())
        task = store.put("task", TaskRecord("boxed", "closure").payload())
        box = pack(ExtType(5, pack(["moved:Box", ["n"], [1]])))
        return text, task, store.put("value", box)

    with Store.init(place) as store:
        (code, task, arg), result = parts(store), store.put_value(1)
        older = store.put("source", SourceRecord("class Box: ... # older").payload())
        for version in (older, code):
            store.put_value(CodeExternal("moved:Box", version))
        head = store.put(
            "footprint", HeadRecord(store.put("footprint", TaskSetRecord((("boxed", task, ()),)).payload())).payload()
        )
        call = store.put("call", CallRecord(task, (arg,), None, Outcome.VALUE, result).payload())
        keys = [call_key(store.format, task, [arg], [code]), call_key(store.format, task, [arg], [Digest(b"?" * 16)])]
        store.commit(Batch(memo=[MemoUpdate(key, "boxed", result, False, call, head) for key in keys]))  # type: ignore[arg-type]
    done = convert(place, "sha256")
    assert (done.cache, done.forgotten) == (1, 1)
    with Store.open(place) as store:
        code, task, arg = parts(store)
        row = store.lookup({}, [call_key(store.format, task, [arg], [code])])[0]
        assert row is not None
        assert store.get_value(row.reduction) == 1


def test_what_is_declared_missing_or_lost_stays_so(tmp_path: Path) -> None:
    place = tmp_path / "s"
    with Store.init(place) as store:
        fill(store)
        gone = store.put_value("will be lost")
        store.set_ref("holder", store.put("tool.thing", pack([Pointer(gone)])), expected=None, reason="")
    backend = LmdbBackend(place)
    backend.write(lambda txn: (txn.delete("objects", gone), declare(txn, gone, Loss(1, "value"))))
    backend.close()
    assert list(check(place)) == []
    with Store.open(place) as store:
        before = answers(store)
    convert(place, "sha256")
    assert list(check(place)) == []
    with Store.open(place) as store:
        assert answers(store) == before


# -- what is refused --------------------------------------------------------------------------------------------------


def test_the_same_format_is_nothing_to_do(tmp_path: Path) -> None:
    _made(tmp_path / "s", "sha256")
    assert convert(tmp_path / "s", "sha256").objects == 0
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_one_that_is_open_is_not_converted(tmp_path: Path) -> None:
    with Store.init(tmp_path / "s") as store:
        unfinished(store)
        with pytest.raises(StoreLocked, match="open elsewhere"):
            convert(tmp_path / "s", "sha256")
    convert(tmp_path / "s", "sha256")  # the run has died by now, and is part of the history
    with Store.open(tmp_path / "s", read_only=True) as store:
        assert [record.argv for _, record in store.executions()] == [("unfinished",)]


def test_one_with_a_run_of_another_machine_is_not_converted(tmp_path: Path) -> None:
    with Store.init(tmp_path / "s") as store:
        store.begin_run(["there"], {"host": "elsewhere", "boot": "another"})
    with pytest.raises(StoreLocked, match="another machine"):
        convert(tmp_path / "s", "sha256")
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_a_damaged_one_is_not_converted(tmp_path: Path) -> None:
    place = tmp_path / "s"
    with Store.init(place) as store:
        fill(store)
        store.put("tool.thing", pack([Pointer(bytes(16))]))
    before = _ids(place)
    with pytest.raises(StoreDamaged) as caught:
        convert(place, "sha256")
    assert "fsck --repair" in caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
    assert _ids(place) == before


def test_a_collision_in_the_new_format_changes_nothing(tmp_path: Path) -> None:
    one, two = blobs(300)
    with Store.init(tmp_path / "s", object_format="sha256") as store:
        store.put_many([("blob", one), ("blob", two)])
    with pytest.raises(DigestCollision):
        convert(tmp_path / "s", "xxh3-128")
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
    assert len(_ids(tmp_path / "s")) == 2


def test_what_was_kept_before_is_not_overwritten(tmp_path: Path) -> None:
    _made(tmp_path / "s", "sha256")
    (tmp_path / "s.before-convert").touch()
    with pytest.raises(StoreError, match="is there already"):
        convert(tmp_path / "s", "xxh3-128")


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    Store.init(tmp_path / "s").close()
    with pytest.raises(StoreFormatError):
        convert(tmp_path / "s", "md5")


# -- what goes with it ------------------------------------------------------------------------------------------------


def test_large_files_are_shared_and_the_key_of_secrets_is_copied(tmp_path: Path) -> None:
    place = tmp_path / "s"
    with Store.init(place) as store:
        store.put_blob([b"x" * 3_000_000], 3_000_000)
    (place / "secret.key").write_bytes(b"k" * 32)
    (place / "secret.key").chmod(0o600)
    convert(place, "sha256")
    files = [path for kept in (place, tmp_path / "s.before-convert") for path in (kept / "blobs").rglob("*/*")]
    assert len({os.stat(path).st_ino for path in files}) == 1 < len(files)
    assert (place / "secret.key").read_bytes() == b"k" * 32
    assert (place / "secret.key").stat().st_mode & 0o777 == 0o600


def test_a_store_that_is_reached_by_a_link_or_a_pointer_is_converted_where_it_lies(tmp_path: Path) -> None:
    _made(tmp_path / "home" / "store", "xxh3-128")
    (tmp_path / "link").symlink_to(tmp_path / "home" / "store")
    (tmp_path / "pointer").write_text(f"{tmp_path / 'home'}\n")
    convert(tmp_path / "link", "sha256", keep=False)
    assert (tmp_path / "link").is_symlink()
    convert(tmp_path / "pointer", "xxh3-128")
    with Store.open(tmp_path / "link", read_only=True) as store:
        assert store.format.name == "xxh3-128"


def test_the_history_goes_on_in_the_same_chain(tmp_path: Path) -> None:
    place = tmp_path / "s"
    with Store.init(place) as store:
        run(store, 1)
        identity = store.id
    convert(place, "sha256")
    with Store.open(place) as store:
        assert store.id == identity
        run(store, 2)
        assert len(list(store.executions())) == 2
        assert [entry.reason for entry in store.reflog(f"executions/{identity.hex()}")] == ["run", "run"]
        assert len(store.refs()) == 1
    assert list(check(place)) == []


def test_who_reads_goes_on_reading_and_who_opens_finds_the_new_one(tmp_path: Path) -> None:
    place = tmp_path / "s"
    with Store.init(place) as store:
        old = store.put_value("here")
    with Store.open(place, read_only=True) as reader:
        convert(place, "sha256")
        assert reader.get_value(old) == "here"
        with Store.open(place) as store:
            assert store.format.name == "sha256"
            assert store.get_value(store.resolve(old.hex())[0][1]) == "here"


def test_what_a_process_that_died_has_left_is_taken_away_or_finished(tmp_path: Path) -> None:
    place, beside = tmp_path / "s", tmp_path / "s.converting"
    before = _made(place, "xxh3-128")
    beside.mkdir()
    (beside / "data.mdb").write_bytes(b"half")
    convert(place, "sha256")
    # As after a kill between the exchange and the last renaming.
    os.rename(tmp_path / "s.before-convert", beside)
    (place / "converted").touch()
    assert convert(place, "sha256").objects == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s", "s.before-convert"]
    assert not (place / "converted").exists()
    for kept in (place, tmp_path / "s.before-convert"):
        with Store.open(kept) as store:
            assert answers(store) == before


def test_times_and_runs_are_not_touched(tmp_path: Path) -> None:
    place = tmp_path / "s"
    with Store.init(place) as store:
        run(store, 1)
        ((_, record),) = store.executions()
    now = time.time_ns() // 1000
    convert(place, "sha256")
    with Store.open(place, read_only=True) as store:
        ((_, after),) = store.executions()
    assert after.start == record.start < now
    assert after.uuid == record.uuid


#: Opens a store again and again, for reading and for writing, until it has seen both formats; anything but an answer or
#: a lock is an error.
OPENER = """
import sys
from redun.store import Store, StoreLocked
print("ready", flush=True)
number, seen = 0, set()
while len(seen) < 2:
    number += 1
    try:
        with Store.open(sys.argv[1], read_only=bool(number % 3)) as store:
            seen.add(store.format.name)
            ((kind, digest),) = store.resolve(sys.argv[2])
            assert store.get_value(digest) == ["here"]
    except StoreLocked:
        pass
"""


def test_who_opens_it_while_it_is_converted_finds_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    place = tmp_path / "s"
    with Store.init(place) as store:
        fill(store)
        digest = store.put_value(["here"])
    words = [sys.executable, "-c", OPENER, place, digest.hex()]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as opener:
        assert opener.stdout is not None
        assert opener.stdout.readline() == "ready\n"
        while True:
            try:
                convert(place, "sha256")
                break
            except StoreLocked:
                continue
        _, told = opener.communicate(timeout=60)
    assert (opener.returncode, told) == (0, "")


def test_a_disk_that_is_full_changes_nothing(tmp_path: Path) -> None:
    program = """
import resource, signal, sys
from redun.store import StoreFailing, StoreFull, convert
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    convert(sys.argv[1], "sha256")
except (StoreFull, StoreFailing):  # a limit that is met in the middle of a page is taken for a failing disk
    print("full")
"""
    place = tmp_path / "s"
    with Store.init(place) as store:
        fill(store)
        store.put_many([("blob", bytes([number]) * 500_000) for number in range(20)])
    before = _ids(place)
    for most in (100_000, 1_000_000, 3_000_000):
        done = subprocess.run(
            [sys.executable, "-c", program, place, str(most)], capture_output=True, text=True, check=False
        )
        assert (done.stdout, done.stderr) == ("full\n", "")
        assert [path.name for path in tmp_path.iterdir()] == ["s"]
        assert _ids(place) == before
