"""Tasks: what the decorator makes of a function, the registry, and tasks as values."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from redun.core.decoding import Decoder
from redun.core.digest import DEFAULT_FORMAT
from redun.core.errors import CannotDecode, CannotEncode, DuplicateTask, TaskError, UnknownTask
from redun.core.expressions import TaskCall
from redun.core.parameters import parameters
from redun.core.tasks import PartialTask, Registry, Task, get_task_registry, registry, task
from redun.core.values import Encoder
from tests.core.projects import Project

SPACE = "test_tasks"


@pytest.fixture(autouse=True)
def _registry_as_it_was() -> Iterator[None]:
    before = dict(registry._tasks)
    yield
    registry._tasks.clear()
    registry._tasks.update(before)


# -- the decorator ----------------------------------------------------------------------------------------------------


def test_a_function_becomes_a_task_that_is_called_lazily():
    @task(namespace=SPACE)
    def add(a: int, b: int = 2) -> int:
        """Adds."""
        return a + b

    call: Any = add(1, b=3)
    assert isinstance(add, Task)
    assert type(call) is TaskCall
    assert (call._redun_task, call._redun_args, call._redun_kwargs) == (add, (1,), {"b": 3})
    assert add.func(1) == 3
    assert (add.name, add.namespace, add.fullname) == ("add", SPACE, f"{SPACE}.add")
    assert (add.__name__, add.__doc__, add.__module__, add.__wrapped__) == ("add", "Adds.", __name__, add.func)
    assert repr(add) == f"Task(fullname={SPACE}.add)"


def test_parameters_may_have_any_name():
    @task(namespace=SPACE)
    def named(self: int, task: int, **options: int) -> Any:
        return self, task, options

    call: Any = named(self=1, task=2, args=3, kwargs=4)
    chosen: Any = named.options(memory=1)(self=1, task=2, options=3)
    assert call._redun_kwargs == {"self": 1, "task": 2, "args": 3, "kwargs": 4}
    assert chosen._redun_kwargs == {"self": 1, "task": 2, "options": 3}
    assert call(self=1)._redun_operands[2] == {"self": 1}


def test_the_decorator_works_bare_and_with_empty_parentheses():
    @task
    def bare() -> int:
        return 1

    @task()
    def called() -> int:
        return 1

    assert registry.get("bare") is bare
    assert registry.get("called") is called


def test_a_task_may_have_another_name_than_its_function():
    made: Task[..., Any] = task(name="other", namespace=f"{SPACE}.inner")(lambda: 1)
    assert registry.find(f"{SPACE}.inner.other") is made


def test_options_steer_jobs_and_what_belongs_to_the_task_is_kept_apart():
    made: Task[..., Any] = Task(
        lambda: 1,
        {"name": "t", "version": 2, "nout": 1, "hash_includes": [3], "cache": False, "executor": "x", "memory": 4},
    )
    assert made.task_options == {"cache": False, "executor": "x", "memory": 4}
    assert (made.version, made.nout, made.hash_includes, made.code) == ("2", 1, (3,), "closure")


BAD_OPTIONS: list[dict[str, Any]] = [
    {"nout": -1},
    {"nout": "2"},
    {"nout": True},
    {"code": "all"},
    {"code": "version"},
    {"cache": "false"},
    {"cache": 1},
    {"check_valid": "deep"},
    {"cache_scope": "GLOBAL"},
    {"name": "1st"},
    {"name": "a-b"},
    {"name": "a.b"},
    {"namespace": ".a"},
    {"namespace": "a b"},
]


@pytest.mark.parametrize("thing", [functools.partial(max, 1), operator.itemgetter(1), 3], ids=str)
def test_what_is_no_function_is_refused(thing: Any):
    with pytest.raises(TaskError, match="a task is made of a function"):
        task(name="t")(thing)


@pytest.mark.parametrize("options", BAD_OPTIONS, ids=str)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any]):
    with pytest.raises(TaskError):
        Task(lambda: 1, {"name": "t", **options})


@pytest.mark.parametrize("options", [{"cache": "no"}, {"check_valid": "x"}, {"cache_scope": "y"}], ids=str)
def test_options_of_a_call_are_checked_when_they_are_given(options: dict[str, Any]):
    made: Task[..., Any] = Task(lambda: 1, {"name": "t"})
    with pytest.raises(TaskError, match="task t:"):
        made.options(**options)
    with pytest.raises(TaskError, match="task t:"):
        made.options().options(**options)


def test_options_of_a_call_gather_and_the_later_wins():
    made: Task[..., Any] = Task(lambda x: x, {"name": "t", "cache": True})
    chosen = made.options(executor="a", memory=1).options(executor="b")
    assert isinstance(chosen, PartialTask)
    call: Any = chosen(5)
    assert call._redun_options == {"executor": "b", "memory": 1}
    assert call._redun_task is made
    assert made.task_options == {"cache": True}
    plain: Any = made(5)
    assert plain._redun_options is None


# -- namespaces -------------------------------------------------------------------------------------------------------


def test_namespaces_take_precedence_as_documented(project: Project):
    module = project_module(
        project,
        "from redun.core.namespace import namespace\n"
        "namespace('current')\n"
        "@task()\ndef a(): return 1\n"
        "redun_namespace = 'module'\n"
        "@task()\ndef b(): return 1\n"
        "@task(namespace='own')\ndef c(): return 1\n"
        "@task(namespace='')\ndef d(): return 1\n"
        "namespace()\n",
    )
    assert [getattr(module, name).fullname for name in "abcd"] == ["current.a", "module.b", "own.c", "d"]


def project_module(project: Project, text: str) -> ModuleType:
    project.write({"w": "from redun.core.tasks import task\n" + text})
    return project.load("w")


# -- parameters -------------------------------------------------------------------------------------------------------


def _all_kinds(a: Any, b: Any = 1, /, c: Any = 2, *d: Any, e: Any, f: Any = 3, **g: Any) -> None: ...


def test_parameters_have_the_kinds_that_inspect_gives_them():
    params, defaults = parameters(_all_kinds)
    assert params == (("a", 0), ("b", 0), ("c", 1), ("d", 2), ("e", 3), ("f", 3), ("g", 4))
    assert defaults == {"b": 1, "c": 2, "f": 3}


class Callable_:  # noqa: N801
    def __call__(self, a: int, *, b: int = 2) -> int:
        return a + b


@pytest.mark.parametrize(
    ("func", "params", "defaults"),
    [
        (lambda: 1, (), {}),
        (lambda a, b=1: 1, (("a", 1), ("b", 1)), {"b": 1}),
        (lambda *a: 1, (("a", 2),), {}),
        (lambda *, a: 1, (("a", 3),), {}),
        (lambda **a: 1, (("a", 4),), {}),
        (Callable_(), (("a", 1), ("b", 3)), {"b": 2}),
        (functools.partial(_all_kinds, 0), (("b", 0), ("c", 1), ("d", 2), ("e", 3), ("f", 3), ("g", 4)), None),
        (int.__add__, (("self", 0), ("value", 0)), {}),
    ],
)
def test_parameters_of_every_callable_are_found(func: Any, params: Any, defaults: Any):
    found, found_defaults = parameters(func)
    assert found == params
    if defaults is not None:
        assert found_defaults == defaults


def test_a_decorated_function_has_the_parameters_of_the_one_inside():
    def doubled(func: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(func)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return func(*args, **kwargs) * 2

        return wrapper

    @task(namespace=SPACE)
    @doubled
    def inner(a: int, b: int = 1) -> int:
        return a + b

    assert inner.params == (("a", 1), ("b", 1))
    assert inner.func(1) == 4


# -- the registry -----------------------------------------------------------------------------------------------------


def test_the_registry_counts_its_registrations():
    own = Registry()
    made: Task[..., Any] = Task(lambda: 1, {"name": "t"})
    own.add(made)
    assert (own.generation, own.get("t"), list(own)) == (1, made, [made])
    assert own.get("u") is None
    assert get_task_registry() is registry


def test_an_unknown_task_is_an_error_that_names_the_closest():
    own = Registry()
    own.add(Task(lambda: 1, {"name": "planet"}))
    with pytest.raises(UnknownTask, match="no task is named plant") as caught:
        own.find("plant")
    assert "planet" in caught.value.hint


def test_two_tasks_of_one_name_in_one_module_are_an_error(project: Project):
    with pytest.raises(DuplicateTask, match=r"two tasks are named t: .*w\.py:3 and .*w\.py:5"):
        project_module(project, "@task()\ndef t(): return 1\n@task(name='t')\ndef u(): return 2\n")


def test_two_tasks_of_one_name_in_two_modules_are_an_error(project: Project):
    project.write({"v": "from redun.core.tasks import task\n@task()\ndef t(): return 1\n"})
    with pytest.raises(DuplicateTask) as caught:
        project_module(project, "import v\n@task()\ndef t(): return 2\n")
    assert "redun_namespace" in caught.value.hint


def test_the_same_task_may_be_registered_again(project: Project):
    module = project_module(project, "@task()\ndef t(): return 1\n")
    registry.add(Task(module.t.func, {}))


def test_a_reload_may_redefine(project: Project):
    import importlib

    module = project_module(project, "@task()\ndef t(): return 1\n")
    project.write({"w": "from redun.core.tasks import task\n@task()\ndef t(): return 'other'\n"})
    importlib.invalidate_caches()
    importlib.reload(module)
    assert registry.find("t").func() == "other"


def test_local_tasks_may_have_the_name_of_others():
    for value in (1, 2):

        @task(namespace=SPACE)
        def local() -> Any:
            return value  # noqa: B023

    assert registry.find(f"{SPACE}.local") is local


# -- tasks as values --------------------------------------------------------------------------------------------------


def test_a_task_is_stored_by_name_and_is_code():
    made: Task[..., Any] = task(name="t", namespace=SPACE)(lambda: 1)
    encoder = Encoder(DEFAULT_FORMAT)
    encoded = encoder.encode([made])
    assert encoded.code == (made,)
    decoder = Decoder(encoder.objects.__getitem__)
    assert decoder.decode(encoded.payload) == [made]
    assert decoder.code == [made]


def test_a_task_that_is_not_the_registered_one_is_refused():
    with pytest.raises(CannotEncode, match="not the registered one"):
        Encoder(DEFAULT_FORMAT).encode(Task(lambda: 1, {"name": "never_registered"}))


def test_a_stored_task_that_is_gone_is_an_error():
    made: Task[..., Any] = task(name="t", namespace=SPACE)(lambda: 1)
    payload = Encoder(DEFAULT_FORMAT).encode(made).payload
    del registry._tasks[made.fullname]
    with pytest.raises(CannotDecode, match="not in the running workflow"):
        Decoder({}.__getitem__).decode(payload)


def test_only_what_a_caller_can_see_is_the_interface():
    def pair() -> tuple[int, int]:
        return 1, 2

    assert Task(pair, {"memory": 3}).interface == (("nout", "2"),)
    assert Task(pair, {"script": True}).interface == (("nout", "2"), ("script", "True"))
    assert Task(lambda: 1, {"name": "t", "cache": False}).interface == ()
