"""Loading workflows: from a file or a module, as the text that is on disk at that moment."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from redun.core.digest import DEFAULT_FORMAT
from redun.core.errors import DuplicateTask, NotFound, TaskError
from redun.core.keys import prepare
from redun.core.tasks import registry
from redun.executor.loader import load_workflow
from redun.executor.scheduler import Scheduler

TASK = "from redun.core.tasks import task\n\n"
HELLO = TASK + "@task()\ndef hello(): return 'hello'\n"


@pytest.fixture(autouse=True)
def _process_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    modules, path, tasks = set(sys.modules), list(sys.path), dict(registry._tasks)
    monkeypatch.chdir(tmp_path)
    yield
    for name in set(sys.modules) - modules:
        if not name.startswith("redun"):
            del sys.modules[name]
    sys.path[:] = path
    registry._tasks.clear()
    registry._tasks.update(tasks)


def _write(text: str, name: str = "work.py") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_loaded_with_its_tasks_in_order_of_their_names():
    _write(HELLO + "@task(namespace='z')\ndef a(): return 1\n@task()\ndef b(): return hello()\n")
    workflow = load_workflow("work.py")
    assert workflow.module_name == "work"
    assert [task.fullname for task in workflow.tasks] == ["b", "hello", "z.a"]
    assert Scheduler().run(workflow.tasks[0]()) == "hello"


def test_a_file_in_a_folder_finds_modules_beside_it():
    _write("def grow(x): return x + 1\n", "folder/beside_work.py")
    _write(TASK + "from beside_work import grow\n\n@task()\ndef main(): return grow(1)\n", "folder/flow_in_folder.py")
    (task,) = load_workflow("folder/flow_in_folder.py").tasks
    assert Scheduler().run(task()) == 2
    assert sys.path[0] == str(Path("folder").resolve())


def test_a_module_is_loaded_by_its_name():
    _write("", "some_package/__init__.py")
    _write(HELLO, "some_package/flow.py")
    workflow = load_workflow("some_package.flow")
    assert workflow.module_name == "some_package.flow"
    assert [task.fullname for task in workflow.tasks] == ["hello"]


def test_tasks_of_modules_that_a_workflow_imports_are_its_own():
    _write(HELLO, "imported_flow.py")
    _write(TASK + "import imported_flow\n@task()\ndef main(): return imported_flow.hello()\n")
    assert [task.fullname for task in load_workflow("work.py").tasks] == ["hello", "main"]


def test_loading_a_file_again_gives_the_same_tasks():
    _write(HELLO)
    first = load_workflow("work.py")
    again = load_workflow(str(Path("work.py").resolve()))
    assert [*map(id, again.tasks)] == [*map(id, first.tasks)]


@pytest.mark.parametrize(
    "name", ["missing.py", "folder/missing.py", "no_such_module", "no_such.module", ".", "", "a..b", ".a", "my-flow"]
)
def test_what_is_not_there_is_an_error_with_a_hint(name: str):
    with pytest.raises(NotFound) as caught:
        load_workflow(name)
    assert caught.value.hint


def test_a_directory_is_not_a_workflow():
    Path("folder.py").mkdir()
    with pytest.raises(NotFound, match="directory"):
        load_workflow("folder.py")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_an_error():
    _write(HELLO).chmod(0)
    with pytest.raises(NotFound, match="cannot be read"):
        load_workflow("work.py")


def test_a_file_name_that_is_no_name_of_a_module_is_refused():
    _write(HELLO, "my-flow.py")
    with pytest.raises(TaskError, match="imported under its file name"):
        load_workflow("my-flow.py")


def test_what_the_users_code_raises_is_raised_and_leaves_no_half_a_module():
    _write("x = 1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        load_workflow("work.py")
    assert "work" not in sys.modules
    _write(HELLO)
    assert len(load_workflow("work.py").tasks) == 1


def test_text_that_is_no_python_is_pythons_own_error():
    _write("def broken(:\n")
    with pytest.raises(SyntaxError) as caught:
        load_workflow("work.py")
    assert caught.value.filename == str(Path("work.py").resolve())


def test_a_module_that_a_workflow_wants_and_is_not_there_is_pythons_own_error():
    _write("import no_such_module_at_all\n")
    with pytest.raises(ModuleNotFoundError):
        load_workflow("work.py")


@pytest.mark.parametrize(("encoding", "line"), [("utf-8", ""), ("latin-1", "# coding: latin-1\n"), ("utf-8-sig", "")])
def test_the_encoding_of_the_source_is_heeded(encoding: str, line: str):
    Path("work.py").write_bytes((line + TASK + "@task()\ndef main(): return 'é'\n").encode(encoding))
    (task,) = load_workflow("work.py").tasks
    assert Scheduler().run(task()) == "é"
    assert prepare(task, DEFAULT_FORMAT).cacheable


def test_futures_of_the_loader_are_not_those_of_the_workflow():
    _write(TASK + "@task()\ndef main() -> tuple[int, int]: return 1, 2\n")
    (task,) = load_workflow("work.py").tasks
    assert task.func.__annotations__["return"] == tuple[int, int]


def test_nothing_is_written_beside_the_workflow():
    _write(HELLO)
    load_workflow("work.py")
    assert os.listdir(".") == ["work.py"]


def test_what_is_fingerprinted_is_what_was_loaded_even_if_the_file_changes_at_once():
    path = _write(HELLO)
    (task,) = load_workflow("work.py").tasks
    path.write_text(HELLO.replace("'hello'", "'other'"))
    assert prepare(task, DEFAULT_FORMAT).cacheable
    assert "'hello'" in task.capture.text


def test_two_tasks_of_one_name_are_found_when_loading():
    _write(HELLO + "@task()\ndef hello(): return 'again'\n")
    with pytest.raises(DuplicateTask, match="hello"):
        load_workflow("work.py")


def test_a_workflow_without_tasks_is_loaded_with_none():
    _write("x = 1\n")
    assert load_workflow("work.py").tasks == []
