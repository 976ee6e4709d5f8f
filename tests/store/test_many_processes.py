from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from redun.core.codec import pack
from redun.core.frame import object_id
from redun.core.objects import Status
from redun.store import Store

_WORKER = """
import sys
from redun.core.codec import pack
from redun.core.frame import object_id
from redun.core.objects import Status
from redun.store import Batch, RunUpdate, Store

name = sys.argv[2]
for number in range(4):
    with Store.open(sys.argv[1]) as store:
        run = store.begin_run([name, str(number)], {})
        for step in range(5):
            payloads = [pack([name, number, step, i, "x" * 500]) for i in range(200)] + [pack([step, "shared"])]
            objects = {object_id(store.format, "value", p): ("value", p) for p in payloads}
            store.commit(Batch(objects, run=RunUpdate(run.uuid)))
        run.seal(Batch(), root=None, status=Status.DONE, rows=0, counts=(), sources=())
"""


def test_processes_share_a_store_that_grows_under_them(tmp_path: Path) -> None:
    Store.init(tmp_path).close()
    names = ["a", "b", "c"]
    workers = [subprocess.Popen([sys.executable, "-c", _WORKER, str(tmp_path), name]) for name in names]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    with Store.open(tmp_path) as store:
        runs = [(record.argv, record.status) for _, record in store.executions()]
        assert sorted(runs) == sorted(((name, str(i)), Status.DONE) for name in names for i in range(4))
        for name in names:
            expected = [pack([name, n, s, i, "x" * 500]) for n in range(4) for s in range(5) for i in range(200)]
            found = store.get_many([object_id(store.format, "value", payload) for payload in expected])
            assert found == [("value", payload) for payload in expected]
        assert store.live_runs() == []
    assert (tmp_path / "data.mdb").stat().st_size > 8 * 2**20
