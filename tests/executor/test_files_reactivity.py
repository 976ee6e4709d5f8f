"""What runs again when outputs, inputs and directories are touched, changed, deleted or put back between two runs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from redun.core.objects import Status
from tests.executor.flows import Flow

OLD = 1_600_000_000

PIPELINE = """
from dataclasses import dataclass
from redun.core.files.sets import Dir, FileSet

@task()
def make(name, text):
    ran("make", name)
    file = File(name)
    file.write(text)
    return file

@task()
def measure(file):
    ran("measure", file.path)
    return len(file.read())

@task()
def main():
    files = [make(f"out/{name}.txt", name * 3) for name in "abc"]
    return [measure(file) for file in files]
"""


def _spoil(path: str, how: str) -> None:
    if how == "delete":
        os.remove(path)
    elif how == "edit":
        Path(path).write_text("spoilt")
    elif how == "directory":
        os.remove(path)
        os.mkdir(path)
    elif how == "link":
        os.remove(path)
        os.symlink("nowhere", path)


@pytest.mark.parametrize("how", ["delete", "edit", "link"])
def test_an_output_that_was_spoilt_runs_its_producer_alone(flow: Flow, how: str):
    flow.load(PIPELINE)
    assert flow() == [3, 3, 3]
    _spoil("out/b.txt", how)
    assert flow() == [3, 3, 3]
    assert flow.ran == ["make out/b.txt"]
    assert Path("out/b.txt").read_text() == "bbb"
    assert flow() == [3, 3, 3]
    assert flow.ran == []


def test_an_output_that_became_a_directory_is_an_error_of_its_producer_and_not_of_the_cache(flow: Flow):
    flow.load(PIPELINE)
    flow()
    _spoil("out/b.txt", "directory")
    execution = flow.execute()
    assert isinstance(execution.error, OSError)
    assert "out/b.txt" in str(execution.error)
    os.rmdir("out/b.txt")
    assert flow() == [3, 3, 3]
    assert flow.ran == ["make out/b.txt"]


def test_an_output_that_was_touched_or_whose_mode_changed_runs_nothing(flow: Flow):
    flow.load(PIPELINE)
    flow()
    os.utime("out/a.txt", (OLD, OLD))
    os.chmod("out/b.txt", 0o600)
    assert flow() == [3, 3, 3]
    assert flow.ran == []


def test_an_output_that_was_moved_away_and_put_back_runs_nothing(flow: Flow):
    flow.load(PIPELINE)
    flow()
    shutil.move("out", "elsewhere")
    shutil.copytree("elsewhere", "out")
    assert flow() == [3, 3, 3]
    assert flow.ran == []


def test_all_outputs_are_made_again_when_their_directory_is_gone(flow: Flow):
    flow.load(PIPELINE)
    flow()
    shutil.rmtree("out")
    assert flow() == [3, 3, 3]
    assert flow.ran == ["make out/a.txt", "make out/b.txt", "make out/c.txt"]


@pytest.mark.parametrize(
    "held",
    [
        "{'deep': [(file, 1)]}",
        "{file: 1}",
        "frozenset([file])",
        "Box(file, [file])",
        "[[], {'x': Box(1, {'y': file})}]",
    ],
)
def test_a_file_anywhere_in_a_result_is_looked_at(flow: Flow, held: str):
    flow.load(f"""{PIPELINE}
@dataclass
class Box:
    one: object
    two: object

@task()
def hold():
    ran("hold")
    file = File("held.txt")
    file.write("x")
    return {held}

@task()
def top(): return [hold()]
""")
    flow("top()")
    assert flow("top()")
    assert flow.ran == []
    Path("held.txt").write_text("spoilt")
    flow("top()")
    assert flow.ran == ["hold"]
    assert Path("held.txt").read_text() == "x"


def test_a_missing_file_is_a_state_as_any_other(flow: Flow):
    flow.load("""
@task()
def name(): ran("name"); return File("later.txt")

@task()
def there(file): ran("there"); return file.exists()

@task()
def main(): return there(name())
""")
    assert flow() is False
    assert flow() is False
    assert flow.ran == []
    Path("later.txt").write_text("x")
    assert flow() is True
    assert flow.ran == ["name", "there"]
    os.remove("later.txt")
    assert flow() is False
    assert "there" not in flow.ran


def test_a_file_that_was_not_written_by_who_returns_it_follows_what_it_is(flow: Flow):
    flow.load("""
@task()
def name(): ran("name"); return File("given.txt")

@task()
def read(file): ran("read"); return file.read()

@task()
def main(): return read(name())
""")
    for text in ("one", "two"):
        Path("given.txt").write_text(text)
        assert flow() == text
        assert flow.ran == ["name", "read"]
        assert flow() == text
        assert flow.ran == []


def test_a_file_as_default_in_context_and_in_an_argument_is_looked_at(flow: Flow):
    flow.load("""
from redun.core.context import get_context

@task()
def by_default(file=File("d.txt")): ran("by_default"); return file.read()

@task()
def by_context(file=get_context("file")): ran("by_context"); return file.read()

