"""Handles: what is done to a resource runs again where it must, from the right state, and nothing else does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from redun.core.decoding import Decoder
from redun.core.display import show
from redun.core.errors import StaleInput, TaskError
from redun.core.handles import info_of
from redun.core.values import Encoder
from redun.executor.dry_run import dry_run
from redun.executor.handles import HANDLES
from redun.store import Store
from tests.executor.flows import Flow, flow_in

CONN = """
import sqlite3, threading
from redun import Handle, merge_handles, catch
OPENED = []
class Conn(Handle):
    def __init__(self, name, path="a.db", namespace=None):
        OPENED.append(path)
        self.instance = sqlite3.connect(path, isolation_level=None)
    def values(self):
        return [v for v, in self.instance.execute("select v from t order by v")]
@task()
def create(conn):
    ran("create")
    conn.execute("drop table if exists t")
    conn.execute("create table t (v)")
    return conn
@task()
def insert(conn, v):
    ran("insert", v)
    conn.execute("delete from t where v = ?", (v,))
    conn.execute("insert into t values (?)", (v,))
    return conn
@task()
def index(conn):
    ran("index")
    conn.execute("create index if not exists i on t (v)")
    return conn
@task()
def read(conn):
    ran("read")
    return conn.values()
"""

ETL = (
    CONN
    + """
@task()
def main(v=1):
    return read(index(insert(create(Conn("conn")), v)))
"""
)


@pytest.fixture(params=["xxh3-128", "sha256"])
def etl(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flow]:
    """A workflow on a database, for each object format."""
    with Store.init(tmp_path / "store", object_format=request.param) as store, flow_in(tmp_path, store) as made:
        yield made


def test_the_second_run_of_the_same_runs_nothing_and_opens_nothing(flow: Flow):
    flow.load(ETL)
    assert flow() == [1]
    assert flow.ran == ["create", "index", "insert 1", "read"]
    opened = flow.reload().OPENED
    assert flow() == [1]
    assert flow.ran == []
    assert opened == []


def test_an_edited_task_and_what_is_downstream_run_from_the_right_state(etl: Flow):
    etl.load(ETL)
    etl()
    etl.edit('"insert into t values (?)", (v,)', '"insert into t values (?)", (v * 10,)')
    assert etl() == [10]
    assert etl.ran == ["index", "insert 1", "read"]
    etl.reload()
    etl()
    assert etl.ran == []


def test_an_edit_that_is_taken_back_runs_again_because_the_resource_has_gone_on(flow: Flow):
    flow.load(ETL)
    flow()
    flow("main(2)")
    assert flow.ran == ["index", "insert 2", "read"]
    flow()
    assert flow.ran == ["index", "insert 1"]  # reading is remembered for that very state
    flow()
    assert flow.ran == []
    flow("main(2)")
    assert flow.ran == ["index", "insert 2"]


def test_a_result_that_holds_no_handle_is_remembered_for_the_state_that_it_was_read_from(etl: Flow):
    etl.load(ETL + "@task()\ndef two():\n    return [main(1), main(1)]\n")
    assert etl("two()") == [[1], [1]]
    assert etl.ran == ["create", "index", "insert 1", "read"]


BRANCHES = (
    CONN
    + """
@task()
def main(a=1, b=2):
    made = create(Conn("conn"))
    return read(index(merge_handles([insert(made, a), insert(made, b)])))
