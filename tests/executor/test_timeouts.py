"""Timeouts: a body that takes too long fails its job, whatever runs it, and holds nobody up."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from redun.core.errors import JobTimeout
from redun.core.functional import catch
from redun.core.objects import Status
from redun.core.tasks import task
from redun.executor.scheduler import Scheduler
from redun.store import Store
from tests.executor.flows import flow_in
from tests.executor.test_retries import rows

redun_namespace = "tests.timeouts"
WAIT = 30.0

_ran: Counter[str] = Counter()
#: Lets bodies end that were given up.
_free = threading.Event()


@pytest.fixture(autouse=True)
def ran() -> Iterator[Counter[str]]:
    """How often each body was begun; those that hang end with the test."""
    _ran.clear()
    _free.clear()
    yield _ran
    _free.set()


@task(timeout=0.05, version="1")
def hangs(n: int) -> int:
    _ran["hangs"] += 1
    _free.wait(WAIT)
    return n


@task(timeout=0.25, retries=2, version="1")
def hangs_at_first(n: int) -> int:
    _ran["at first"] += 1
    if _ran["at first"] < 3:
        _free.wait(WAIT)
    return _ran["at first"]


@task(timeout=WAIT, version="1")
def quick(n: int) -> int:
    return n


@task(version="1")
def plain(n: int) -> int:
    return n


@task(version="1")
def frees(n: int) -> int:
    _free.set()
    return n


@task(timeout=0.05, version="1")
async def sleeps(n: int) -> int:
    try:
        await asyncio.sleep(WAIT)
    except asyncio.CancelledError:
        _ran["cancelled"] += 1
        raise
    return n


@task(timeout=0.25, retries=1, version="1")
async def stubborn(n: int) -> int:
    """Goes on when it is cancelled, and returns something else."""
    _ran["stubborn"] += 1
    if _ran["stubborn"] == 2:
        return 2
    try:
        await asyncio.sleep(WAIT)
    except asyncio.CancelledError:
        await asyncio.sleep(0)
    return 1


@task(version="1")
def recover(error: Exception) -> str:
    return type(error).__name__


def test_there_are_local_timeouts_and_the_error_says_what_took_how_long() -> None:
    began = time.monotonic()
    with pytest.raises(JobTimeout, match=r"tests\.timeouts\.hangs ran longer than its timeout of 0\.05 s") as caught:
        Scheduler().run(hangs(1))
    assert 0.05 <= time.monotonic() - began < 10
    assert isinstance(caught.value, TimeoutError)
    assert "its thread runs on" in caught.value.hint


def test_a_timeout_can_be_caught_and_is_not_remembered(store: Store) -> None:
    @task(version="1")
    def main() -> Any:
        return catch(hangs(1), TimeoutError, recover)

    assert Scheduler(store).run(main()) == "JobTimeout"
    _free.set()
    assert Scheduler(store).run(main()) == 1


def test_bodies_that_hang_take_no_thread_from_others() -> None:
    hanging = [catch(hangs(n), TimeoutError, recover) for n in range(6)]
    assert Scheduler(threads=2).run([hanging, [plain(n) for n in range(9)]]) == [["JobTimeout"] * 6, list(range(9))]


def test_what_a_body_returns_after_it_was_given_up_is_ignored(store: Store) -> None:
    late = catch(hangs(1), TimeoutError, recover)
    turns = plain.options(limits=["turn"])
    freed = frees(late == "JobTimeout")
    found = Scheduler(store, threads=2).run([late, freed, [turns(freed + n) for n in range(50)]])
    assert found[:2] == ["JobTimeout", True]
    assert Scheduler(store).run(hangs(1)) == 1  # it is free to end in time, and is asked


def test_a_body_in_time_is_as_any_other(store: Store) -> None:
    assert Scheduler(store).run([quick(n) for n in range(500)]) == list(range(500))
    assert {row.status for row in rows(store)} == {Status.DONE}


def test_a_body_that_hung_is_tried_again_and_its_late_answer_is_not_taken_for_the_next_one(store: Store) -> None:
    assert Scheduler(store, threads=2).run(hangs_at_first(1)) == 3
    assert sorted((row.attempt, row.status) for row in rows(store)) == [
        (1, Status.FAILED),
        (2, Status.FAILED),
        (3, Status.DONE),
    ]


def test_what_a_job_held_that_ran_out_of_time_is_for_the_next() -> None:
    held = hangs.options(limits=["db"])
    found = Scheduler().run([catch(held(1), TimeoutError, recover), plain.options(limits=["db"])(2)])
    assert found == ["JobTimeout", 2]


def test_an_async_body_is_cancelled() -> None:
    with pytest.raises(JobTimeout) as caught:
        Scheduler().run(sleeps(1))
    assert "cancelled" in caught.value.hint
    assert Scheduler().run([catch(sleeps(n), TimeoutError, recover) for n in range(20)]) == ["JobTimeout"] * 20


def test_an_async_body_that_goes_on_when_cancelled_does_not_answer_for_the_next_attempt() -> None:
    assert Scheduler().run(stubborn(1)) == 2


def test_a_body_in_another_process_is_ended(tmp_path: Path) -> None:
    with Store.init(tmp_path / "store") as store, flow_in(tmp_path, store) as flow:
        flow.load("""
import os, time

@task(executor="processes", timeout=0.2, retries=1)
def hangs(path):
    with open(path, "a") as file:
        file.write(f"{os.getpid()}\\n")
    time.sleep(60)
""")
        path = tmp_path / "pids"
        execution = flow.execute(f"hangs({str(path)!r})")
        assert isinstance(execution.error, JobTimeout)
        pids = path.read_text().split()
        assert len(pids) == 2
        assert sorted(row.attempt for row in rows(store)) == [1, 2]


def test_a_job_without_a_timeout_does_not_share_that_of_an_equal_one() -> None:
    late = catch(hangs(1), TimeoutError, recover)
    found = Scheduler(threads=4).run([late, hangs.options(timeout=None)(plain(1)), frees(late == "JobTimeout")])
    assert found == ["JobTimeout", 1, True]


def test_equal_jobs_with_one_timeout_fail_together() -> None:
    assert (
        Scheduler(keep_going=True).run([catch(hangs(1), TimeoutError, recover) for _ in range(5)]) == ["JobTimeout"] * 5
    )
    assert _ran["hangs"] == 1


def test_the_settings_of_an_executor_give_its_jobs_a_timeout() -> None:
    config = {"executors": {"default": {"type": "threads", "options": {"timeout": 0.05}}}}
    with pytest.raises(JobTimeout):
        Scheduler(config=config).run(hangs.options(timeout=0.06)(1))
    with pytest.raises(JobTimeout, match=r"0\.05"):
        Scheduler(config=config).run(unlimited(1))


@task(version="1")
def unlimited(n: int) -> int:
    _free.wait(WAIT)
    return n
