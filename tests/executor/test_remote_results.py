"""Runs that ask a remote for what their own store does not have. ssh is a script here that runs what it is given."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from redun.core.digest import Key
from redun.core.errors import RemoteError
from redun.core.objects import Status
from redun.executor.observer import Execution
from redun.executor.scheduler import Scheduler
from redun.store import Batch, Store
from redun.store.memo import MemoRow, MemoUpdate
from redun.store.sync import wire
from redun.store.sync.wire import Connection
from tests.core.projects import Project, made_in
from tests.executor.flows import Watcher

WORKFLOW = """
from redun import task

redun_namespace = "r"

@task()
def leaf(x):
    with open("ran", "a") as out:
        out.write(f"leaf {x}\\n")
    return [x] * 3

@task()
def add(values):
    with open("ran", "a") as out:
        out.write("add\\n")
    return sum(value[0] for value in values)

@task()
def main(n=5):
    return add([leaf(i) for i in range(n)])
"""


class Desk:
    """A workflow, and two stores: one that has run it, and an empty one that knows that as its remote."""

    def __init__(self, project: Project, warm: Store, here: Store) -> None:
        self.project = project
        self.warm = warm
        self.here = here
        self.heard = Watcher()
        self.module = self.write(WORKFLOW)

    def write(self, text: str) -> Any:
        """Writes the workflow anew."""
        self.project.write({"w": text})
        self.module = self.project.load("w")
        return self.module

    def run(self, store: Store, *args: Any, **options: Any) -> Execution:
        """Runs `main`."""
        return Scheduler(store, observer=self.heard, **options).execute(self.module.main(*args))

    def ask(self, *args: Any, **options: Any) -> Execution:
        """Runs `main` here, with the remote."""
        with self.here.sync.asker("origin", patience=options.pop("patience", 120.0)) as asker:
            return self.run(self.here, *args, remote=asker, **options)

    def ran(self) -> list[str]:
        """Returns which bodies ran since this was asked last."""
        path = Path("ran")
        found = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return sorted(found)


@pytest.fixture(params=["path", "ssh"])
def desk(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.chdir(tmp_path)
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift 2\nexec sh -c "$*"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("REDUN_SSH", str(ssh))
    monkeypatch.setenv("REDUN_REMOTE_COMMAND", f"{sys.executable} -m redun")
    with (
        made_in(tmp_path) as project,
        Store.init(tmp_path / "warm") as warm,
        Store.init(tmp_path / "here") as here,
    ):
        url = f"host:{tmp_path / 'warm'}" if request.param == "ssh" else str(tmp_path / "warm")
        here.sync.add_remote("origin", url, trust="cache")
        desk = Desk(project, warm, here)
        desk.run(warm)
        desk.ran()
        yield desk


def remotes_of(store: Store) -> dict[str, int]:
    """How many rows of the latest execution name which remote."""
    _, execution = next(store.executions())
    found: dict[str, int] = {}
    for page in store.job_pages(execution.pages):
        for row in page.rows:
            found[row.remote] = found.get(row.remote, 0) + 1
    return found


@pytest.mark.parametrize("replay", ["whole", "step"])
def test_what_a_remote_has_computed_is_not_computed_again(desk: Desk, replay: str) -> None:
    execution = desk.ask(replay=replay)
    assert (execution.value, desk.ran(), desk.heard.warnings) == (10, [], [])
    assert remotes_of(desk.here) == {"origin": 1 if replay == "whole" else 7}
    assert list(desk.here.check(level=4)) == []


def test_what_came_is_a_hit_without_the_remote_from_then_on(desk: Desk) -> None:
    desk.ask()
    desk.warm.close()
    execution = desk.run(desk.here)
    assert (execution.value, desk.ran()) == (10, [])
    assert remotes_of(desk.here) == {"": 1}


def test_only_what_the_remote_does_not_have_runs(desk: Desk) -> None:
    execution = desk.ask(7)
    assert (execution.value, desk.ran()) == (21, ["add", "leaf 5", "leaf 6"])
    assert list(desk.here.check(level=4)) == []


def test_what_changed_here_runs_here(desk: Desk) -> None:
    desk.write(WORKFLOW.replace("value[0] for", "value[0] + 1 for"))
    execution = desk.ask()
    assert (execution.value, desk.ran()) == (15, ["add"])


def test_a_run_without_the_cache_asks_nobody(desk: Desk) -> None:
    desk.ask(cache=False)
    assert desk.ran() == ["add", *(f"leaf {i}" for i in range(5))]


def test_a_remote_that_is_not_there_is_one_warning(desk: Desk) -> None:
    desk.here.sync.remove_remote("origin")
    desk.here.sync.add_remote("origin", str(Path("nowhere").absolute()), trust="cache")
    execution = desk.ask()
    assert (execution.status, execution.value, len(desk.ran())) == (Status.DONE, 10, 6)
    [said] = desk.heard.warnings
    assert said.endswith("; the run goes on without origin")


def test_a_remote_that_says_nothing_holds_a_run_up_for_its_patience_alone(desk: Desk) -> None:
    Path("ssh").write_text("#!/bin/sh\nsleep 600\n")
    desk.here.sync.remove_remote("origin")
    desk.here.sync.add_remote("origin", "host:somewhere", trust="cache")
    begun = time.monotonic()
    execution = desk.ask(patience=0.5)
    assert (execution.value, len(desk.ran())) == (10, 6)
    assert desk.heard.warnings == ["origin does not answer; the run goes on without origin"]
    assert time.monotonic() - begun < 30


def test_a_remote_that_is_not_trusted_with_results_is_not_asked(desk: Desk) -> None:
    desk.here.sync.set_trust("origin", "provenance")
    with pytest.raises(RemoteError, match="trusted with its history alone") as caught:
        desk.ask()
    assert caught.value.hint == "redun remote trust origin cache"
    with pytest.raises(RemoteError, match="trusted with its history alone"):
        desk.here.sync.asker(str(Path("warm").absolute()))


@pytest.mark.parametrize("desk", ["ssh"], indirect=True)
def test_a_batch_of_jobs_is_one_question(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[bytes, int]] = []
    send = Connection.send

    def noted(self: Connection, kind: bytes, content: Any = None) -> None:
        sent.append((kind, len(content or ()) // desk.here.format.size))
        send(self, kind, content)

    monkeypatch.setattr(Connection, "send", noted)
    desk.ask(replay="step")
    assert sent == [(wire.HELLO, 0), (wire.LOOKUP, 1), (wire.LOOKUP, 5), (wire.LOOKUP, 1), (wire.QUIT, 0)]


@pytest.mark.parametrize("desk", ["ssh"], indirect=True)
def test_large_values_that_are_here_are_not_sent_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.write(WORKFLOW.replace("[x] * 3", "[x, 'x' * 2_000_000]"))
    desk.run(desk.warm)
    digest = desk.here.put_value("x" * 2_000_000)
    _, payload = desk.here.get(digest)
    desk.ran()
    large: list[bytes] = []
    receive = Connection.receive

    def noted(self: Connection) -> tuple[bytes, bytes]:
        kind, data = receive(self)
        if kind == wire.PART:
            large.append(data)
        return kind, data

    monkeypatch.setattr(Connection, "receive", noted)
    assert desk.ask(replay="step").value == 10
    assert (desk.ran(), large, len(payload) < 100) == ([], [], True)


def test_keys_that_nobody_knows_have_no_answer(desk: Desk) -> None:
    keys: Sequence[Key] = [Key(key) for key in desk.warm._backend.read(lambda txn: txn.scan_keys("memo", b"\0", 9))]
    with desk.here.sync.asker("origin") as asker:
        assert asker.find([*keys, Key(bytes(desk.here.format.size))]) == set(keys)


# -- what is not believed ---------------------------------------------------------------------------------------------


def rows_of(store: Store) -> dict[Key, MemoRow]:
    keys = [Key(key) for key in store._backend.read(lambda txn: txn.scan_keys("memo", b"\0", 100))]
    rows = zip(keys, store.lookup({}, keys), strict=True)
    return {key: row for key, row in rows if row is not None}


def claim(store: Store, key: Key, row: MemoRow, *, task: str = "", caused: bool = True) -> None:
    """Makes a store claim something for a key."""
    update = MemoUpdate(key, task, row.reduction, row.is_expr, row.calls[0].call, row.calls[0].head, caused)
    store.commit(Batch(memo=[update]))


def test_the_answer_to_another_question_is_none(desk: Desk) -> None:
    rows = rows_of(desk.warm)
    keys = list(rows)
    for key, other in zip(keys, keys[1:] + keys[:1], strict=True):
        claim(desk.warm, key, rows[other])
    execution = desk.ask(replay="step")
    assert (execution.value, len(desk.ran())) == (10, 6)
    assert remotes_of(desk.here) == {"": 7}
    desk.run(desk.here)
    assert desk.ran() == []


def test_what_the_remote_itself_does_not_believe_any_more_is_no_answer(desk: Desk) -> None:
    rows = rows_of(desk.warm)
    [main] = [key for key, row in rows.items() if row.is_expr]
    leaf, other = [key for key in rows if key != main][:2]
    claim(desk.warm, leaf, rows[other], task="r.leaf", caused=False)
    with desk.here.sync.asker("origin") as asker:
        assert main not in asker.find(list(rows))
    assert main not in rows_of(desk.here)


def test_what_this_store_knows_itself_stays(desk: Desk) -> None:
    rows = rows_of(desk.warm)
    desk.run(desk.here)
    key, other = [key for key, row in rows.items() if not row.is_expr][:2]
    claim(desk.warm, key, rows[other])
    with desk.here.sync.asker("origin") as asker:
        assert asker.find([key]) == {key}
    assert rows_of(desk.here)[key].reduction == rows[key].reduction


def test_rows_that_lead_to_what_the_remote_lacks_are_no_answers(desk: Desk) -> None:
    rows = rows_of(desk.warm)
    [main] = [key for key, row in rows.items() if row.is_expr]
    call = rows[main].calls[0].call
    desk.warm._backend.write(lambda txn: txn.delete("objects", call))
    with desk.here.sync.asker("origin") as asker:
        assert asker.find(list(rows)) == set(rows) - {main}


def test_a_remote_that_sends_damage_is_one_warning(desk: Desk) -> None:
    rows = rows_of(desk.warm)
    [main] = [key for key, row in rows.items() if row.is_expr]
    head = rows[main].calls[0].head
    env = desk.warm._backend.read(lambda txn: txn.get("objects", head))
    assert env is not None
    desk.warm._backend.write(lambda txn: txn.put("objects", head, env[:-1] + bytes([env[-1] ^ 1])))
    execution = desk.ask()
    assert (execution.value, len(desk.ran()), len(desk.heard.warnings)) == (10, 6, 1)
    assert list(desk.here.check(level=4)) == []
