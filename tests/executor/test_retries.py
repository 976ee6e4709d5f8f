"""Retries: what is tried again, when, and what is left of the attempts that failed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from redun.core.errors import CannotEncode, RunError, TaskError
from redun.core.functional import catch
from redun.core.objects import JobRow, Status
from redun.core.steering import delay_before
from redun.core.tasks import task
from redun.executor.observer import Execution
from redun.executor.scheduler import Scheduler
from redun.store import Store
from tests.executor.flows import Watcher, flow_in

redun_namespace = "tests.retries"

_began: list[float] = []
_ran: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def ran() -> Counter[str]:
    """How often each body was begun."""
    _ran.clear()
    _began.clear()
    return _ran


def rows(store: Store) -> list[JobRow]:
    """The rows of the newest execution."""
    _, execution = next(iter(store.executions()))
    return [row for page in store.job_pages(execution.pages) for row in page.rows]


@task(retries=3, version="1")
def flaky(failures: int) -> int:
    _ran["flaky"] += 1
    _began.append(time.monotonic())
    if _ran["flaky"] <= failures:
        raise ValueError(_ran["flaky"])
    return _ran["flaky"]


@task(retries=2, retry_on=[KeyError, OSError], version="1")
def choosy(error: str) -> None:
    _ran["choosy"] += 1
    raise {"key": KeyError, "os": FileNotFoundError, "value": ValueError}[error](error)


@task(retries=2, version="1")
def lambdas() -> Any:
    _ran["lambdas"] += 1
    return lambda: None


@task(retries=2, version="1")
def leaves() -> None:
    _ran["leaves"] += 1
    raise SystemExit(3)


@task(retries=5, version="1")
def calls_what_fails() -> Any:
    _ran["calls"] += 1
    return fails()


@task(version="1")
def fails() -> None:
    _ran["fails"] += 1
    raise ValueError("no")


@task(version="1")
def double(n: int) -> int:
    _ran["double"] += 1
    return 2 * n


@task(retries=2, version="1")
async def waits(failures: int) -> int:
    _ran["waits"] += 1
    found = await double(_ran["waits"])
    if _ran["waits"] <= failures:
        raise ValueError(found)
    return found


@task(version="1")
def recover(error: Exception) -> str:
    return f"recovered from {error}"


def test_there_are_local_retries_and_the_first_success_is_the_answer(store: Store) -> None:
    assert Scheduler(store).run(flaky(2)) == 3
    assert _ran["flaky"] == 3


def test_a_success_after_retries_answers_later_runs(store: Store) -> None:
    @task(version="1")
    def main() -> Any:
        return [flaky(2)]

    assert Scheduler(store).run(main()) == [3]
    assert Scheduler(store).run(main()) == [3]
    assert _ran["flaky"] == 3


def test_each_attempt_is_a_row_of_its_own(store: Store) -> None:
    Scheduler(store).run([flaky(2), double(1)])
    tried = sorted((row for row in rows(store) if row.trace or row.attempt > 1), key=lambda row: row.start)
    assert [(row.attempt, row.status) for row in tried] == [
        (1, Status.FAILED),
        (2, Status.FAILED),
        (3, Status.DONE),
    ]
    assert len({row.number for row in rows(store)}) == len(rows(store))
    assert len({row.parent for row in tried}) == 1
    assert len({row.call for row in tried}) == 3  # each with its own error, or the value


def test_the_last_error_is_that_of_the_job(store: Store) -> None:
    execution = Scheduler(store).execute(flaky(9))
    assert (execution.status, str(execution.error)) == (Status.FAILED, "4")
    assert _ran["flaky"] == 4
    assert sorted(row.attempt for row in rows(store)) == [1, 2, 3, 4]


def test_a_failure_after_retries_is_not_remembered(store: Store) -> None:
    @task(version="1")
    def main() -> Any:
        return catch(flaky(4), ValueError, recover)

    assert Scheduler(store).run(main()) == "recovered from 4"
    assert Scheduler(store).run(main()) == 5


def test_a_failure_that_is_remembered_is_no_answer_where_it_is_said_to_pass(store: Store) -> None:
    once = flaky.options(retries=0)
    assert Scheduler(store).run(catch(once(1), ValueError, recover)) == "recovered from 1"
    assert Scheduler(store).run(catch(once(1), ValueError, recover)) == "recovered from 1"
    assert Scheduler(store).run(catch(flaky(1), ValueError, recover)) == 2


def test_a_failure_that_was_not_tried_again_because_the_run_failed_is_not_remembered(store: Store) -> None:
    @task(version="1")
    def unhandled() -> Any:
        return [fails(), catch(flaky(1), ValueError, recover)]

    Scheduler(store, threads=2).execute(unhandled())
    assert Scheduler(store).run(catch(flaky(1), ValueError, recover)) != "recovered from 1"


def test_a_failure_of_another_number_of_retries_is_not_shared(store: Store) -> None:
    once = flaky.options(retries=0)
    found = Scheduler(store, threads=1).run([catch(once(2), ValueError, recover), flaky(double(1))])
    assert found == ["recovered from 1", 3]


@pytest.mark.parametrize(("error", "times"), [("key", 3), ("os", 3), ("value", 1)])
def test_only_errors_of_the_classes_that_are_named_are_tried_again(error: str, times: int) -> None:
    assert Scheduler().execute(choosy(error)).status is Status.FAILED
    assert _ran["choosy"] == times


def test_a_result_that_cannot_be_stored_is_not_tried_again() -> None:
    with pytest.raises(CannotEncode):
        Scheduler().run(lambdas())
    assert _ran["lambdas"] == 1


def test_a_body_that_exits_is_not_tried_again() -> None:
    with pytest.raises(RunError, match="SystemExit"):
        Scheduler().run(leaves())
    assert _ran["leaves"] == 1


def test_only_the_body_is_tried_again_and_not_what_it_called() -> None:
    with pytest.raises(ValueError, match="no"):
        Scheduler().run(calls_what_fails())
    assert (_ran["calls"], _ran["fails"]) == (1, 1)


def test_an_async_body_begins_anew_and_what_it_awaited_is_known(store: Store) -> None:
    assert Scheduler(store).run(waits(2)) == 6
    assert (_ran["waits"], _ran["double"]) == (3, 3)
    assert Scheduler(store).run(waits(2)) == 6
    assert (_ran["waits"], _ran["double"]) == (3, 3)


def test_a_body_in_another_process_is_tried_again_there(tmp_path: Path) -> None:
    with Store.init(tmp_path / "store") as store, flow_in(tmp_path, store) as flow:
        flow.load("""
