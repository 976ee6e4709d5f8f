"""Several processes at once on one store: real runs, writers that make the data file grow, readers that read all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from redun.core.objects import CallRecord, Status
from redun.store import Store, check

COMMAND: Final = [sys.executable, "-m", "redun.cli.app"]

WORKFLOW: Final = """
from redun import task

redun_namespace = "c"

@task()
def leaf(n):
    return n * 3

@task()
def text(n):
    return f"{n}:" * 20_000

@task()
def large(n):
    return bytes([n % 251]) * 1_200_000

@task()
def total(xs):
    return sum(len(x) if isinstance(x, (str, bytes)) else x for x in xs)

@task()
def tree(low, high):
    if high - low == 1:
        return leaf(low)
    middle = (low + high) // 2
    return total([tree(low, middle), tree(middle, high)])

@task()
def main(at):
    return [
        total([leaf(n) for n in range(at, at + 150)]),
        total([text(n) for n in range(at, at + 40)]),
        total([large(n) for n in range(at, at + 4)]),
        tree(at, at + 40),
    ]
"""

_WRITER: Final = """
import sys
from redun.core.codec import Pointer, pack
from redun.core.objects import Status
from redun.store import Batch, Store

for number in range(4):
    with Store.open(sys.argv[1]) as store:
        run = store.begin_run([sys.argv[2], str(number)], {})
        last = store.put("value", pack(None))
        for step in range(int(sys.argv[3]) // 4):
            [last, _] = store.put_many([
                ("value", pack([sys.argv[2], number, step, "x" * 700_000, Pointer(last)])),
                ("value", pack([step, "everybody writes this", "y" * 5000])),
            ])
        store.set_ref("last/" + sys.argv[2], last, expected=store.ref("last/" + sys.argv[2]), reason="test")
        run.seal(Batch(), root=None, status=Status.DONE, rows=0, counts=(), sources=())
"""

#: Reads until its input ends.
_READER: Final = """
import select, sys
from redun.store import Store

rounds = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    rounds += 1
    with Store.open(sys.argv[1], read_only=True) as store:
        for _ in range(3):
            assert list(store.check(level=2)) == []
            newest = [record.start for _, record in store.executions()]
            store.live_runs()
            for name, digest in store.refs().items():
                assert sum(1 for _ in store.walk([digest])) >= 1
print(rounds)
"""


def keep_company(path: Path, *, runs: int, writers: int, readers: int, megabytes: int) -> None:
    """Has so many processes work on one store at once, and checks what comes out."""
    (path / "w.py").write_text(WORKFLOW)
    store = path / ".redun" / "store"
    subprocess.run([*COMMAND, "init"], cwd=path, check=True, capture_output=True)

    def python(script: str, *words: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", script, str(store), *map(str, words)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    watching = [python(_READER) for _ in range(readers)]
    writing = [python(_WRITER, f"writer{number}", megabytes) for number in range(writers)]
    running = [_run(path, number * 20) for number in range(runs)]
    ended = [(run, *run.communicate()) for run in running]
    for process in (*writing, *watching):
        printed = process.communicate("")[0]
        assert process.returncode == 0
        assert process in writing or int(printed) > 0
    for run, _, told in ended:
        assert run.returncode == 0, told
    assert list(check(store)) == []
    _check_history(path, runs=runs, writers=writers)
    for number, (_, printed, _) in enumerate(ended):
        alone = _run(path, number * 20, "--no-cache")
        assert alone.communicate()[0] == printed


def _run(path: Path, at: int, *options: str) -> subprocess.Popen[str]:
    words = [*COMMAND, "run", *options, "w.py", "main", "--at", str(at)]
    return subprocess.Popen(words, cwd=path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _check_history(path: Path, *, runs: int, writers: int) -> None:
    with Store.open(path / ".redun" / "store") as store:
        records = [record for _, record in store.executions()]
        assert len(records) == runs + 4 * writers
        assert {record.status for record in records} == {Status.DONE}
        for name in [name for name in store.refs() if name.startswith("last/")]:
            assert len(store.reflog(name)) == 4
            assert sum(1 for _ in store.walk([store.refs()[name]])) > 1
        roots = [record.root for record in records if record.root is not None]
        assert len(roots) == runs
        assert all(CallRecord.parse(store.get(root)[1]).result is not None for root in roots)
        assert store.live_runs() == []
        assert store.readers() == []
