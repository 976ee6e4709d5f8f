"""Whatever object is missing: runs give what they gave, say why jobs ran, and what they write mends the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from redun.core.digest import Digest
from redun.store import Store
from tests.executor.histories import History, history_in

TEXT = """
from dataclasses import dataclass

K = {"a": [1, 2]}

@dataclass
class Box:
    n: int
    def size(self): return self.n + K["a"][0]

@task()
def leaf(n): return n + 1

@task()
def pair(n): return [leaf(n), leaf(n + 1)]

@task()
def box(n): return Box(n)

@task()
def size(box, k="v"): return box.size()

@task()
def write(text):
    file = File("out.txt")
    file.write(text)
    return file

@task()
def read(file): return file.read()

@task()
def long(n): return "x" * 1_500_000

@task()
def length(text): return len(text)

@task()
def main(n=1): return [pair(n), size(box(n)), read(write("t")), length(long(n)), abs(leaf(n))]
"""
EDITED = TEXT.replace("return n + 1", "return n + 2")
VALUES = {TEXT: [[2, 3], 2, "t", 1_500_000, 2], EDITED: [[3, 4], 2, "t", 1_500_000, 3]}
MISSING = "its earlier result was not kept, or is missing from the store"
#: Kinds of objects that what a body returned consists of, and those that the history does.
RESULTS = ("value", "blob", "expr")
HISTORY = ("exec", "jobs")


class Torn:
    """A history of one run, in whose store one object is missing at a time."""

    def __init__(self, history: History) -> None:
        self.history = history
        assert history.run(TEXT).error is None
        self._tables = {name: dict(table.rows) for name, table in self._rows().items()}
        self.objects = {Digest(key): history.store.get(Digest(key))[0] for key in self._tables["objects"]}

    def _rows(self) -> dict[str, Any]:
        return self.history.store._backend._tables  # type: ignore[attr-defined]  # the backend in memory has them

    def lose(self, digest: Digest) -> None:
        """Makes the store what it was after the first run, without one object."""
        for name, table in self._rows().items():
            table.rows, table.ordered = dict(self._tables[name]), None
        del self._rows()["objects"].rows[digest]


@pytest.fixture(scope="module")
def torn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Torn]:
    folder: Path = tmp_path_factory.mktemp("torn")
    with pytest.MonkeyPatch.context() as patch, history_in(folder, Store.memory()) as history:
        patch.chdir(folder)
        yield Torn(history)


@pytest.mark.parametrize(("replay", "text"), [("whole", TEXT), ("whole", EDITED), ("step", TEXT)])
def test_a_run_gives_what_it_would_and_is_answered_afterwards(
    torn: Torn, replay: Literal["whole", "step"], text: str
) -> None:
    history = torn.history
    for digest, kind in list(torn.objects.items())[:: 1 if text == TEXT else 3]:
        if replay == "step" and kind not in RESULTS:
            continue  # what only whole replays look at
        torn.lose(digest)
        execution = history.run(text, replay=replay)
        assert execution.error is None
        assert execution.value == VALUES[text], kind
        told = dict(history.reasons)
        if text == TEXT:
            assert {reason for lines in told.values() for reason in lines} <= {MISSING}
            assert not told or kind in RESULTS
        if kind not in HISTORY:
            explained = history.explained_all()
            assert {name: sorted(lines) for name, lines in explained.items()} == {
                name: sorted(lines) for name, lines in told.items()
            }
            assert history.run(text, replay=replay).value == VALUES[text]
            assert not history.told, "what the run before wrote is not found"
