"""Indexes over long random histories, and while those who make them are killed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from redun.core.digest import Digest
from redun.store import Store
from tests.store.indexed import History, check_answers

_REINDEX = """
import sys
from redun.store import Store
from redun.store.indexes import catch_up
with Store.open(sys.argv[1]) as store:
    while True:
        catch_up.drop(store._write)
        source, nobody = store._index_source(), lambda *_: None
        catch_up.CatchUp(source, store._backend, store._write, nobody, portion=300, rows=60).run()
"""


@pytest.mark.parametrize("seed", range(1000, 1060))
def test_answers_over_long_histories_are_those_of_a_walk(seed: int) -> None:
    with Store.memory() as store:
        history, chance = History(store, seed), random.Random(seed)
        older: list[Digest] = []
        for _ in range(15):
            history.run(older)
            step = chance.randrange(8)
            if step == 0:
                history.prune()
            if step in (0, 1, 2):
                history.sweep(for_good=step != 2)
                older = [call for call in older if store.has(call)]
            if step != 3:
                check_answers(store, store.index())
        assert list(store.check(level=3)) == []
        store.rebuild_index()
        check_answers(store, store.index())


@pytest.mark.parametrize("seed", range(5))
def test_processes_that_are_killed_at_random_moments_leave_what_the_next_one_finishes(
    seed: int, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    with Store.init(tmp_path / "s") as store:
        history, older = History(store, seed), list[Digest]()
        for _ in range(25):
            history.run(older)
        for _ in range(12):
            command = [sys.executable, "-c", _REINDEX, str(store.path)]
            processes = [subprocess.Popen(command) for _ in range(chance.choice((1, 2)))]
            time.sleep(0.3 + chance.random())  # any moment will do
            for process in processes:
                process.send_signal(signal.SIGKILL)
                process.wait()
            assert list(store.check(level=3)) == []
            check_answers(store, store.index())
            assert list(store.check(level=3)) == []