"""
)


def test_branches_of_a_state_are_joined_and_each_runs_only_when_it_changes(flow: Flow):
    flow.load(BRANCHES)
    assert flow() == [1, 2]
    assert flow.ran == ["create", "index", "insert 1", "insert 2", "read"]
    flow()
    assert flow.ran == []
    assert flow("main(1, 3)") == [1, 2, 3]
    assert flow.ran == ["index", "insert 3", "read"]
    flow("main(1, 3)")
    assert flow.ran == []
    flow()
    assert flow.ran == ["index", "insert 2"]


def test_the_order_of_merged_branches_is_no_matter(etl: Flow):
    etl.load(BRANCHES)
    etl()
    etl.edit("[insert(made, a), insert(made, b)]", "[insert(made, b), insert(made, a)]")
    etl()
    assert etl.ran == []


def test_another_workflow_that_goes_on_from_an_earlier_state_takes_back_what_was_made_of_it(flow: Flow):
    flow.load(ETL + '@task()\ndef other():\n    return read(insert(create(Conn("conn")), 7))\n')
    flow()
    flow("other()")
    assert flow.ran == ["insert 7", "read"]
    flow()
    assert flow.ran == ["index", "insert 1"]


def test_a_resource_of_other_arguments_has_states_of_its_own(etl: Flow):
    etl.load(ETL + '@task()\ndef other():\n    return read(insert(create(Conn("conn", "b.db")), 7))\n')
    etl()
    assert etl("other()") == [7]
    etl()
    assert etl.ran == []
    etl("other()")
    assert etl.ran == []


def test_a_task_that_runs_again_by_itself_takes_back_what_came_after_it(flow: Flow):
    flow.load(ETL.replace("@task()\ndef create", '@task(cache=False, check_valid="full")\ndef create'))
    flow()
    flow()
    assert flow.ran == ["create", "index", "insert 1"]


def test_a_body_that_makes_and_uses_a_handle_takes_back_what_it_made_before(flow: Flow):
    flow.load(
        CONN
        + """
@task()
def begun(n):
    ran("begun", n)
    conn = Conn("conn")
    create.func(conn)
    return conn
@task()
def main(n):
    return read(insert(begun(n), n))
"""
    )
    assert [flow("main(1)"), flow("main(2)")] == [[1], [2]]
    flow("main(2)")
    assert flow.ran == []
    assert flow("main(1)") == [1]
    assert flow.ran == ["begun 1", "create", "insert 1"]


def test_code_between_calls_counts_where_it_uses_the_handle(etl: Flow):
    text = (
        CONN
        + """
@task()
def sub(conn):
    conn.execute("create table if not exists u (v)")
    return create(conn)
@task()
def passing(conn):
    return create(conn)
@task()
def main():
    return [read(insert(sub(Conn("conn")), 1)), read(insert(passing(Conn("conn", "b.db")), 2))]
"""
    )
    etl.load(text)
    assert etl() == [[1], [2]]
    etl.edit("table if not exists u (v)", "table if not exists w (v)")
    etl()
    assert etl.ran == ["create", "insert 1", "read"]
    etl.edit(
        "    return create(conn)\n@task()\ndef main", "    done = create(conn)\n    return done\n@task()\ndef main"
    )
    etl()
    assert etl.ran == []


def test_a_body_that_fails_half_way_runs_again_from_the_state_before_it(flow: Flow):
    flow.load(
        ETL.replace(
            '    conn.execute("create index',
            '    if not File("go").exists():\n        raise ValueError("no")\n    conn.execute("create index',
        )
    )
    with pytest.raises(ValueError, match="no"):
        flow()
    Path("go").touch()
    assert flow() == [1]
    assert flow.ran == ["index", "read"]


def test_an_error_of_a_body_that_had_a_handle_is_not_remembered(flow: Flow):
    flow.load(
        CONN
        + """
@task()
def fail(conn):
    ran("fail")
    conn.execute("insert into t values (5)")
    raise ValueError("half way")
@task()
def recover(error):
    return -1
@task()
def main():
    return catch(fail(create(Conn("conn"))), ValueError, recover)
"""
    )
    assert flow() == -1
    flow()
    assert "fail" in flow.ran


def test_its_own_is_valid_makes_the_task_run_again_and_never_refuses_an_argument(flow: Flow):
    flow.load(
        ETL.replace(
            "    def values",
            "    def is_valid(self):\n        return __import__('os').path.exists('here')\n    def values",
        )
    )
    assert flow() == [1]
    flow()
    assert flow.ran == ["create", "index", "insert 1"]
    Path("here").touch()
    flow()
    assert flow.ran == []


def test_handles_of_different_names_cannot_be_merged(etl: Flow):
    etl.load(CONN + '@task()\ndef main():\n    return merge_handles([create(Conn("a")), create(Conn("b", "b.db"))])\n')
    with pytest.raises(TaskError, match="of several: a, b"):
        etl()


def test_a_handle_is_not_used_after_it_was_rolled_back(etl: Flow):
    etl.load(
        ETL
        + """