import os

@task(executor="processes", retries=2)
def flaky(path):
    with open(path, "a") as file:
        file.write("x")
    if os.path.getsize(path) < 3:
        raise ValueError(os.path.getsize(path))
    return os.getpid()
""")
        assert flow(f"flaky({str(tmp_path / 'tries')!r})") != os.getpid()
        assert sorted(row.attempt for row in rows(store)) == [1, 2, 3]


def test_whoever_watches_is_warned_of_each_attempt_that_failed() -> None:
    watcher = Watcher()
    Scheduler(observer=watcher).run(flaky.options(retry_delay=[0, 0.01])(2))
    first = "attempt 1 of 4 of tests.retries.flaky failed: ValueError: 1; the next one begins at once"
    assert watcher.warnings == [first, first.replace(" 1", " 2").replace("at once", "in 0.01 s")]


# -- delays -----------------------------------------------------------------------------------------------------------


def test_a_delay_doubles_up_to_its_bound_and_a_list_says_each() -> None:
    assert [delay_before({"retry_delay": 2}, n) for n in range(1, 10)] == [2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert [delay_before({"retry_delay": 1, "retry_max_delay": 3}, n) for n in range(1, 5)] == [1, 2, 3, 3]
    assert [delay_before({"retry_delay": [1, 5]}, n) for n in range(1, 5)] == [1, 5, 5, 5]
    assert delay_before({"retry_delay": 600}, 9) == 600
    assert delay_before({"retry_delay": 1}, 10**6) == 300
    assert delay_before({}, 1) == 0


def test_an_attempt_begins_when_its_delay_is_over() -> None:
    Scheduler().run(flaky.options(retry_delay=0.05)(2))
    first, second = (after - before for before, after in pairwise(_began))
    assert 0.05 <= first < 5
    assert 0.1 <= second < 5


def test_a_job_that_waits_for_its_next_attempt_takes_up_no_thread() -> None:
    later = flaky.options(retry_delay=0.05)
    assert Scheduler(threads=1).run([later(1), [double(n) for n in range(20)]]) == [2, [2 * n for n in range(20)]]
    assert _ran["double"] == 20


def test_an_interrupt_ends_a_run_that_waits_for_an_attempt() -> None:
    class Interrupts(Watcher):
        def warned(self, message: str) -> None:
            threading.Timer(0.0, os.kill, (os.getpid(), signal.SIGINT)).start()

    began = time.monotonic()
    execution = Scheduler(observer=Interrupts()).execute(flaky.options(retry_delay=60)(9))
    assert execution.status is Status.INTERRUPTED
    assert time.monotonic() - began < 10


def test_a_run_that_fails_elsewhere_waits_for_no_attempt(store: Store) -> None:
    began = time.monotonic()
    execution: Execution = Scheduler(store, threads=2).execute([flaky.options(retry_delay=60)(9), fails()])
    assert execution.status is Status.FAILED
    assert time.monotonic() - began < 10


def test_a_run_that_keeps_going_makes_the_attempts_of_what_has_not_failed(store: Store) -> None:
    execution = Scheduler(store, keep_going=True).execute([fails(), flaky.options(retry_delay=0.01)(2)])
    assert isinstance(execution.error, ValueError)
    assert _ran["flaky"] == 3
    assert Scheduler(store).run(flaky(2)) == 3


@pytest.mark.parametrize(
    "options",
    [
        {"retries": -1},
        {"retries": "3"},
        {"retries": True},
        {"retry_delay": -1},
        {"retry_delay": []},
        {"retry_delay": float("inf")},
        {"retry_max_delay": "1"},
        {"retry_on": "ValueError"},
        {"retry_on": KeyboardInterrupt},
        {"timeout": 0},
        {"timeout": "5"},
    ],
)
def test_options_that_mean_nothing_are_refused_where_they_are_written(options: dict[str, Any]) -> None:
    with pytest.raises(TaskError, match=next(iter(options))):
        task(name="refused", **options)(lambda: None)
    with pytest.raises(TaskError, match=next(iter(options))):
        double.options(**options)


def test_none_is_as_good_as_nothing() -> None:
    nothing = dict.fromkeys(("limits", "timeout", "retries", "retry_delay", "retry_max_delay", "retry_on"))
    assert Scheduler().run(double.options(**nothing)(2)) == 4
