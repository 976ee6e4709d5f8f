"""`redun reindex` as a user meets it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from redun.cli.app import main
from redun.store import Store
from tests.executor.flows import MODULE, forget

WORKFLOW = """
from redun import task

@task()
def half(n: int) -> int:
    return n // 2

@task()
def main(n: int = 10) -> list:
    return [half(i) for i in range(n)]
"""


@pytest.fixture
def flow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A directory with two executions, the second of which was answered whole."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / f"{MODULE}.py").write_text(WORKFLOW)
    for _ in range(2):
        assert main(["-q", "run", f"{MODULE}.py", "main"]) == 0
    forget()
    capsys.readouterr()
    return tmp_path


def test_it_says_how_much_was_indexed(flow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reindex"]) == 0
    with Store.open(flow / ".redun" / "store", read_only=True) as store:
        size = store.index().size()
    assert capsys.readouterr().out.startswith(f"indexed 2 executions: {size.rows} rows, about ")
    assert main(["reindex", "-q"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["reindex", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"executions": 2, "rows": size.rows, "bytes": size.stored}


def test_it_makes_what_is_damaged_anew(flow: Path) -> None:
    with Store.open(flow / ".redun" / "store") as store:
        before = [job.id for job in store.index().jobs_of_task("half")]
        store._backend.write(lambda txn: [txn.clear("ix.tasks"), txn.clear("ix.calls")])
        assert list(store.index().jobs_of_task("half")) == []
    assert main(["reindex", "-q"]) == 0
    with Store.open(flow / ".redun" / "store", read_only=True) as store:
        assert [job.id for job in store.index().jobs_of_task("half")] == before
        assert len(before) == 10


def test_without_a_store_there_is_nothing_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["reindex"]) == 3
    assert "no store" in capsys.readouterr().err
