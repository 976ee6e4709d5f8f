"""Paths that several tasks write in one run: the first state of a path is not there any more when the run ends.

A run from nothing would go through the same states, so a later one runs nothing; what is not so is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from redun.core.errors import StaleInput
from tests.executor.flows import Flow
from tests.executor.histories import history_in

WRITES = """
@task()
def write(text, name="x.txt"):
    ran("write", text)
    file = File(name)
    file.write(text)
    return file

@task()
def edit(file, mark):
    ran("edit", mark)
    file.write(file.read() + mark)
    return file

@task()
def read(file):
    ran("read")
    return file.read()

@task()
def remove(file):
    ran("remove")
    file.remove()
    return file
"""


def _main(flow: Flow, body: str) -> None:
    flow.load(f"{WRITES}\n@task()\ndef main():\n    ran('main')\n    {body}\n")


def _text(name: str = "x.txt") -> str:
    return Path(name).read_text()


def test_a_file_that_is_written_and_then_edited_is_left_alone_by_the_next_run(flow: Flow):
    _main(flow, "return read(edit(edit(write('a'), 'b'), 'c'))")
    assert flow() == "abc"
    flow.replay = "whole"
    assert flow() == "abc"
    assert flow.ran == []
    assert _text() == "abc"


def test_a_change_above_runs_writing_and_editing_in_their_order(flow: Flow):
    _main(flow, "return read(edit(write('a'), 'b'))")
    flow()
    flow.edit("write('a')", "write('new ')")
    assert flow() == "new b"
    assert {"write new ", "edit b"} <= set(flow.ran)
    flow.replay = "whole"
    assert flow() == "new b"
    assert flow.ran == []


def test_a_changed_edit_is_done_to_what_was_written_and_not_to_what_was_edited(flow: Flow):
    _main(flow, "return read(edit(write('a'), 'b'))")
    flow()
    flow.edit("file.read() + mark", "mark + file.read()")
    assert flow() == "ba"
    assert _text() == "ba"
    flow.replay = "whole"
    flow()
    assert flow.ran == []


def test_an_edited_file_that_was_deleted_or_tampered_with_is_made_again_from_its_beginning(flow: Flow):
    _main(flow, "return read(edit(write('a'), 'b'))")
    flow()
    for spoil in (os.remove, lambda path: Path(path).write_text("spoilt"), lambda path: Path(path).write_text("a")):
        spoil("x.txt")
        assert flow() == "ab"
        assert "edit b" in flow.ran
        assert "read" not in flow.ran
        assert _text() == "ab"


def test_a_result_may_hold_a_state_that_is_past(flow: Flow):
    _main(flow, "first = write('a')\n    return [first, edit(first, 'b')]")
    first = flow()
    flow.replay = "whole"
    again = flow()
    assert flow.ran == []
    assert [file.hash for file in again] == [file.hash for file in first]
    assert again[0].hash != again[1].hash


def test_an_input_that_is_edited_in_place_is_edited_in_each_run(flow: Flow):
    """So it is without a store: the input is another one each time."""
    _main(flow, "return read(edit(File('in.txt'), 'b'))")
    Path("in.txt").write_text("a")
    assert [flow(), flow(), flow()] == ["ab", "abb", "abbb"]


def test_an_input_that_is_as_it_is_wanted_is_left_alone(flow: Flow):
    flow.load("""
@task()
def ordered(file):
    ran("ordered")
    file.write("".join(sorted(file.readlines())))
    return file

@task()
def main(): return ordered(File("in.txt"))
""")
    Path("in.txt").write_text("b\na\n")
    assert flow().read() == "a\nb\n"
    assert flow().read() == "a\nb\n"
    assert flow().read() == "a\nb\n"
    assert flow.ran == []


def test_a_file_that_is_written_and_then_removed_is_left_alone_by_the_next_run(flow: Flow):
    _main(flow, "file = write('a')\n    return [read(file), remove(file)][1]")
    flow()
    assert not os.path.exists("x.txt")


def test_a_file_that_goes_back_to_an_earlier_state_is_left_alone(flow: Flow):
    flow.load(f"""{WRITES}
@task()
def cut(file):
    ran("cut")
    file.write(file.read()[:-1])
    return file

@task()
def main(): return read(cut(edit(write("a"), "b")))
""")
    assert flow() == "a"
    flow.replay = "whole"
    assert flow() == "a"
    assert flow.ran == []


def test_tasks_that_pass_on_an_edited_file_are_answered_as_one(flow: Flow):
    flow.load(f"""{WRITES}
@task()
def prepared(text): return edit(write(text), "b")

@task()
def more(file): return edit(edit(file, "c"), "d")

@task()
def main(): return read(more(prepared("a")))

@task()
def top(): return [main()]
""")
    assert flow("top()") == ["abcd"]
    flow.replay = "whole"
    assert flow("top()") == ["abcd"]
    assert flow.ran == []
    os.remove("x.txt")
    assert flow("top()") == ["abcd"]
    assert flow.ran == ["edit b", "edit c", "edit d", "write a"]
    assert flow("main()") == "abcd"
    assert flow.ran == []


def test_a_file_that_another_program_writes_is_known_as_made_too(flow: Flow):
    flow.load("""
import subprocess

@task()
def make(text):
    ran("make")
    subprocess.run(["sh", "-c", f"sleep 0.02; echo {text} > x.txt"], check=True)
    return File("x.txt")

@task()
def grow(file):
    ran("grow")
    subprocess.run(["sh", "-c", "echo more >> x.txt"], check=True)
    return File("x.txt")

