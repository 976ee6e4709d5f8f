"""What a program can ask of a task."""

from __future__ import annotations

from typing import Any

import pytest

from redun.core.errors import TaskError
from redun.core.tasks import registry, task
from redun.executor.scheduler import Scheduler
from redun.store import Store

SPACE = "tests.task_attributes"


@task(namespace=SPACE, memory=4, executor="threads")
def sample(x: int, *, word: str = "a") -> str:
    """Says what it does."""
    return word * x


@task(namespace=SPACE)
async def later(x: int) -> int:
    return x


def test_a_task_tells_its_options_and_those_of_its_calls():
    assert sample.get_task_options() == {"memory": 4, "executor": "threads"}
    assert sample.get_task_option("memory") == 4
    assert sample.get_task_option("cpus") is None
    assert sample.get_task_option("cpus", 1) == 1
    assert sample.has_task_option("memory")
    assert not sample.has_task_option("cpus")
    changed = sample.options(memory=8).export_options(cpus=2).update_context(a=1)
    assert changed.get_task_options() == {"memory": 8, "executor": "threads", "cpus": 2}
    assert changed.get_task_option("memory") == 8
    assert changed.has_task_option("cpus")
    assert sample.get_task_option("memory") == 4


def test_a_lazy_option_is_told_as_it_was_written():
    expression = sample(2)
    lazy = task(namespace=SPACE, name="lazy", memory=expression)(_plain)
    assert lazy.get_task_option("memory") is expression
    assert lazy.has_task_option("memory")


def _plain() -> None: ...


def test_a_task_tells_its_function():
    assert str(sample.signature) == "(x: 'int', *, word: 'str' = 'a') -> 'str'"
    assert "return word * x" in sample.source
    assert sample.load_module == __name__
    assert task(namespace=SPACE, name="moved", load_module="a.b")(_plain).load_module == "a.b"
    assert (sample.is_async(), later.is_async()) == (False, True)


def test_the_hash_of_a_task_is_its_id_in_the_history():
    @task(namespace=SPACE, version="1")
    def versioned() -> int:
        return 1

    with Store.memory() as store:
        execution = Scheduler(store).execute(versioned())
        (record,) = [record for digest, record in store.executions() if digest == execution.digest]
        assert versioned.hash in {found.hex() for found, _ in record.sources}


def test_a_task_that_another_has_replaced_is_not_valid():
    def made(version: str) -> Any:
        return task(namespace=SPACE, name="replaced", version=version)(_plain)

    first = made("1")
    assert first.is_valid()
    second = made("2")
    assert second.is_valid()
    assert not first.is_valid()
    assert registry.get(first.fullname) is second
    assert first.hash != second.hash


def test_a_source_stands_for_the_code():
    one = task(namespace=SPACE, name="given", source="x + 1")(_plain)
    same = task(namespace=SPACE, name="given", source="x + 1")(lambda: 2)
    other = task(namespace=SPACE, name="given", source="x + 2")(_plain)
    assert one.hash != other.hash
    assert one.version == same.version == "x + 1"


def test_a_class_method_is_a_task_only_from_inside():
    with pytest.raises(TaskError) as found:
        task(namespace=SPACE)(classmethod(lambda cls: cls))
    assert "@classmethod above" in str(found.value.hint)
