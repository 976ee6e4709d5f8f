"""Stores that the real commands made, read and checked by a program that was written from FORMAT.md alone."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import lmdb
import pytest

from redun.core.codec import pack
from redun.core.digest import OBJECT_FORMATS, Digest
from redun.core.frame import object_id
from redun.core.objects import CallRecord, Outcome
from redun.store import Pointer, Store
from redun.store.checksums import with_checksum

READER = Path(__file__).with_name("format_reader.py")
SPEC = Path(__file__).resolve().parents[2] / "store" / "FORMAT.md"

WORKFLOW = """
import dataclasses
from redun import task, File
redun_namespace = "spec"

@dataclasses.dataclass
class Box:
    inside: list

@task()
def one(i: int) -> int:
    return i + 1

@task()
def total(*numbers: int) -> int:
    return sum(numbers)

@task()
def fold(numbers: list) -> list:
    return sorted(numbers)

@task()
def boxed(box: Box) -> Box:
    return Box(box.inside * 2)

@task()
def read(file: File) -> str:
    return file.read()

@task()
def broken(text: str) -> str:
    raise LookupError(text)

@task()
def main(n: int = 5, fails: bool = False):
    done = [fold([one(i) for i in range(n)]), total(*range(1500)), boxed(Box([one(7)])), b"x" * 2_000_000,
            list(range(600_000)), read(File("input.txt")), {1.5: (2**70, {3})}]
    return [done, broken("no")] if fails else done
"""


def _read(store: Path) -> tuple[list[str], dict[str, Any]]:
    """What the reader finds wrong with a store, and what it has seen."""
    done = subprocess.run([sys.executable, READER, store], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    *problems, seen = done.stdout.splitlines()
    assert done.returncode == bool(problems)
    return problems, json.loads(seen)


def _redun(*words: str, cwd: Path) -> int:
    redun = Path(sys.executable).with_name("redun")
    return subprocess.run([redun, *words], cwd=cwd, capture_output=True, check=False).returncode


@pytest.mark.parametrize("name", list(OBJECT_FORMATS))
def test_a_store_that_the_commands_made_keeps_every_must(tmp_path: Path, name: str) -> None:
    (tmp_path / "flow.py").write_text(WORKFLOW)
    (tmp_path / "input.txt").write_text("some input")
    assert _redun("init", "--object-format", name, cwd=tmp_path) == 0
    assert _redun("run", "flow.py", "main", cwd=tmp_path) == 0
    assert _redun("run", "flow.py", "main", "--n", "700", cwd=tmp_path) == 0
    assert _redun("run", "flow.py", "main", "--fails", cwd=tmp_path) != 0
    (tmp_path / "flow.py").write_text(WORKFLOW.replace("i + 1", "i + 2"))
    (tmp_path / "input.txt").write_text("other input")
    assert _redun("run", "flow.py", "main", cwd=tmp_path) == 0
    store = tmp_path / ".redun" / "store"
    with Store.open(store) as opened, opened.transaction() as txn:
        txn.set_ref(
            "tool/it", txn.put("tool.thing", pack({"a": Pointer(txn.put("blob", b"x"))})), expected=None, reason=""
        )
        txn.put("tool.large", pack(bytes(2_000_000)))
    problems, seen = _read(store)
    assert problems == []
    assert seen["kinds"]["exec"] == 4
    assert seen["kinds"]["tool.thing"] == seen["kinds"]["tool.large"] == 1
    assert {"value", "blob", "tree", "task", "source", "expr", "call", "footprint", "jobs", "trace"} <= set(
        seen["kinds"]
    )
    assert seen["keys"] > 700
    assert seen["refs"] == 2


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that holds a run."""
    place = tmp_path_factory.mktemp("original")
    (place / "flow.py").write_text(WORKFLOW)
    (place / "input.txt").write_text("some input")
    assert _redun("run", "flow.py", "main", cwd=place) == 0
    return place / ".redun" / "store"


@pytest.fixture
def made(original: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(original, tmp_path / "store"))


def _damage(store: Path, invariant: int) -> None:
    """Breaks one invariant of a store, by hand."""
    with Store.open(store, read_only=True) as opened:
        fmt = opened.format
        execution = next(iter(opened.objects("exec")))[0]
        source = next(iter(opened.objects("task")))[0]
    env = lmdb.open(str(store), max_dbs=64, lib_version=0)
    tables = {name: env.open_db(name.encode()) for name in ("objects", "refs", "reflog", "memo")}
    with env.begin(write=True) as txn:

        def put(kind_code: int, kind: str, payload: bytes) -> Digest:
            digest = object_id(fmt, kind, payload)
            txn.put(digest, bytes((0, kind_code)) + payload, db=tables["objects"])
            return digest

        if invariant == 1:
            envelope = txn.get(source, db=tables["objects"]) or b""
            txn.put(source, envelope[:-1] + bytes((envelope[-1] ^ 1,)), db=tables["objects"])
        elif invariant == 2:
            path = store / "blobs" / source.hex()[:2] / source.hex()
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"something else")
        elif invariant == 3:
            txn.delete(source, db=tables["objects"])
        elif invariant == 4:
            (name, _), *_ = list(txn.cursor(tables["refs"]))
            txn.put(name, with_checksum(name, put(0, "value", b"\x01")), db=tables["refs"])
        elif invariant == 5:
            for key, row in list(txn.cursor(tables["memo"])):
                other = fmt.hash(key)
                txn.put(other, row[:-4] + zlib.crc32(other + row[:-4]).to_bytes(4, "big"), db=tables["memo"])
        else:
            call = CallRecord(source, (execution,), None, Outcome.VALUE, put(0, "value", b"\x01"))
            put(6, "call", call.payload())
    env.close()


@pytest.mark.parametrize("invariant", [1, 2, 3, 4, 5, 6])
def test_the_reader_notices_when_a_must_is_broken(made: Path, invariant: int) -> None:
    assert _read(made)[0] == []
    _damage(made, invariant)
    problems, _ = _read(made)
    assert any(str(invariant) in problem.partition(":")[0] for problem in problems), problems


def test_the_reader_is_160_lines_of_plain_python_that_know_nothing_of_ours() -> None:
    text = READER.read_text()
    assert len(text.splitlines()) <= 160
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""])
    }
    assert imported - set(sys.stdlib_module_names) == {"lmdb", "msgpack", "xxhash"}
    assert "redun" not in imported


def test_the_invariants_are_numbered_and_each_says_must_or_should() -> None:
    section = SPEC.read_text().split("## 9. Invariants")[1].split("## 10.")[0]
    found = re.findall(r"^(\d+)\. (.*(?:\n   .*)*)", section, re.MULTILINE)
    assert [int(number) for number, _ in found] == list(range(1, 11))
    for number, text in found:
        assert ("MUST" if int(number) <= 7 else "SHOULD") in text
