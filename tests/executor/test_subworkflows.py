"""Parts of workflows that are evaluated in a way of their own: tagged, on the side, with options, elsewhere."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from redun.core.functional import catch
from redun.core.subworkflows import Thread, apply_tags, fork_thread, join_thread, subrun, with_export_options
from redun.core.tasks import task
from redun.executor.scheduler import Scheduler
from redun.store import Store
from tests.executor.flows import Flow

SPACE = "tests.subworkflows"

_ran: list[Any] = []
_gates: dict[str, threading.Event] = {}


@pytest.fixture(autouse=True)
def ran() -> list[Any]:
    """What ran, by what it was given."""
    _ran.clear()
    _gates.clear()
    return _ran


@pytest.fixture(params=["whole", "step"])
def replay(request: pytest.FixtureRequest) -> Any:
    """How earlier results are taken."""
    return request.param


def run(store: Store, expression: Any, replay: Any = "whole") -> Any:
    return Scheduler(store, replay=replay).run(expression)


@task(namespace=SPACE, version="1")
def leaf(x: Any) -> Any:
    _ran.append(x)
    return x


@task(namespace=SPACE, version="1")
def fail(x: Any) -> Any:
    _ran.append("fail")
    raise ValueError(x)


# -- tags -------------------------------------------------------------------------------------------------------------


@task(namespace=SPACE, version="1")
def tagging() -> Any:
    return apply_tags(leaf([1, 2]), tags=[("quality", "good")], job_tags=[("job", 1)], execution_tags={"env": "test"})


@task(namespace=SPACE, version="1")
def above() -> Any:
    return tagging()


def test_a_value_its_job_and_the_execution_are_tagged_in_every_run(store: Store, ran: list[Any], replay: Any):
    for number in (1, 2):
        execution = Scheduler(store, replay=replay).execute(above())
        assert execution.value == [1, 2]
        found = [(thing, tag) for thing, tag in store.tagged()]
        (value,) = [(thing, tag) for thing, tag in found if thing.kind == "object"]
        assert value[1].pair == ("quality", "good")
        assert value[0].about is not None
        assert store.get_value(value[0].about) == [1, 2]
        assert len([tag for thing, tag in found if thing.kind == "job" and tag.pair == ("job", "1")]) == number
        record = next(record for digest, record in store.executions() if digest == execution.digest)
        assert list(record.tags) == [("env", "test")]
    assert ran == [[1, 2]]


def test_tags_may_be_lazy_and_those_of_a_value_alone_do_not_keep_a_task_from_being_replayed(store: Store):
    @task(namespace=SPACE, version="1")
    def main() -> Any:
        return apply_tags(leaf(1), [("made", leaf("by hand"))])

    for jobs in (3, 1):
        execution = Scheduler(store).execute(main())
        assert len(_rows(store, execution)) == jobs
    assert [tag.pair for _, tag in store.tagged()] == [("made", "by hand")]


def test_what_can_be_no_tag_fails_and_can_be_caught(store: Store):
    with pytest.raises(ValueError, match="it has no name"):
        run(store, apply_tags(leaf(1), [("", 1)]))


def _rows(store: Store, execution: Any) -> list[Any]:
    record = next(record for digest, record in store.executions() if digest == execution.digest)
    return [row for page in store.job_pages(record.pages) for row in page.rows]


# -- options ----------------------------------------------------------------------------------------------------------


ELSEWHERE = """
import os
from redun.scheduler import subrun, with_export_options

@task()
def process(x):
    return os.getpid()

@task()
def processes():
    return [process(1), process(2)]

@task()
def main():
    return with_export_options(processes(), {"executor": "processes"})

@task()
def sub():
    return subrun(processes(), executor="processes", config={})