@task()
def main(): return grow(make("a"))
""")
    flow()
    flow.replay = "whole"
    assert flow().read() == "a\nmore\n"
    assert flow.ran == []


DIRECTORY = f"""{WRITES}
from redun.core.files.sets import Dir

@task()
def make():
    ran("make")
    for name in "ab":
        File(f"out/{{name}}.txt").write(name)
    return Dir("out")

@task()
def change(folder):
    ran("change")
    {{change}}

@task()
def main():
    folder = make()
    return [folder, change(folder)]
"""


def _change(flow: Flow, text: str) -> None:
    flow.load(DIRECTORY.replace("{change}", text))


def test_a_file_that_is_edited_in_a_directory_that_another_task_made_is_left_alone(flow: Flow):
    _change(flow, "return edit(File('out/a.txt'), '!')")
    flow()
    flow.replay = "whole"
    flow()
    assert flow.ran == []
    for name in ("a", "b"):
        Path(f"out/{name}.txt").write_text("spoilt")
        flow()
        assert "make" in flow.ran
        assert "edit !" in flow.ran
        assert (_text("out/a.txt"), _text("out/b.txt")) == ("a!", "b")
        flow()
        assert flow.ran == []


def test_a_file_that_is_removed_from_a_directory_that_another_task_made_is_left_alone(flow: Flow):
    _change(flow, "return remove(File('out/a.txt'))")
    flow()
    flow.replay = "whole"
    flow()
    assert flow.ran == []
    assert os.listdir("out") == ["b.txt"]


def test_a_file_that_is_added_to_a_directory_is_seen_by_who_names_the_directory(flow: Flow):
    """So it is without a store: the second run finds it there."""
    _change(flow, "return write('new', 'out/z.txt')")
    assert len(flow()[0].members()) == 2
    assert len(flow()[0].members()) == 3
    flow.replay = "whole"
    assert len(flow()[0].members()) == 3
    assert flow.ran == []


# -- where nothing says in which order --------------------------------------------------------------------------------


def test_two_tasks_that_write_one_path_are_told_of(flow: Flow):
    _main(flow, "return [write('a'), edit(write('b'), 'c')]")
    flow.threads = 1
    flow()
    warnings = [warning for warning in flow.watcher.warnings if "x.txt" in warning]
    assert len(warnings) == 1
    assert "write" in warnings[0]


def test_two_tasks_that_edit_one_file_each_as_it_was_before_are_told_of(flow: Flow):
    _main(flow, "file = write('a')\n    return [edit(file, 'b'), edit(file, 'c')]")
    flow.threads = 1
    flow()
    assert any("written by" in warning and "and again by" in warning for warning in flow.watcher.warnings)


def test_a_file_whose_bytes_are_kept_may_be_edited_too(flow: Flow):
    _main(flow, "return read(edit(write('a'), 'b'))")
    for name in ("write", "edit"):
        flow.edit(f"@task()\ndef {name}", f"@task(archive=True)\ndef {name}")
    assert flow() == "ab"
    flow.replay = "whole"
    assert flow() == "ab"
    assert flow.ran == []


def test_an_input_whose_mode_a_task_sets_is_no_file_that_it_made(flow: Flow):
    flow.load(f"""{WRITES}
import os

@task()
def opened(name):
    ran("opened")
    os.chmod(name, 0o600 if os.stat(name).st_mode & 0o7 else 0o644)
    return File(name)

@task()
def main(): return read(edit(opened("in.txt"), "b"))
""")
    Path("in.txt").write_text("a")
    os.utime("in.txt", (1_600_000_000, 1_600_000_000))
    assert [flow(), flow(), flow()] == ["ab", "abb", "abbb"]


def test_bodies_that_write_one_path_at_once_are_told_of_and_answer_no_later_run(flow: Flow):
    flow.load("""
import threading

meeting = threading.Barrier(2)

@task()
def write(text):
    ran("write", text)
    meeting.wait()
    file = File("x.txt")
    file.write(text)
    meeting.wait()
    return file

@task()
def main(): return [write("a"), write("b")]
""")
    for _ in range(2):
        flow()
        assert any("x.txt was written by several bodies at once" in warning for warning in flow.watcher.warnings)
        assert flow.ran == ["write a", "write b"]


def test_an_order_that_results_give_is_one(flow: Flow):
    _main(flow, "first = write('a')\n    return [edit(write('b' + read(first)), 'c')]")
    for _ in range(2):
        assert flow()[0].read() == "bac"
    assert [warning for warning in flow.watcher.warnings if "x.txt" in warning] == []


def test_who_is_given_a_state_that_is_past_is_told_who_wrote_the_file_since(flow: Flow):
    _main(flow, "first = write('a')\n    return later(first, edit(first, 'b'))")
    flow.edit("@task()\ndef main", "@task()\ndef later(old, new): return old.read()\n\n@task()\ndef main")
    execution = flow.execute()
    assert isinstance(execution.error, StaleInput)
    assert "x.txt" in execution.error.message
    assert "edit" in execution.error.message


AGAIN = """
@task()
def write(): file = File("x.txt"); file.write("a"); return file

@task()
def edit(file): file.write(file.read() + "b"); return file

@task()
def main(): return [1, edit(write())]
"""


def test_the_reason_names_who_wrote_the_file_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with history_in(tmp_path) as history:
        history.run(AGAIN)
        history.run(AGAIN.replace("[1,", "[2,"))
        told = "content of x.txt: ca978112 -> fb8e20fc, written again by edit"
        assert told in history.told["write"]
        assert told in history.explained_all()["write"][0]
