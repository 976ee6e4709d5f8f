"""Tables, arrays and values of the user's own between tasks: first and later runs give the same."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from redun.core import codes, keys  # noqa: F401  it registers what can be stored
from redun.core.codec import ExtType, pack
from redun.core.decoding import Decoder
from redun.core.errors import CannotDecode
from redun.core.objects import JobsRecord
from redun.store import Store
from tests.executor.flows import Flow

TABLES = """
import numpy as np, pandas as pd, polars as pl, pyarrow as pa

@task()
def frame(n):
    ran("frame")
    return pd.DataFrame({"a": range(n), "b": [f"t{i}" for i in range(n)], "x": np.linspace(0, 1, n)})

@task()
def changed(frame):
    ran("changed")
    frame.loc[0, "a"] = 99
    return frame

@task()
def table(frame):
    ran("table")
    return pa.Table.from_pandas(frame)

@task()
def rows(table):
    ran("rows")
    return pl.from_arrow(table)

@task()
def main(n=20000):
    ran("main")
    one = frame(n)
    return [changed(one), rows(table(one)), one]
"""


def test_tables_go_from_task_to_task_and_are_answered_later(flow: Flow):
    flow.load(TABLES)
    first = flow()
    assert sorted(set(flow.ran)) == ["changed", "frame", "main", "rows", "table"]
    later = flow()
    assert flow.ran == []
    for result in (first, later):
        assert (result[0]["a"][0], result[2]["a"][0]) == (99, 0)
        assert result[1].shape == (20_000, 3)
    pd.testing.assert_frame_equal(first[0], later[0])
    assert first[1].equals(later[1])


def test_the_same_table_made_otherwise_stops_what_follows(flow: Flow):
    flow.load(TABLES)
    flow()
    flow.edit('return pd.DataFrame({"a": range(n),', 'return pd.DataFrame({"a": [*range(n)],')
    flow()
    assert flow.ran == ["frame"]


VALUES = """
from redun.value import Value

class Marker(Value):
    def __init__(self, path):
        self.path = path
    def is_valid(self):
        import os
        return os.path.exists(self.path)

@task()
def make(path):
    ran("make")
    open(path, "w").close()
    return Marker(path)

@task()
def use(marker):
    ran("use")
    return marker.path

@task()
def main(path):
    return use(make(path))
"""


def test_a_value_that_no_longer_holds_is_made_again(flow: Flow, tmp_path: Path):
    flow.load(VALUES)
    path = tmp_path / "mark"
    call = f"main({str(path)!r})"
    assert flow(call) == str(path)
    assert flow.ran == ["make", "use"]
    assert flow(call) == str(path)
    assert flow.ran == []
    path.unlink()
    assert flow(call) == str(path)
    assert flow.ran == ["make"]  # which gave the same, so nothing follows
    assert path.exists()


def test_a_value_that_does_not_hold_may_be_given_to_the_task_that_makes_it_hold(flow: Flow, tmp_path: Path):
    flow.load(
        VALUES
        + """
@task()
def touch(marker):
    ran("touch")
    open(marker.path, "w").close()
    return marker
"""
    )
    path = tmp_path / "mark"
    call = f"touch(Marker({str(path)!r}))"
    assert flow(call).path == str(path)
    flow(call)
    assert flow.ran == []
    path.unlink()
    flow(call)
    assert flow.ran == ["touch"]


MISSING = """
    import sys
    from redun import Scheduler, task
    from redun.store import Store

    class Blocked:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] == sys.argv[2]:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    if len(sys.argv) > 2:
        sys.meta_path.insert(0, Blocked())

    @task(namespace="missing", version="1")
    def table():
        print("ran")
        if len(sys.argv) > 2:
            return "no library"
        import pandas as pd
        return pd.DataFrame({"a": [1]})

    with Store.open(sys.argv[1]) as store:
        print(type(Scheduler(store).run(table())).__name__)
"""


def test_a_result_whose_library_is_gone_is_a_miss_and_no_crash(tmp_path: Path):
    Store.init(tmp_path / "store").close()
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(MISSING))

    def out(*words: str) -> str:
        command = [sys.executable, str(program), str(tmp_path / "store"), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout

    assert out() == "ran\nDataFrame\n"
    assert out() == "DataFrame\n"
    assert out("pandas") == "ran\nstr\n"
    with Store.open(tmp_path / "store") as store:
        assert next(job.why.name for job in _jobs(store)) == "UNDECODABLE"


def _jobs(store: Store) -> list[Any]:
    (_, record), *_ = store.executions()
    return [row for page in record.pages for row in JobsRecord.parse(store.get(page)[1]).rows]


@pytest.mark.parametrize("code", ["numpy.nothing", "pandas.nothing", "acme.Thing"])
def test_a_code_that_nobody_knows_is_an_error_that_says_so(code: str):
    with pytest.raises(CannotDecode, match="no adapter for values of type"):
        Decoder({}.__getitem__).decode(pack(ExtType(codes.ADAPTED, pack([code, 1]))))


MEMORY = """
    import resource, sys
    import numpy as np
    from redun import Scheduler, task
    from redun.store import Store

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    @task(namespace="memory")
    def large(n):
        return np.ones(n, dtype="u1")

    @task(namespace="memory")
    def total(array):
        return int(array[0]) + int(array[-1])

    size = 200_000_000
    with Store.open(sys.argv[1]) as store:
        Scheduler(store).run(large(1000))
        before = peak()
        print(Scheduler(store).run(total(large(size))), (peak() - before) / size)
"""


def test_a_large_array_is_hashed_and_written_without_a_copy(tmp_path: Path):
    Store.init(tmp_path / "store").close()
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(MEMORY))
    command = [sys.executable, str(program), str(tmp_path / "store")]
    environ = os.environ | {"MALLOC_ARENA_MAX": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environ)
    total, copies = done.stdout.split()
    assert total == "2"
    assert float(copies) < 1.5  # the array itself
