"""What a body is told of the calls that it drops, and of lazy values that it makes texts of."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from redun.core.errors import ExpressionError, WorkflowWarning
from redun.store import Store
from tests.executor.flows import HEADER, MODULE, Flow, flow_in

TASKS = """
@task()
def size(word):
    return len(word)

@task()
def both(one, other=None):
    return one

"""


@pytest.fixture
def flow(tmp_path: Path) -> Iterator[Flow]:
    with Store.init(tmp_path / "store") as store, flow_in(tmp_path, store) as made:
        yield made


def warned(flow: Flow, body: str, parameters: str = "", options: str = "", call: str = "main()") -> list[str]:
    """Runs a task with this body, and returns what it was warned of, with the text of the line."""
    text = TASKS + f"@task({options})\ndef main({parameters}):\n{body}"
    flow.load(text)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        execution = flow.execute(call)
    assert execution.error is None or isinstance(execution.error, ValueError), execution.error
    lines = (HEADER + text).splitlines()
    assert {one.category for one in found} <= {WorkflowWarning}
    assert all(one.filename.endswith(f"{MODULE}.py") for one in found)
    return [f"{lines[one.lineno - 1].strip()} | {one.message}".partition(" is neither")[0] for one in found]


def test_a_statement_that_is_only_a_call_is_warned_about_with_its_line(flow: Flow):
    assert warned(flow, "    size('a')\n    return 1\n") == ["size('a') | size('a')"]


def test_a_call_inside_a_dropped_one_is_told_with_it(flow: Flow):
    body = "    both(size('a'), [size('b')])\n    return 1\n"
    assert warned(flow, body) == ["both(size('a'), [size('b')]) | both(size('a'), [size('b')])"]


def test_a_loop_that_drops_calls_is_warned_about_once(flow: Flow):
    body = "    for word in 'abc':\n        size(word)\n    return 1\n"
    assert warned(flow, body) == ["size(word) | size('a')"]


def test_a_call_that_is_assigned_and_never_read_is_warned_about_with_its_line(flow: Flow):
    body = "    used = size('a')\n    lost = size('b')\n    return used\n"
    assert warned(flow, body) == ["lost = size('b') | size('b')"]


def test_a_call_of_a_scheduler_task_counts(flow: Flow):
    body = "    from redun.core.functional import seq\n    seq([size('a')])\n    return 1\n"
    (said,) = warned(flow, body)
    assert said.startswith("seq([size('a')]) | redun.seq(")


def test_what_is_returned_or_held_by_it_is_never_warned_about(flow: Flow):
    body = (
        "    from redun.core.functional import cond, map_, seq\n"
        "    inner = map_(size, ['a'])\n    outer = map_(both, inner)\n"
        "    x = size('b')\n    y = x + 1\n    z = cond(x > 3, size('c'), both(size('d')))\n"
        "    return {'a': [outer[0]], 'b': y, 'c': z, 'd': seq([x]), 'e': x is None}\n"
    )
    assert warned(flow, body) == []


def test_a_call_that_one_of_two_branches_needs_is_not_warned_about(flow: Flow):
    body = "    x = size('a')\n    if n == 0:\n        return 0\n    return x\n"
    assert warned(flow, body, "n", call="main(0)") == []


def test_what_an_error_takes_along_is_not_warned_about(flow: Flow):
    assert warned(flow, "    lost = size('a')\n    raise ValueError(3)\n") == []
    body = (
        "    def helper():\n        lost = size('a')\n        raise ValueError(3)\n"
        "    try:\n        helper()\n    except ValueError:\n        pass\n    return 1\n"
    )
    assert warned(flow, body) == []


def test_calls_made_outside_of_bodies_are_not_warned_about(flow: Flow):
    flow.load(TASKS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        flow.expression("size('a')")


def test_an_expression_that_a_body_runs_itself_is_none_that_it_drops(flow: Flow):
    body = "    from redun.executor.scheduler import Scheduler\n    Scheduler().run(size('a'))\n    return 1\n"
    assert warned(flow, body) == []


def test_an_async_body_is_warned_of_what_it_does_not_await(flow: Flow):
    text = TASKS + "@task()\nasync def main():\n    size('a')\n    return await size('b')\n"
    flow.load(text)
    with pytest.warns(WorkflowWarning, match="neither returned nor stored") as found:
        assert flow() == 1
    assert [(HEADER + text).splitlines()[one.lineno - 1].strip() for one in found] == ["size('a')"]


def test_an_answer_from_the_cache_warns_of_nothing(flow: Flow):
    body = "    size('a')\n    return 1\n"
    assert len(warned(flow, body)) == 1
    assert warned(flow, body) == []


@pytest.mark.parametrize("text", ["str(x)", "'%s' % x", "print(x)"])
def test_the_text_of_a_lazy_value_is_that_of_the_call_and_warned_about(flow: Flow, text: str, capsys):
    (said,) = warned(flow, f"    x = size('a')\n    y = {text}\n    return x\n")
    assert said.startswith(f"y = {text} | size('a') is lazy, so its text is that of the call")


def test_a_lazy_value_shown_by_repr_is_not_warned_about(flow: Flow):
    assert warned(flow, "    x = size('a')\n    y = f'{x!r} {[repr(x)]}'\n    return x, y\n") == []


@pytest.mark.parametrize(
    ("body", "instead"),
    [
        ("    if size('a'):\n        return 1\n", "decide with cond"),
        ("    return [x for x in size('a')]\n", "map_(task, values)"),
        ("    a, b = size('a')\n    return a\n", "nout=2"),
        ("    return f\"{size('a')}\"\n", "format inside a task"),
        ("    return len(size('a'))\n", "use len() inside a task"),
        ("    return int(size('a'))\n", "convert inside a task"),
        ("    return 3 in size('a')\n", "use `in` inside a task"),
    ],
)
def test_a_lazy_value_that_is_used_too_early_is_an_error_that_says_what_to_do(flow: Flow, body: str, instead: str):
    flow.load(f"{TASKS}@task()\ndef main():\n{body}")
    with pytest.raises(ExpressionError) as found:
        flow()
    assert instead in found.value.hint
