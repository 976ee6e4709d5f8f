"""Damages the files of a store, reads all that can be read, and says which answers were wrong.

Run as a program, so that damage which kills the process is seen as such. Every answer must be the right one, an error
of ours, or, for what can be done without, none. What is not right must also be seen by fsck.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Literal

from redun.core.codec import Pointer, pack
from redun.core.digest import Digest, Key
from redun.core.errors import RedunError
from redun.core.objects import (
    CallRecord,
    HeadRecord,
    How,
    JobRow,
    Outcome,
    SourceRecord,
    Status,
    TaskRecord,
    TaskSetRecord,
    Why,
)
from redun.store import Batch, MemoUpdate, RunUpdate, Store

LARGE: Final = bytes(range(256)) * 4200
KEYS: Final = (b"k", b"l")
PATH: Final = "/some/file"
#: What is derived, or made again: to have none of it is no wrong answer.
DISPENSABLE: Final = ("memo", "stat", "tally")
#: Who asks for these does not miss a row that has come to lie under another key. It has its checksum: fsck sees it.
KEYED: Final = ("superseded", "reflog mine")


def make(path: Path, compression: Literal["none", "zstd"] = "none") -> None:
    """Makes a small store that has something of everything."""
    with Store.init(path, compression=compression) as store:
        size = store.format.size
        value = store.put("value", pack([1, "two", 3.0]))
        source = store.put("source", SourceRecord("def f(): pass", "w.py", 3).payload())
        task = store.put("task", TaskRecord("n.t", "version", "1").payload())
        call = store.put("call", CallRecord(task, (value,), None, Outcome.VALUE, value).payload())
        head = store.put("footprint", HeadRecord(store.put("footprint", TaskSetRecord(()).payload())).payload())
        store.put_many([("value", pack([Pointer(call), "x" * i])) for i in range(0, 2500, 500)])
        store.put_blob([LARGE], len(LARGE))
        store.set_ref("mine", call, expected=None, reason="why not")
        other = store.put("value", pack("other"))
        for number, result in enumerate([value, other]):
            run = store.begin_run(["run", str(number)], {})
            memo = [MemoUpdate(Key(key * size), "n.t", result, False, call, head, caused=False) for key in KEYS]
            row = JobRow(0, call, -1, Status.DONE, How.RAN, Why.FIRST, 10, 20, head=head)
            stats = {PATH: (1, 2, 3, 4, b"s" * 32)}
            batch = Batch(memo=memo, stats=stats, tallies={call: [3, 4]})
            run.seal(batch, root=call, status=Status.DONE, rows=1, counts=(), sources=[(task, source)], tail=[row])
        live = store.begin_run(["live"], {})
        rows = tuple(JobRow(i, call, -1, Status.DONE, How.RAN, Why.FIRST, 10 * i, 5) for i in range(3))
        running = (JobRow(3, call, 0, Status.RUNNING, How.RAN, Why.CODE, 40, -1),)
        update = RunUpdate(live.uuid, (), rows, running, call, 4, (), ((task, source),))
        store.commit(Batch(run=update))
        # Damage of a meta page may undo the last transaction, as a power cut may: nothing else speaks of this one.
        store.put("value", pack("the last"))


def questions(store: Store, ids: list[tuple[str, Digest]]) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Returns everything that a store can be asked, by name."""
    size = store.format.size
    for kind, digest in ids:
        yield f"{kind} {digest.hex()}", lambda digest=digest: bytes(store.open_blob(digest))
    for key in KEYS:
        yield f"memo {key.decode()}", lambda key=key: store.lookup({}, [Key(key * size)])[0]
    yield "superseded", lambda: store.superseded("n.t")
    yield "stat", lambda: store.stat_memo_get(PATH)
    call = next(digest for kind, digest in ids if kind == "call")
    yield "tally", lambda: store.tally(call)
    yield "refs", store.refs
    yield "ref mine", lambda: store.ref("mine")
    yield "reflog mine", lambda: store.reflog("mine")
    yield "executions", lambda: list(store.executions())
    yield "rows", lambda: [page for _, record in store.executions() for page in store.job_pages(record.pages)]
    yield "live", store.live_runs
    yield (
        "walk",
        lambda: sorted((digest, kind, bytes(payload)) for digest, kind, payload in store.walk(store.refs().values())),
    )


class Examiner:
    """Asks a store everything after each damage.

    Attributes:
        outcomes: how many answers were right, errors, or none; and how often the store did not open.
        wrong: names of answers that were wrong, and of those not right that fsck did not see, with the damage.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        with Store.open(directory, read_only=True) as store:
            self.ids = [item for item in store.resolve("", 99) if store.get(item[1])[1] != pack("the last")]
            self.right = {name: ask() for name, ask in questions(store, self.ids)}
            assert list(store.check()) == []
        self.outcomes: Counter[str] = Counter()
        self.wrong: list[str] = []

    def examine(self, damage: str) -> None:
        """Opens the store and compares all its answers."""
        try:
            store = Store.open(self.directory, read_only=True)
        except RedunError:
            self.outcomes["refused"] += 1
            return
        with store:
            found = {name: self._outcome(name, ask) for name, ask in questions(store, self.ids)}
            seen = any(True for _ in store.check()) if set(found.values()) != {"right"} else True
        self.outcomes.update(found.values())
        for name, outcome in found.items():
            if (outcome == "WRONG" and name not in KEYED) or (outcome != "right" and not seen):
                self.wrong.append(f"{damage}: {name} is {outcome}{'' if seen else ', and fsck is silent'}")

    def _outcome(self, name: str, ask: Callable[[], Any]) -> str:
        try:
            answer = ask()
        except RedunError:
            return "error"
        except Exception as error:  # noqa: BLE001  the finding itself
            return f"{type(error).__name__}: {error}"
        if answer == self.right[name]:
            return "right"
        if name == "superseded" and answer > self.right[name]:
            return "none"  # fewer calls are believed than might be
        return "none" if answer is None and name.split()[0] in DISPENSABLE else "WRONG"


def flip(examiner: Examiner, name: str, positions: range) -> None:
    """Flips a bit of each of the bytes of a file, one at a time."""
    path = examiner.directory / name
    path.chmod(0o644)
    with open(path, "r+b", buffering=0) as file:
        for position in positions:
            [good] = os.pread(file.fileno(), 1, position)
            os.pwrite(file.fileno(), bytes([good ^ 1 << position * 7 % 8]), position)
            try:
                examiner.examine(f"{name} at {position}")
            finally:
                os.pwrite(file.fileno(), bytes([good]), position)


def cut(examiner: Examiner, name: str, sizes: range) -> None:
    """Cuts a file short, to each of the sizes, and makes it whole again."""
    path = examiner.directory / name
    path.chmod(0o644)
    good = path.read_bytes()
    for size in sizes:
        os.truncate(path, size)
        examiner.examine(f"{name} cut to {size}")
        with open(path, "r+b") as file:  # in place: the same file, which is trusted as long as the machine is up
            file.write(good)


def main(words: list[str]) -> int:
    """Carries out `DIRECTORY flip|cut FILE START STOP STEP`; prints what was wrong, and the outcomes last."""
    directory, how, name = Path(words[0]), words[1], words[2]
    examiner = Examiner(directory)
    (flip if how == "flip" else cut)(examiner, name, range(*map(int, words[3:6])))
    lines = [*examiner.wrong, json.dumps(examiner.outcomes, sort_keys=True)]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
