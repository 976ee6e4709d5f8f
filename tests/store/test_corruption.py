"""Bytes flipped on disk: a wrong answer never, an error of ours always, and the process lives."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from redun.core.codec import Pointer, pack
from redun.core.digest import Digest, Key
from redun.core.objects import CallRecord, Outcome, Status
from redun.store import Batch, MemoUpdate, Store

#: Flips one byte after the other, opens, and reads everything that there is to read. The good answers come first.
_FLIPPER = """
import sys
from pathlib import Path
from redun.core.errors import RedunError
from redun.store import Store

directory, positions = Path(sys.argv[1]), range(*map(int, sys.argv[2:5]))
key = bytes.fromhex(sys.argv[5])
answers = {}

def read(name, function):
    try:
        answer = function()
    except RedunError:
        return "error"
    except KeyError:
        return "error"
    if name not in answers:
        answers[name] = answer
    if answer != answers[name] and name != "memo":
        print("WRONG", name, answer)
    if name == "memo" and answer not in ([None], answers[name]):
        print("WRONG", name, answer)
    return "right"

def everything(store):
    outcomes = [read("ids", lambda: store.resolve("", 99))] if not answers else []
    for kind, digest in list(answers.get("ids", [])):
        def get(digest=digest):
            if not store.has(digest):
                raise KeyError(digest)
            return store.get(digest)
        outcomes.append(read(digest, get))
    outcomes.append(read("memo", lambda: store.lookup({}, [key])))
    return outcomes

with Store.open(directory, read_only=True) as store:
    everything(store)
data = directory / "data.mdb"
good = data.read_bytes()
seen = {"refused": 0, "error": 0, "right": 0}
for position in positions:
    bad = bytearray(good)
    bad[position] ^= 1 << position % 8
    data.write_bytes(bad)
    try:
        store = Store.open(directory, read_only=True)
    except RedunError:
        seen["refused"] += 1
        continue
    with store:
        for outcome in everything(store):
            seen[outcome] += 1
data.write_bytes(good)
print(seen["refused"] > 0, seen["error"] > 0, seen["right"] > 0)
"""


def _small_store(path: Path) -> Key:
    with Store.init(path) as store:
        run = store.begin_run(["test"], {})
        value = store.put("value", pack([1, "two", 3.0]))
        call = store.put("call", CallRecord(value, (value,), None, Outcome.VALUE, value).payload())
        store.put_many([("value", pack([Pointer(call), "x" * i])) for i in range(0, 3000, 300)])
        key = Key(b"k" * store.format.size)
        memo = MemoUpdate(key, "t", value, False, call, Digest(b"h" * store.format.size))
        run.seal(Batch(memo=[memo]), root=call, status=Status.DONE, rows=1, counts=(), sources=())
    return key


def _flip(path: Path, key: Key, start: int, stop: int, step: int) -> list[str]:
    words = [sys.executable, "-c", _FLIPPER, str(path), str(start), str(stop), str(step), key.hex()]
    done = subprocess.run(words, check=False, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, f"killed by {done.returncode}"
    return done.stdout.split()


@pytest.mark.parametrize("verified", [False, True])
def test_flipped_bytes_of_the_data_file_never_give_a_wrong_answer(tmp_path: Path, verified: bool) -> None:
    key = _small_store(tmp_path)
    data = (tmp_path / "data.mdb").read_bytes()
    if verified:
        # As after copying the file: then nothing is mapped before it was verified, and any byte may be hit.
        (tmp_path / "synced").unlink()
        assert _flip(tmp_path, key, 5, len(data), 397) == ["True", "True", "True"]
    else:
        # Only bytes of objects: what LMDB itself reads is trusted as long as the machine has been up.
        # A page that was written again leaves its old copy in the file: not every place that looks like one is read.
        places = [match.start() for match in re.finditer(b"x{300}", data)]
        seen = [_flip(tmp_path, key, at, at + 300, 60) for at in places]
        assert all(refused == "False" and right == "True" for refused, _, right in seen)
        assert any(error == "True" for _, error, _ in seen)


def test_flipped_bytes_of_the_other_files_are_noticed(tmp_path: Path) -> None:
    _small_store(tmp_path)
    good = (tmp_path / "FORMAT").read_bytes()
    script = """
import sys
from redun.core.errors import RedunError
from redun.store import Store
path = sys.argv[1]
good = open(path + "/FORMAT", "rb").read()
for position in range(len(good)):
    with open(path + "/FORMAT", "wb") as file:
        file.write(good[:position] + bytes([good[position] ^ 2]) + good[position + 1:])
    try:
        Store.open(path, read_only=True).close()
        print("opened", position)
    except RedunError:
        pass
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, stdout=subprocess.PIPE, text=True)
    assert done.stdout == ""
    (tmp_path / "FORMAT").write_bytes(good)
    assert os.listdir(tmp_path / "collisions") == []
