"""What `redun check` finds in a workflow, and what it lets pass."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import indent

import pytest

from redun.executor.checking.remarks import RULES, Remark
from redun.executor.checking.workflow import check_workflow
from redun.executor.loader import load_workflow
from redun.store import Store
from tests.executor.flows import MODULE, flow_in, forget
from tests.executor.mistakes import RIGHT, TASKS, WRONG

ROOT = Path(__file__).resolve().parents[2]
Check = Callable[[str], list[Remark]]


@pytest.fixture
def check(tmp_path: Path):
    """Writes a workflow, loads it and checks it."""
    with Store.memory() as store, flow_in(tmp_path, store):

        def checked(text: str) -> list[Remark]:
            forget()
            (tmp_path / f"{MODULE}.py").write_text(text)
            return check_workflow(load_workflow(f"{MODULE}.py").tasks)

        yield checked


def body(text: str, parameters: str, options: str = "") -> str:
    inner = indent("\n".join(line.removeprefix("    ") for line in text.strip("\n").splitlines()), "")
    return f"{TASKS}@task({options})\ndef main({parameters}):\n{inner}\n"


def marked(text: str) -> list[tuple[int, str]]:
    """The lines of a text that say what is wrong with them, once for each rule."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if said := re.search(r"# -> ([\w ]+)$", line):
            found += [(number, rule) for rule in said.group(1).split()]
    return found


@pytest.mark.parametrize("name", WRONG)
def test_each_mistake_is_found_at_its_line_and_nothing_else(check: Check, name: str):
    text = body(WRONG[name], "n: int = 1")
    assert [(remark.line, remark.rule) for remark in check(text)] == marked(text)


@pytest.mark.parametrize("name", RIGHT)
def test_nothing_is_found_in_what_is_right(check: Check, name: str):
    text = body(RIGHT[name], "n: int, file: File, words_given: list[str]")
    assert check(text) == []


def test_every_rule_has_a_text_that_breaks_it():
    assert {rule for text in WRONG.values() for _, rule in marked(text)} == set(RULES)


def test_a_remark_names_the_place_the_task_and_what_to_do(check: Check):
    (remark,) = check(TASKS + "@task()\ndef main():\n    x = size('a')\n    if x:\n        return 1\n    return x\n")
    assert (remark.file, remark.column, remark.task, remark.rule) == (f"{MODULE}.py", 8, "main", "truth")
    assert remark.message == f"x (size('a'), line {remark.line - 1}) is lazy: whether it is true is not known here"
    assert "cond(...)" in remark.hint


def test_what_a_helper_asks_the_world_is_found_where_a_task_uses_it(check: Check):
    text = "import time\ndef now():\n    return time.time()\ndef unused():\n    return time.time()\n"
    (remark,) = check(TASKS + text + "@task()\ndef main():\n    return now()\n")
    assert (remark.rule, remark.task) == ("clock", "main")
    assert "return time.time()" in (TASKS + text).splitlines()[remark.line - 1]


def test_a_task_that_is_never_cached_may_ask_the_world(check: Check):
    text = body("        import time\n        return time.time() + n\n", "n: int", "cache=False")
    assert check(text) == []


def test_a_global_that_functions_assign_is_no_code_that_can_be_found(check: Check):
    text = "COUNT = 0\ndef count():\n    global COUNT\n    COUNT += 1\n"
    (remark,) = check(TASKS + text + "@task()\ndef main():\n    count()\n    return COUNT\n")
    assert (remark.rule, remark.task) == ("code", "main")
    assert "COUNT: is assigned through `global`" in remark.message


def test_what_counts_by_the_text_that_makes_it_is_found(check: Check):
    text = "import threading\nLOCK = threading.Lock()\n@task()\ndef main():\n    with LOCK:\n        return 1\n"
    assert check(TASKS + text) == []


def test_a_call_at_the_top_of_a_file_that_nobody_runs_is_dropped(check: Check):
    text = TASKS + "@task()\ndef main():\n    return 1\nif __name__ == '__main__':\n    main()\n"
    assert [(remark.line, remark.rule) for remark in check(text)] == [(len(text.splitlines()), "dropped")]
    assert check(text.replace("    main()\n", "    import redun\n    print(redun.run(main()))\n")) == []


def test_a_comment_silences_the_rules_that_it_names_and_no_others(check: Check):
    lines = "        x = size('a')\n        if x: # redun: ok[text]\n            return 1\n        return x\n"
    assert [remark.rule for remark in check(body(lines, "n: int"))] == ["truth"]
    assert check(body(lines.replace("[text]", "[text, truth]"), "n: int")) == []


def test_a_scheduler_task_may_hold_its_arguments_as_they_are(check: Check):
    text = "@scheduler_task()\ndef first(*choices):\n    for choice in choices:\n        if (yield choice):\n"
    assert check(TASKS + text + "            return choice\n@task()\ndef main():\n    return first(size('a'))\n") == []


def test_tasks_made_by_a_function_are_checked(check: Check):
    text = "def make(n):\n    @task(name=f'made{n}')\n    def inner(x: int) -> int:\n"
    (remark,) = check(TASKS + text + "        return 1 if size('a') else 2\n    return inner\nmade = make(3)\n")
    assert (remark.rule, remark.task) == ("truth", "made3")


def test_the_workflow_is_not_run(check: Check):
    assert check(TASKS + "@task()\ndef main():\n    raise SystemExit(3)\n") == []


#: The files of the examples that are workflows: what they run beside may be servers.
EXAMPLES = [path for path in sorted((ROOT / "examples").glob("*/*.py")) if "@task" in path.read_text()]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_nothing_is_found_in_the_examples(tmp_path: Path, path: Path):
    with Store.memory() as store, flow_in(tmp_path, store):
        before = set(sys.modules)
        try:
            assert check_workflow(load_workflow(str(path)).tasks) == []
        finally:
            for name in set(sys.modules) - before:
                if str(getattr(sys.modules[name], "__file__", "")).startswith(str(ROOT / "examples")):
                    del sys.modules[name]