@task()
def meanwhile(conn):
    # another run, on the same store, begins from the start
    from redun.executor.scheduler import Scheduler
    from redun.store import Store
    def other():
        with Store.open("store") as store:
            Scheduler(store).run(main(9), cache=False)
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    return 3
@task()
def late(conn, n):
    return insert(conn, n)
@task()
def both():
    made = create(Conn("conn"))
    return late(made, meanwhile(made))
"""
    )
    with pytest.raises(StaleInput, match="handle conn changed"):
        etl("both()")


def test_a_class_that_is_gone_is_a_miss(flow: Flow):
    flow.load(ETL)
    flow()
    flow.load(ETL.replace("Conn", "Base"))
    assert flow() == [1]
    assert flow.ran == ["create", "index", "insert 1", "read"]


def test_a_dry_run_knows_what_was_rolled_back(etl: Flow):
    etl.load(ETL)
    etl()
    etl("main(2)")
    before = etl.store.refs(HANDLES)
    found = dry_run(etl.store, etl.expression("main()"))
    assert [job.task.fullname for job in found.misses] == ["insert"]
    assert etl.store.refs(HANDLES) == before


def test_a_handle_is_shown_without_being_made(etl: Flow):
    module = etl.load(ETL)
    encoder = Encoder(etl.store.format)
    payload = encoder.encode(module.Conn("conn", "a.db", namespace="etl")).payload
    module.OPENED.clear()
    assert show(payload).startswith("Conn(name=etl.conn, state=")
    assert module.OPENED == []
    decoded = Decoder(lambda digest: encoder.objects[digest]).decode(payload)
    assert repr(decoded) == show(payload)
    assert info_of(decoded).fullname == "etl.conn"
    assert module.OPENED == []
    assert decoded.execute("select 1").fetchall() == [(1,)]
    assert module.OPENED == ["a.db"]


def test_a_state_that_was_rolled_back_is_the_reason_why_its_task_runs(etl: Flow):
    etl.load(ETL)
    etl()
    etl("main(2)")
    found = dry_run(etl.store, etl.expression("main()"))
    text = found.reason(found.misses[0]).text()
    assert text.startswith("its earlier result does not hold: Conn(name=conn, state=")
    assert text.endswith(" is not valid any more")


def test_two_runs_at_once_agree_or_one_of_them_fails(tmp_path: Path):
    with Store.init(tmp_path / "store") as store, flow_in(tmp_path, store) as flow:
        flow.load(ETL)
        code = (
            "import sys, logging; sys.path.insert(0, '.'); from redun.executor.loader import load_workflow; "
            "load_workflow('flow.py'); from redun import Scheduler; from redun.store import Store; import flow; "
            "print(Scheduler(Store.open('store')).run(flow.main(int(sys.argv[1]))))"
        )
        runs = [
            subprocess.Popen(
                [sys.executable, "-c", code, number], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            for number in ("1", "2")
        ]
        told = [run.communicate() for run in runs]
        for run, (_, error) in zip(runs, told, strict=True):
            assert run.returncode == 0 or b"StaleInput" in error or b"sqlite3" in error, error
        assert flow("main(1)") in ([1], [1, 2])
        assert flow("main(1)") in ([1], [1, 2])
        assert flow.ran == []
        assert list(store.check()) == []


def test_a_wide_fan_out_of_branches_is_merged_and_answered_again(tmp_path: Path):
    with Store.init(tmp_path / "store") as store, flow_in(tmp_path, store) as flow:
        flow.load(
            """
from redun import Handle, merge_handles
class Box(Handle):
    def __init__(self, name):
        self.instance = []
@task()
def put(box, n):
    box.append(n)
    return box
@task()
def end(box):
    return 1
@task()
def main(odd=0):
    return end(merge_handles([put(Box("box"), n or odd) for n in range(300)]))
