"""Options of tasks that say what counts, what is told, what is recorded and what may answer."""

from __future__ import annotations

from typing import Any

import pytest

from redun.core.cache_options import CacheCheckValid, CacheResult, CacheScope
from redun.core.errors import TaskError
from redun.core.job_info import JobInfo
from redun.core.objects import CallRecord, How, JobRow
from redun.core.subworkflows import no_prov
from redun.core.tasks import task
from redun.executor.observer import Execution
from redun.executor.scheduler import Scheduler
from redun.store import Store
from tests.executor.flows import Flow

SPACE = "tests.task_options"

_ran: list[Any] = []


@pytest.fixture(autouse=True)
def ran() -> list[Any]:
    """What ran, by what it was given."""
    _ran.clear()
    return _ran


@pytest.fixture(params=["whole", "step"])
def replay(request: pytest.FixtureRequest) -> Any:
    """How earlier results are taken."""
    return request.param


def run(store: Store, expression: Any, replay: Any = "whole") -> Any:
    return Scheduler(store, replay=replay).run(expression)


def rows(store: Store, execution: Execution) -> list[JobRow]:
    """The rows of an execution."""
    assert execution.digest is not None
    record = next(record for digest, record in store.executions() if digest == execution.digest)
    return [row for page in store.job_pages(record.pages) for row in page.rows]


# -- arguments that do not count --------------------------------------------------------------------------------------


@task(namespace=SPACE, version="1", config_args=["memory"])
def sized(x: int, memory: Any = 1) -> Any:
    _ran.append((x, memory))
    return x + 1


@task(namespace=SPACE, version="1")
def sizes(memory: Any) -> Any:
    return [sized(1, memory), sized(2, memory=memory)]


def test_config_args_are_no_part_of_the_key(store: Store, ran: list[Any], replay: Any):
    assert run(store, sized(1, memory=4), replay) == 2
    assert run(store, sized(1, memory=8), replay) == 2
    assert run(store, sized(1), replay) == 2
    assert run(store, sizes(16), replay) == [2, 3]
    assert ran == [(1, 4), (2, 16)], "the body is given what the call says"
    assert run(store, sized(3, 8), replay) == 4


def test_calls_that_differ_in_config_args_are_one_recorded_call(store: Store):
    executions = [Scheduler(store).execute(sized(1, memory=memory), cache=False) for memory in (4, 8, [1])]
    calls = {rows(store, execution)[0].call for execution in executions}
    assert len(calls) == 1
    (call,) = calls
    assert call is not None
    record = CallRecord.parse(store.get(call)[1])
    assert store.get_value(record.args[1]) is ..., "what is no part of the call stands there as ..."


def test_equal_calls_of_other_config_args_join_in_one_run(store: Store, ran: list[Any]):
    assert run(store, [sized(1, memory=4), sized(1, memory=8)]) == [2, 2]
    assert len(ran) == 1


def test_config_args_that_are_no_parameters_are_refused():
    with pytest.raises(TaskError, match="config_args has 'memry'"):
        task(namespace=SPACE, name="sized", config_args=["memry"])(lambda memory: memory)


# -- what a job is told -----------------------------------------------------------------------------------------------


@task(namespace=SPACE, version="1")
def informed(x: int, info: JobInfo = JobInfo()) -> Any:  # noqa: B008  it stands for what the job is told
    _ran.append(info)
    return x


def test_a_job_is_told_of_itself_and_that_is_no_part_of_the_key(store: Store, ran: list[Any], replay: Any):
    first = Scheduler(store, replay=replay).execute([informed(1), informed(2)])
    one, two = ran
    assert one.execution_id == two.execution_id == first.uuid
    assert one.job_id != two.job_id
    assert one.eval_hash != two.eval_hash
    assert len(one.args_hash) == 32
    assert run(store, [informed(1), informed(2)], replay) == [1, 2]
    assert len(ran) == 2


def test_a_job_elsewhere_is_told_of_itself(flow: Flow):
    flow.load(
        "from redun.task import JobInfo\n"
        "@task(executor='processes')\n"
        "def main(x, info=JobInfo()):\n    return [x, info.execution_id, len(info.job_id)]\n"
    )
    execution = flow.execute("main(1)")
    assert execution.value == [1, execution.uuid, 32]


# -- where answers may come from --------------------------------------------------------------------------------------


@task(namespace=SPACE, version="1")
def leaf(x: int) -> int:
    _ran.append(x)
    return x


def _caller(**options: Any) -> Any:
    @task(namespace=SPACE, name="caller", version="1", **options)
    def caller(x: int) -> Any:
        _ran.append("caller")
        return leaf(x)

    return caller


