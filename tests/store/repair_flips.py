"""Flips one byte after another of a store's data file, repairs each time, and says where that was not enough.

Run as a program, so that damage which kills the process is seen as such. After a repair the store is sound, or what
remains is named; no answer is wrong; and what is missing was told.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from redun.core.codec import pack
from redun.core.errors import RedunError
from redun.store import Repaired, Store, check, repair
from tests.store.flips import DISPENSABLE, KEYED, questions

#: A repair seals the run that has died, which is more than there was.
_GROWS = ("executions", "rows", "live", "walk", "refs")


class Examiner:
    """Repairs copies of a store.

    Attributes:
        outcomes: how often a repair had what to do, and how often what was asked was right or gone afterwards.
        wrong: what was not as it should be.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.copy = directory.with_name("copy")
        with Store.open(directory, read_only=True) as store:
            self.ids = [item for item in store.resolve("", 99) if store.get(item[1])[1] != pack("the last")]
            self.right = {name: ask() for name, ask in questions(store, self.ids) if name not in _GROWS}
            self.executions = [digest for digest, _ in store.executions()]
        self.outcomes: Counter[str] = Counter()
        self.wrong: list[str] = []

    def examine(self, position: int) -> None:
        """Flips a bit of a byte, repairs, and looks."""
        shutil.rmtree(self.copy, ignore_errors=True)
        shutil.copytree(self.directory, self.copy, copy_function=_link)
        data = bytearray((self.directory / "data.mdb").read_bytes())
        data[position] ^= 1 << position * 7 % 8
        (self.copy / "data.mdb").unlink()
        (self.copy / "data.mdb").write_bytes(data)
        try:
            repaired = repair(self.copy)
            self._look(position, repaired)
        except RedunError as error:
            self.wrong.append(f"{position}: {type(error).__name__}: {error}")

    def _look(self, position: int, repaired: Repaired) -> None:
        self.outcomes["mended" if repaired.done else "remains" if repaired.remaining else "sound"] += 1
        if repaired.remaining:
            return
        left = list(check(self.copy))
        if left:
            self.wrong.append(f"{position}: {left[0].message} after {repaired.done}")
        with Store.open(self.copy) as store:
            store.put("value", pack("goes on"))
            found = {name: self._outcome(name, ask) for name, ask in questions(store, self.ids) if name not in _GROWS}
            told = [mended.lost for mended in repaired.done]
            executions = {digest for digest, _ in store.executions()}
        self.outcomes.update(found.values())
        for name, outcome in found.items():
            must_tell = name.split()[0] not in ("stat", "tally")
            if outcome not in ("right", "gone") or (outcome == "gone" and must_tell and not any(told)):
                self.wrong.append(f"{position}: {name} is {outcome} after {repaired.done}")
        if not executions >= set(self.executions) and not any(told):
            self.wrong.append(f"{position}: an execution is gone after {repaired.done}")

    def _outcome(self, name: str, ask: Callable[[], Any]) -> str:
        try:
            answer = ask()
        except RedunError:
            return "gone"
        if answer == self.right[name]:
            return "right"
        kind = name.split()[0]
        if name == "superseded" and answer > self.right[name]:
            return "gone"
        if answer is None and kind in (*DISPENSABLE, "ref"):
            return "gone"
        if kind == "memo" and answer is not None and answer.reduction == self.right[name].reduction:
            return "gone"  # fewer calls, or one of the last transaction but one
        return "gone" if name in KEYED else f"WRONG: {answer!r:.200}"


def _link(source: str, target: str) -> None:
    if "/blobs/" in source:
        os.link(source, target)
    else:
        shutil.copyfile(source, target)


def main(words: list[str]) -> int:
    """Carries out `DIRECTORY START STOP STEP`; prints what was wrong, and the outcomes last."""
    examiner = Examiner(Path(words[0]))
    for position in range(*map(int, words[1:4])):
        examiner.examine(position)
    sys.stdout.write("\n".join([*examiner.wrong, json.dumps(examiner.outcomes, sort_keys=True)]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
