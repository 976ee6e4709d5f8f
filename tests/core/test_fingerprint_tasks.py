"""Tasks that a task uses: by what a caller sees of them, unless their code is used otherwise than by calling."""

from __future__ import annotations

import pytest

from redun.core.tasks import Task, task
from tests.core.projects import Project, use, uses

TWO = "@task({options})\ndef u({params}):\n    return 1\n@task()\ndef t(x=0):\n    return {body}\n"


def two(body: str, options: str = "", params: str = "a") -> str:
    """Returns a module whose task `t` does something with its task `u`."""
    return TWO.format(body=body, options=options, params=params)


@pytest.mark.parametrize(
    "body",
    [
        "u(1)",
        "[u(i) for i in range(3)]",
        "map(u, [1])",
        "u.options(memory=1)(2)",
        "u.partial(1)()",
        "u.update_context(a=1)(1)",
        "u.map([1])",
        "(lambda: u)()(1)",
    ],
)
def test_a_task_that_is_called_or_passed_on_counts_by_its_interface(project: Project, body: str):
    text = two(body)
    found = project(text)
    assert uses(found) == [("task", "u")]
    assert use(found, "u").detail == "(a) at w:u"
    assert found.digest == project(text.replace("return 1", "return 2")).digest
    assert found.digest == project(two(body, "memory=3, cache=False")).digest
    assert found.digest != project(two(body, params="b")).digest
    assert found.digest != project(two(body, "nout=2")).digest
    assert found.digest != project(two(body, "namespace='other'")).digest


def test_nout_promised_by_an_annotation_is_interface_too(project: Project):
    text = two("u(1)").replace("def u(a):", "def u(a) -> tuple[int, int]:")
    found = project(text)
    assert use(found, "u").detail == "(a) nout='2' at w:u"
    assert found.digest != project(text.replace("tuple[int, int]", "tuple[int, int, int]")).digest


@pytest.mark.parametrize("body", ["u.func(1)", "u.__wrapped__(1)", "u.func", "getattr(u, 'func')(1)"])
def test_a_task_used_otherwise_counts_by_its_code(project: Project, body: str):
    text = "K = 1\n" + two(body).replace("return 1", "return K")
    found = project(text)
    assert uses(found) == [("task", "u"), ("constant", "w:K"), ("function", "w:u.func")]
    assert found.digest != project(text.replace("return K", "return K + 1")).digest
    assert found.digest != project(text.replace("K = 1", "K = 2")).digest
    assert found.digest == project(text.replace("@task()\ndef u", "@task(memory=4)\ndef u")).digest


def test_the_version_of_a_task_stands_for_its_code_there_too(project: Project):
    text = two("u.func(1)", "version='1'")
    found = project(text)
    assert use(found, "u").detail == "(a) version='1' at w:u"
    assert found.digest == project(text.replace("return 1", "return 2")).digest
    assert found.digest != project(text.replace("'1'", "'2'")).digest


def test_a_task_that_calls_itself_uses_itself(project: Project):
    found = project("@task()\ndef t(n):\n    return t(n - 1) if n else 0\n")
    assert uses(found) == [("task", "t")]


def test_tasks_that_use_each_others_functions_end(project: Project):
    text = "@task()\ndef u(n):\n    return t.func(n)\n@task()\ndef t(n):\n    return u.func(n - 1) if n else 0\n"
    found = project(text)
    assert uses(found) == [("task", "t"), ("task", "u"), ("function", "w:t.func"), ("function", "w:u.func")]
    assert found.digest != project(text.replace("n - 1", "n - 2")).digest


def test_two_tasks_that_swap_their_names_are_told_apart(project: Project):
    text = "@task(name='a')\ndef f():\n    return 1\n@task(name='b')\ndef g():\n    return 2\n"
    text += "@task()\ndef t():\n    return f() - g()\n"
    swapped = text.replace("'a'", "'c'").replace("'b'", "'a'").replace("'c'", "'b'")
    assert project(text).digest != project(swapped).digest


def test_tasks_in_containers_and_closures_count_by_their_interface(project: Project):
    text = "@task()\ndef u(a):\n    return 1\nSTEPS = [u]\ndef make(f):\n    @task(name='t')\n    def inner():\n"
    text += "        return f(1), STEPS[0](2)\n    return inner\nt = make(u)\n"
    found = project(text)
    assert {each.name for each in found.record.uses} == {"u", "w:STEPS"}
    assert found.digest == project(text.replace("return 1", "return 2")).digest
    assert found.digest != project(text.replace("u(a)", "u(a, b=1)")).digest


def test_a_task_with_options_of_its_own_counts_as_the_task(project: Project):
    text = "@task()\ndef u(a):\n    return 1\nbig = u.options(memory=1)\n@task()\ndef t():\n    return big(1)\n"
    found = project(text)
    assert uses(found) == [("task", "u")]
    assert found.digest == project(text.replace("memory=1", "memory=2")).digest


def test_a_task_that_a_helper_calls_counts(project: Project):
    text = "@task()\ndef u(a):\n    return 1\ndef h():\n    return u(1)\n@task()\ndef t():\n    return h()\n"
    assert uses(project(text)) == [("task", "u"), ("function", "w:h")]


def test_a_task_of_the_engine_counts_by_its_version(project: Project):
    def cond(test, yes, no):
        return yes if test else no

    versions = []
    for version in ("1", "2"):
        cond.__module__ = "redun.core.functional"
        engine: Task[..., object] = task(namespace="redun", version=version)(cond)
        text = "cond = None\n@task()\ndef t():\n    return cond(1, 2, 3)\n"
        project.write({"w": "from redun.core.tasks import task\n" + text})
        module = project.load("w")
        module.cond = engine
        versions.append(project.of(module.t))
    assert use(versions[0], "redun.cond").detail == "(test, yes, no) version='1' at w:cond"
    assert versions[0].digest != versions[1].digest


def test_a_task_of_the_engine_can_be_fingerprinted_itself(project: Project):
    from redun.core import operations

    def engine():
        return operations.__name__

    engine.__module__ = "redun.core.operations"
    made = task(name="engine", namespace="redun", version="3")(engine)
    assert project.of(made).record.code == "version"


@pytest.mark.parametrize(
    ("params", "shown"),
    [
        ("", "()"),
        ("a, b", "(a, b)"),
        ("a, /, b", "(a, /, b)"),
        ("a, /", "(a, /)"),
        ("a, *, b", "(a, *, b)"),
        ("*a, b", "(*a, b)"),
        ("a, /, b=1, *c, d=2, **e", "(a, /, b, *c, d, **e)"),
    ],
)
def test_the_interface_is_written_like_a_signature(project: Project, params: str, shown: str):
    assert use(project(two("u", params=params)), "u").detail == f"{shown} at w:u"