@task()
def main(): return [by_default(), by_context()]
""")
    for name in "dc":
        Path(f"{name}.txt").write_text("1")

    def run() -> list[str]:
        flow.reload()
        return flow("main()", context={"file": flow.expression("File('c.txt')")})

    assert run() == ["1", "1"]
    assert run() == ["1", "1"]
    assert flow.ran == []
    Path("d.txt").write_text("2")
    assert run() == ["2", "1"]
    assert flow.ran == ["by_default"]
    Path("c.txt").write_text("3")
    assert run() == ["2", "3"]
    assert flow.ran == ["by_context"]


def test_what_a_failing_task_wrote_is_no_result(flow: Flow):
    flow.load("""
@task()
def make():
    ran("make")
    File("half.txt").write("half")
    if File("broken.txt").exists():
        raise ValueError("half way")
    return File("half.txt")

@task()
def main(): return make()
""")
    Path("broken.txt").write_text("")
    for _ in range(2):
        assert flow.execute().status is Status.FAILED
        assert flow.ran == ["make"]
    os.remove("broken.txt")
    assert flow().read() == "half"
    assert flow.ran == ["make"]


def test_a_file_that_is_deleted_while_the_run_goes_on_is_missed_by_who_is_given_it(flow: Flow):
    flow.load("""
import os

@task()
def make(): ran("make"); file = File("x.txt"); file.write("x"); return file

@task()
def lose(file): os.remove("x.txt"); return 1

@task()
def use(file, after): return file.read()

@task()
def main():
    file = make()
    return use(file, lose(file))
""")
    execution = flow.execute()
    assert "x.txt changed after it was named" in str(execution.error)


# -- sets -------------------------------------------------------------------------------------------------------------

SETS = """
from redun.core.files.sets import Dir, FileSet

@task()
def make():
    ran("make")
    for name in "abc":
        File(f"out/{name}.txt").write(name)
    return Dir("out")

@task()
def join(files):
    ran("join")
    return "".join(file.read() for file in files)

@task()
def main(): return join(make())

@task()
def inputs(): return join(FileSet("in/*.txt"))
"""


@pytest.mark.parametrize("how", ["delete", "edit", "more"])
def test_a_directory_that_was_spoilt_is_made_again_and_who_reads_it_is_answered(flow: Flow, how: str):
    flow.load(SETS)
    assert flow() == "abc"
    assert flow() == "abc"
    assert flow.ran == []
    if how == "more":
        Path("out/d.txt").write_text("d")
    else:
        _spoil("out/b.txt", how)
    result = flow()
    assert flow.ran == (["join", "make"] if how == "more" else ["make"])
    assert result == ("abcd" if how == "more" else "abc")
    assert flow() == result
    assert flow.ran == []


def test_files_that_come_go_and_change_are_seen_by_who_is_given_their_set(flow: Flow):
    flow.load(SETS)
    os.mkdir("in")
    for number, change in enumerate(("1", "2", "gone", "same")):
        if change == "gone":
            os.remove("in/1.txt")
        elif change == "same":
            os.utime("in/2.txt", (OLD, OLD))
            Path("in/other.dat").write_text("no member")
        else:
            Path(f"in/{change}.txt").write_text(change)
        expected = ["1", "12", "2", "2"][number]
        assert flow("inputs()") == expected
        assert ("join" in flow.ran) == (change != "same")


def test_a_set_that_nothing_matches_is_empty(flow: Flow):
    flow.load(SETS)
    assert flow("inputs()") == ""
    assert flow("inputs()") == ""
    assert flow.ran == []
    os.mkdir("in")
    assert flow("inputs()") == ""
    assert flow.ran == []


def test_a_set_that_changes_while_many_work_on_it_answers_no_later_run(flow: Flow):
    flow.load("""
from redun.core.files.sets import FileSet

@task()
def work(number, files):
    ran("work", number)
    if number == 3:
        with open("in/1.txt", "w") as stream:
            stream.write("changed")
    return number

@task()
def main():
    files = FileSet("in/*.txt")
    return [work(number, files) for number in range(8)]
""")
    os.mkdir("in")
    for _ in range(2):
        for name in "123":
            Path(f"in/{name}.txt").write_text(name)
        flow.execute()
        assert any("in/*.txt changed while" in warning for warning in flow.watcher.warnings)
        assert "work 3" in flow.ran


def test_a_file_that_is_edited_in_a_directory_after_that_was_made_is_left_alone_by_the_next_run(flow: Flow):
    flow.load("""
from redun.core.files.sets import Dir

@task()
def make():
    ran("make")
    for name in "ab":
        File(f"out/{name}.txt").write(name)
    return Dir("out")

@task()
def edit(folder):
    ran("edit")
    folder.file("a.txt").write("edited")
    return Dir(folder.path)

@task()
def join(files): ran("join"); return "".join(file.read() for file in files)

@task()
def main(): return join(edit(make()))
""")
    assert flow() == "editedb"
    flow.replay = "whole"
    assert flow() == "editedb"
    assert flow.ran == []


def test_a_shallow_task_looks_at_its_result_alone(flow: Flow):
    flow.load(PIPELINE.replace("@task()\ndef main", "@task(check_valid='shallow')\ndef main"))
    assert flow() == [3, 3, 3]
    shutil.rmtree("out")
    assert flow() == [3, 3, 3]
    assert flow.ran == []