@pytest.mark.parametrize("scope", list(CacheScope))
def test_the_words_of_redun_name_the_same_options(store: Store, ran: list[Any], scope: CacheScope):
    caller = _caller(cache_scope=scope, check_valid=CacheCheckValid.SHALLOW)
    assert run(store, [caller(1), caller(1)]) == [1, 1]
    assert run(store, [caller(1)]) == [1]
    ran_now = ran.count("caller")
    assert ran_now == {CacheScope.NONE: 3, CacheScope.CSE: 2, CacheScope.BACKEND: 1}[scope]
    assert run(store, leaf.options(cache_scope=scope, check_valid=CacheCheckValid.FULL)(1)) == 1


def test_only_the_results_that_are_allowed_answer(store: Store, ran: list[Any]):
    for allowed, again in (({"SINGLE"}, 0), ({CacheResult.ULTIMATE}, 0), ([CacheResult.CSE], 1), ([], 1)):
        caller = _caller(allowed_cache_results=allowed)
        run(store, caller(1))
        ran.clear()
        assert run(store, [caller(1)]) == [1]
        assert ran.count("caller") == again


def test_a_final_result_that_is_not_allowed_is_made_of_the_recorded_step(store: Store):
    caller = _caller(allowed_cache_results={CacheResult.SINGLE})
    run(store, caller(1))
    execution = Scheduler(store).execute(caller(1))
    assert [row.how for row in rows(store, execution)] == [How.STEP, How.STEP]


@pytest.mark.parametrize("options", [{"prov": 0}, {"allowed_cache_results": {"OTHER"}}, {"tags": [("", 1)]}])
def test_options_that_mean_nothing_are_refused(options: dict[str, Any]):
    with pytest.raises(TaskError):
        task(namespace=SPACE, name="no", **options)(lambda: 1)


# -- jobs that are not recorded ---------------------------------------------------------------------------------------


@task(namespace=SPACE, version="1", prov=False)
def quiet(x: int) -> Any:
    _ran.append("quiet")
    return [leaf(x), leaf(x + 1)]


@task(namespace=SPACE, version="1")
def around() -> Any:
    return quiet(1)


def test_jobs_without_provenance_have_no_rows_and_are_run_every_time(store: Store, ran: list[Any], replay: Any):
    for _ in range(2):
        ran.clear()
        execution = Scheduler(store, replay=replay).execute(around())
        assert execution.value == [1, 2]
        assert len(rows(store, execution)) == 1, "the task around it, and neither it nor what it called"
        assert sorted(map(str, ran)) == ["1", "2", "quiet"]
    assert run(store, leaf(1), replay) == 1
    assert ran.count(1) == 2, "and they left no answer"


def test_jobs_without_provenance_may_fail_and_be_tried_again(store: Store):
    @task(namespace=SPACE, version="1", prov=False, retries=1)
    def failing() -> None:
        _ran.append(1)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run(store, failing())
    assert len(_ran) == 2


def test_no_prov_records_one_job_and_replays_it(store: Store, ran: list[Any], replay: Any):
    @task(namespace=SPACE, version="1")
    def main() -> Any:
        return no_prov([leaf(1), leaf(2)])

    first = Scheduler(store, replay=replay).execute(main())
    assert first.value == [1, 2]
    assert len(rows(store, first)) == 2
    assert run(store, main(), replay) == [1, 2]
    assert ran == [1, 2]


# -- tags -------------------------------------------------------------------------------------------------------------


@task(namespace=SPACE, version="1", tags=[("owner", "ada"), ("levels", [1, 2])])
def tagged(x: int) -> int:
    return x


def test_tags_of_a_task_are_given_to_it_and_to_its_jobs(store: Store):
    execution = Scheduler(store).execute([tagged(1), tagged(2), leaf(1)])
    found = {(thing.kind, thing.name.partition(" ")[2] or thing.name, *tag.pair) for thing, tag in store.tagged()}
    name = f"{SPACE}.tagged"
    jobs = [str(row.number) for row in rows(store, execution) if row.number in (1, 2)]
    pairs = [("owner", "ada"), ("levels", "[1, 2]")]
    assert found == {("task", name, *p) for p in pairs} | {("job", job, *p) for job in jobs for p in pairs}


def test_tags_of_a_call_are_those_of_its_job_alone(store: Store):
    run(store, leaf.options(tags=[("kind", "demo")])(1))
    assert [(thing.kind, tag.pair) for thing, tag in store.tagged()] == [("job", ("kind", "demo"))]
