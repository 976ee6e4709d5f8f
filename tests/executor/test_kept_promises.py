"""Facts about whole workflows that are easily got wrong: each is a result that would be stale, or an error that would
come too late."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from redun.core.errors import CannotEncode, DuplicateTask, ExpressionError, RunError, TaskError
from redun.core.tasks import task
from redun.executor.scheduler import Scheduler
from redun.store import Store
from tests.executor.flows import Flow

# -- nothing stale ----------------------------------------------------------------------------------------------------


def test_what_a_shallow_task_shares_with_another_is_part_of_its_subtree(flow: Flow):
    flow.load(
        "from redun.functools import seq\n"
        "@task()\ndef leaf(x):\n    return x\n\n"
        "@task()\ndef mid(x):\n    return leaf(x)\n\n"
        "@task(check_valid='shallow')\ndef shallow(x):\n    return mid(x) + 1\n\n"
        "@task()\ndef main():\n    return seq([mid(1), shallow(1)])\n"
    )
    assert flow() == [1, 2]
    flow.edit("return x\n", "return x + 100\n")
    assert flow() == [101, 102]


def test_code_of_an_async_task_before_a_function_inside_it_counts(flow: Flow):
    flow.load("@task()\nasync def main():\n    y = 1\n    def inner():\n        return y\n    return inner()\n")
    assert flow() == 1
    flow.edit("y = 1", "y = 2")
    assert flow() == 2


def test_a_task_inside_an_operation_may_be_renamed(flow: Flow):
    flow.load("@task(name='leaf')\ndef leaf(x):\n    return x\n\n@task()\ndef main():\n    return leaf(1) + 1\n")
    assert flow() == 2
    flow.edit("name='leaf'", "name='renamed'")
    assert flow() == 2
    flow.edit("return x\n", "return x + 10\n")
    assert flow() == 12


def test_helpers_globals_and_closures_count_without_being_listed(flow: Flow):
    flow.load(
        "K = 1\ndef helper(x):\n    return x + K\n\n"
        "def made(n):\n    @task(name='closure')\n    def closure(x):\n        return x * n\n    return closure\n\n"
        "times = made(2)\n\n@task()\ndef main():\n    return [helper(1), times(3)]\n"
    )
    assert flow() == [2, 6]
    flow.edit("K = 1", "K = 100")
    assert flow() == [101, 6]
    flow.edit("made(2)", "made(3)")
    assert flow() == [101, 9]


# -- nothing lazy reaches a body --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "collections.OrderedDict(a=leaf(1))",
        "collections.defaultdict(list, a=leaf(1))",
        "frozenset([leaf(1)])",
        "collections.deque([leaf(1)])",
        "functools.partial(leaf, leaf(1))",
    ],
)
def test_a_body_is_given_values_whatever_holds_them(flow: Flow, value: str):
    flow.load(
        "import collections, functools\n"
        "@task()\ndef leaf(x):\n    return x\n\n"
        "@task()\ndef kinds(held):\n"
        "    items = held.values() if hasattr(held, 'values') else getattr(held, 'args', held)\n"
        "    return [type(held).__name__, *[type(item).__name__ for item in items]]\n\n"
        f"@task()\ndef main():\n    return kinds({value})\n"
    )
    for _ in range(2):
        name, *kinds = flow()
        assert name == value.partition("(")[0].rpartition(".")[2]
        assert kinds == ["int"]


def test_a_lazy_value_in_a_text_is_an_error(flow: Flow):
    flow.load("@task()\ndef leaf():\n    return 1\n\n@task()\ndef main():\n    return f'got {leaf()}'\n")
    with pytest.raises(ExpressionError):
        flow()


# -- options ----------------------------------------------------------------------------------------------------------


def test_an_option_of_the_root_may_be_lazy(flow: Flow):
    flow.load(
        "@task()\ndef memory():\n    return 4\n\n@task(memory=memory())\ndef main():\n    return 'done'\n\n"
        "@task()\ndef called():\n    return 'called'\n"
    )
    assert flow() == "done"
    assert flow("called.options(memory=memory())()") == "called"


def test_what_was_exported_stays_so_when_options_follow():
    @task(namespace="kept_promises", hash_includes=["more"])
    def sample() -> None: ...

    partial = sample.export_options(memory=1).options(cpus=2)
    assert partial.overrides == {"memory": 1, "_exported": {"memory": 1}, "cpus": 2}
    assert partial.hash_includes == ("more",)


def test_equal_calls_without_any_cache_run_each(flow: Flow):
    flow.load(
        "@task(cache_scope='NONE')\ndef leaf(x):\n    ran('leaf')\n    return x\n\n"
        "@task()\ndef main():\n    return [leaf(1), leaf(1)]\n"
    )
    assert flow() == [1, 1]
    assert flow.ran == ["leaf", "leaf"]


def test_an_async_task_is_not_sent_to_an_executor_that_cannot_run_it(flow: Flow):
    flow.load("@task(executor='processes')\nasync def main():\n    return 1\n")
    with pytest.raises(RunError, match="is async"):
        flow()


# -- errors that say what to do ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "said"), [("threading.Lock()", "make the lock where it is used"), ("lambda: 1", "top level of a module")]
)
def test_a_result_that_cannot_be_stored_says_what_to_do(flow: Flow, value: str, said: str):
    flow.load(f"import threading\n@task()\ndef main():\n    return [{value}]\n")
    with pytest.raises(CannotEncode) as found:
        flow()
    assert said in str(found.value.hint)
    assert "flow" in "".join(found.value.__notes__) or "main" in "".join(found.value.__notes__)


def test_two_tasks_of_one_name_are_an_error_and_none_replaces_the_other(flow: Flow):
    with pytest.raises(DuplicateTask, match="two tasks are named"):
        flow.load("@task()\ndef one():\n    return 1\n\n@task(name='one')\ndef other():\n    return 2\n")


# -- methods and partials ---------------------------------------------------------------------------------------------


class Holder:
    """Has tasks for methods."""

    @task(namespace="kept_promises", version="1")
    def method(self, x: int) -> Any:
        return [self, x]

    @staticmethod
    @task(namespace="kept_promises", version="1")
    def inside(x: int) -> int:
        return x

    @task(namespace="kept_promises", version="1")
    @staticmethod
    def outside(x: int) -> int:
        return x

    @classmethod
    @task(namespace="kept_promises", version="1")
    def of_class(cls, x: int) -> Any:
        return [cls.__name__, x]


def run(expression: Any) -> Any:
    with Store.memory() as store:
        return Scheduler(store).run(expression)


def test_methods_are_tasks_that_nothing_is_bound_to():
    assert run(Holder.method(7, 1)) == [7, 1]
    assert run([Holder.inside(1), Holder().inside(2), Holder.outside(3), Holder().outside(4)]) == [1, 2, 3, 4]
    assert run(Holder.of_class(1)) == ["Holder", 1]
    with pytest.raises(TypeError, match=r"write Holder\.method\(obj, \.\.\.\)"):
        run(Holder().method(1))
    with pytest.raises(TaskError, match="class method"):
        task(namespace="kept_promises")(classmethod(lambda cls: cls))


@task(namespace="kept_promises", version="1")
def applied(function: Any, x: Any) -> Any:
    return function(x)


def product(a: int, b: int) -> int:
    return a * b


@task(namespace="kept_promises", version="1")
def given() -> Any:
    return functools.partial(product, 2)


def test_partials_of_functions_and_of_tasks_are_values():
    assert run(applied(functools.partial(product, 2), 3)) == 6
    assert run(applied(functools.partial(product, b=4), 3)) == 12
    assert run(applied(functools.partial(applied, functools.partial(product, 2)), 5)) == 10
    assert run(given())(8) == 16


def test_a_partial_of_a_function_counts_with_its_code(flow: Flow):
    flow.load(
        "import functools\ndef g(a, b):\n    return a + b\n\n@task()\ndef call(f):\n    return f(1)\n\n"
        "@task()\ndef main():\n    return call(functools.partial(g, 2))\n"
    )
    assert flow() == 3
    flow.edit("a + b", "a * b")
    assert flow() == 2