"""
        )
        flow()
        assert {count.fullname: count.cached for count in flow.execute().counts} == {"main": 1, "put": 300, "end": 1}
        counts = {count.fullname: count.done for count in flow.execute("main(-1)").counts}
        assert counts == {"main": 1, "put": 1, "end": 1}


def test_methods_of_a_resource_may_be_called_as_those_of_handles_are(etl: Flow):
    etl.load("""
from redun import Handle
class Session:
    def refresh(self, what):
        return what * 2
class Db(Handle):
    def __init__(self, name):
        self.instance = Session()
@task()
def use(db):
    return [db.refresh(2), db.describe()]
@task()
def main():
    return use(Db("db"))
""")
    assert etl() == [4, "handle db"]


def test_states_are_the_same_in_every_store(tmp_path: Path):
    lines = []
    for name in ("one", "two"):
        with Store.init(tmp_path / name) as store, flow_in(tmp_path, store) as flow:
            flow.load(ETL)
            flow()
            rows = store.get_value(next(iter(store.refs(HANDLES).values())))[2]
            lines.append(sorted(state for state, _, _ in rows))
    assert lines[0] == lines[1]
    assert len(lines[0]) == 3


def test_garbage_collection_leaves_states_as_they_are(etl: Flow):
    etl.load(ETL)
    etl()
    etl("main(2)")
    etl.store.collect_garbage()
    etl("main(2)")
    assert etl.ran == []
    assert list(etl.store.check()) == []


def test_the_loss_of_what_is_known_of_states_costs_a_repetition(etl: Flow):
    etl.load(ETL)
    etl()
    for name, at in etl.store.refs(HANDLES).items():
        etl.store.set_ref(name, None, expected=at, reason="lost")
    assert etl() == [1]
    assert etl.ran == ["create", "index", "insert 1"]


def test_async_bodies_go_on_from_states_that_they_awaited(flow: Flow):
    flow.load(
        CONN
        + """
@task()
async def main(v=1):
    made = await create(Conn("conn"))
    return await read(insert(made, v))
"""
    )
    assert flow() == [1]
    flow()
    assert flow.ran == []
    flow("main(2)")
    assert flow.ran == ["insert 2", "read"]
    flow()
    assert flow.ran == ["insert 1"]


def test_an_async_body_that_uses_a_handle_after_it_gave_it_away_is_not_remembered(flow: Flow):
    flow.load(
        CONN
        + """
@task()
async def main():
    conn = Conn("conn")
    await create(conn)
    ran("main")
    conn.execute("insert into t values (3)")
    return await read(conn)
"""
    )
    assert flow() == [3]
    assert flow() == [3]
    assert "main" in flow.ran


def test_a_handle_goes_through_worker_processes(flow: Flow):
    flow.load(ETL.replace("@task()", '@task(executor="processes")').replace("ran(", "print("))
    assert flow() == [1]
    assert sum(count.cached for count in flow.execute().counts) == 5
    assert flow("main(2)") == [1, 2]
    again = {count.fullname: count.done for count in flow.execute().counts}
    assert (again["create"], again["insert"], again["index"], again["read"]) == (0, 1, 1, 0)


CRASHING = ETL.replace(
    '    conn.execute("insert into', '    if v == 2:\n        __import__("os")._exit(3)\n    conn.execute("insert into'
)


def test_what_a_killed_run_took_back_stays_so(flow: Flow, tmp_path: Path):
    flow.load(ETL)
    flow()
    (tmp_path / "crash.py").write_text(
        "from redun import task\ndef ran(*what): ...\n"
        + CRASHING.replace("def main(v=1)", "def main(v=2)")
        + 'if __name__ == "__main__":\n    from redun.store import Store\n'
        + '    from redun.executor.scheduler import Scheduler\n    Scheduler(Store.open("store")).run(main())\n'
    )
    done = subprocess.run([sys.executable, "crash.py"], cwd=tmp_path, env={**os.environ}, check=False)
    assert done.returncode == 3
    assert flow() == [1]
    assert "insert 1" in flow.ran
    assert "index" in flow.ran
