"""Processes with many threads each on one store: transactions that compete, watchers, and some who are killed."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from redun.core.objects import ExecRecord
from redun.store import Digest, Store

_WORKER = """
import sys, threading
from redun.core.objects import Status
from redun.store import Batch, RefMoved, Store

path, who, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])

def count(store, name):
    for step in range(rounds):
        while True:
            try:
                with store.transaction() as txn:
                    at = txn.ref("total")
                    total = 0 if at is None else txn.get_value(at)["total"]
                    mine = txn.put_value({"total": total + 1, "by": name, "fill": "x" * (total % 50) * 400})
                    txn.set_ref("total", mine, expected=at, reason=name)
                    txn.set_ref(f"last/{name}", mine, expected=txn.ref(f"last/{name}"), reason=str(step))
                break
            except RefMoved:
                continue
        if step % 10 == 0:
            run = store.begin_run([name, str(step)], {})
            run.seal(Batch(), root=None, status=Status.DONE, rows=0, counts=(), sources=())
            print(name, step, flush=True)

with Store.open(path) as store:
    threads = [threading.Thread(target=count, args=(store, f"{who}-{number}")) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


@pytest.mark.parametrize("rounds", [30, 150])
def test_competing_transactions_lose_nothing_whoever_is_killed(tmp_path: Path, rounds: int) -> None:
    path = tmp_path / "s"
    dice = random.Random(rounds)
    with Store.init(path) as store:
        watching = store.watch(timeout=0, poll=0.001)
        workers = [
            subprocess.Popen([sys.executable, "-c", _WORKER, str(path), str(who), str(rounds)], stdout=subprocess.PIPE)
            for who in range(4)
        ]
        victim = workers[-1]
        assert victim.stdout is not None
        for _ in range(dice.randrange(1, rounds // 10)):
            victim.stdout.readline()
        victim.kill()
        told = [worker.communicate()[0] for worker in workers]
        assert [worker.returncode for worker in workers] == [0, 0, 0, -9]
        seen: list[tuple[Digest, ExecRecord]] = list(watching)
        assert len(told) == 4

    with Store.open(path) as store:
        at = store.ref("total")
        assert at is not None
        log = store.reflog("total")
        assert store.get_value(at)["total"] == len(log)
        by_name = {name: sum(entry.reason == name for entry in log) for name in {entry.reason for entry in log}}
        assert all(by_name[f"{who}-{number}"] == rounds for who in range(3) for number in range(4))
        for name, times in by_name.items():
            last = store.ref(f"last/{name}")
            assert last is not None
            assert store.get_value(last)["by"] == name
            assert len(store.reflog(f"last/{name}")) == times
        sealed = [record.uuid for _, record in store.executions()]
        interrupted = {record.uuid for _, record in store.executions() if not record.rows and record.status == 4}
        assert {record.uuid for _, record in seen} == set(sealed) - interrupted
        assert list(store.check()) == []