"""


def test_options_are_exported_to_all_jobs_of_an_expression(flow: Flow):
    flow.load(ELSEWHERE)
    found, here = flow("[main(), process(3)]")
    assert os.getpid() not in found
    assert here == os.getpid()


def test_a_subrun_runs_all_its_jobs_in_the_executor_and_hands_its_footprint_up(flow: Flow):
    flow.load(ELSEWHERE)
    execution = flow.execute("sub()")
    assert os.getpid() not in execution.value
    assert sorted(row.executor for row in _rows(flow.store, execution)) == ["default"] * 2 + ["processes"] * 3
    assert flow("sub()") == execution.value
    flow.edit("return os.getpid()", "return -os.getpid()")
    assert max(flow("sub()")) < 0, "an edit below is seen, although the subrun is shallow"


def test_a_quoted_expression_is_one_argument_whether_it_was_just_made_or_is_remembered(store: Store, ran: list[Any]):
    @task(namespace=SPACE, version="1")
    def main() -> Any:
        return with_export_options([leaf(1)], {"check_valid": "full"})

    for jobs in (3, 3):
        execution = Scheduler(store, replay="step").execute(main())
        assert len(_rows(store, execution)) == jobs
    assert [row.how.name for row in _rows(store, execution)] == ["STEP"] * 3


def test_a_failure_in_a_subrun_is_caught_outside(store: Store):
    assert run(store, catch(subrun(fail("no")), ValueError, recovered)) == "recovered"


@task(namespace=SPACE, version="1")
def recovered(error: Any) -> str:
    return "recovered"


# -- on the side ------------------------------------------------------------------------------------------------------


@task(namespace=SPACE, version="1")
def opens(name: str) -> str:
    _gates.setdefault(name, threading.Event()).set()
    return name


@task(namespace=SPACE, version="1")
def waits(name: str) -> str:
    assert _gates.setdefault(name, threading.Event()).wait(30)
    return f"after {name}"


@task(namespace=SPACE, version="1")
def side_by_side() -> Any:
    return joined(fork_thread(waits("gate")), opens("gate"))


@task(namespace=SPACE, version="1")
def joined(thread: Thread[Any], other: Any) -> Any:
    return [join_thread(thread), other]


def test_a_forked_expression_is_evaluated_while_others_are_and_joined_elsewhere(store: Store, replay: Any):
    assert run(store, side_by_side(), replay) == ["after gate", "gate"]
    _gates.clear()
    assert run(store, side_by_side(), replay) == ["after gate", "gate"], "from the cache, or it would wait for ever"


def test_a_forked_expression_is_evaluated_once(store: Store, ran: list[Any]):
    @task(namespace=SPACE, version="1")
    def main() -> Any:
        thread = fork_thread([leaf(1) + 1, leaf.options(cache=False)(2)])
        return [join_thread(thread), join_thread(thread)]

    assert run(store, main()) == [[2, 2], [2, 2]]
    assert sorted(ran) == [1, 2]


def test_the_error_of_a_forked_expression_surfaces_where_it_is_joined(store: Store, ran: list[Any]):
    @task(namespace=SPACE, version="1")
    def main() -> Any:
        return [catch(joined(fork_thread(fail("late")), 1), ValueError, recovered), leaf(1)]

    assert run(store, main()) == ["recovered", 1]
    assert ran.count("fail") == 1


def test_a_forked_expression_that_nobody_joins_ends_before_the_execution_does(store: Store, ran: list[Any]):
    @task(namespace=SPACE, version="1")
    def main() -> Any:
        return [fork_thread(leaf([leaf("inner"), 2])), leaf(1)]

    assert run(store, main())[1] == 1
    assert sorted(map(str, ran)) == ["1", "['inner', 2]", "inner"]


def test_a_forked_failure_that_nobody_joins_is_nobodys(store: Store, ran: list[Any]):
    @task(namespace=SPACE, version="1")
    def main() -> Any:
        return [fork_thread(fail("unheard")), leaf(1)]

    assert run(store, main())[1] == 1
    assert "fail" in ran


def test_only_a_thread_can_be_joined(store: Store):
    with pytest.raises(TypeError, match="join_thread"):
        run(store, join_thread(leaf(1)))
