"""Files as arguments and results of tasks, over several runs. Every test with both ways of replaying."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from redun.core.errors import StaleInput
from redun.core.objects import Status
from tests.executor.flows import Flow

#: Old enough that contents are remembered.
OLD = 1_600_000_000

READS = """
@task()
def count_lines(file):
    ran("count_lines")
    return len(file.readlines())

@task()
def double(n):
    ran("double", n)
    return 2 * n

@task()
def main(path="input.txt"):
    ran("main")
    return double(count_lines(File(path)))
"""


def _write(flow: Flow, text: str, name: str = "input.txt") -> None:
    (flow.folder / name).write_text(text)


def test_a_changed_input_runs_what_reads_it_and_stops_where_the_result_is_the_same(flow: Flow):
    flow.load(READS)
    _write(flow, "a\nb\n")
    assert flow() == 4
    assert flow.ran == ["count_lines", "double 2", "main"]
    assert flow() == 4
    assert flow.ran == []
    _write(flow, "c\nd\n")
    assert flow() == 4
    assert set(flow.ran) <= {"main", "count_lines"}
    assert "count_lines" in flow.ran
    _write(flow, "a\n")
    assert flow() == 2
    assert "double 1" in flow.ran


def test_an_input_that_is_as_it_was_before_is_answered(flow: Flow):
    flow.load(READS)
    for text in ("a\n", "a\nb\n"):
        _write(flow, text)
        flow()
    _write(flow, "a\n")
    assert flow() == 2
    assert "count_lines" not in flow.ran


def test_touching_an_input_runs_nothing(flow: Flow):
    flow.load(READS)
    _write(flow, "a\n")
    flow()
    os.utime("input.txt", (OLD, OLD))
    assert flow() == 2
    assert flow.ran == []


def test_an_edit_that_keeps_size_and_time_is_seen(flow: Flow):
    flow.load(READS)
    _write(flow, "a\nbc")
    os.utime("input.txt", (OLD, OLD))
    assert flow() == 4
    with open("input.txt", "r+") as stream:
        stream.write("abcd")
    os.utime("input.txt", (OLD, OLD))
    assert flow() == 2


def test_a_missing_input_fails_and_is_read_once_it_is_there(flow: Flow):
    flow.load(READS)
    execution = flow.execute()
    assert execution.status is Status.FAILED
    assert isinstance(execution.error, FileNotFoundError)
    _write(flow, "a\n")
    assert flow() == 2
    os.remove("input.txt")
    assert flow.execute().status is Status.FAILED


def test_who_catches_that_a_file_is_missing_runs_again_once_it_is_there(flow: Flow):
    flow.load("""
@task()
def read(file):
    ran("read")
    try:
        return file.read()
    except FileNotFoundError:
        return "none"

@task()
def main(): return [read(File("late.txt"))]
""")
    for _ in range(2):
        assert flow() == ["none"]
    assert flow.ran == []
    _write(flow, "here", "late.txt")
    assert flow() == ["here"]
    os.remove("late.txt")
    assert flow() == ["none"]


def test_a_file_given_on_the_outside_is_part_of_the_key(flow: Flow):
    flow.load(READS)
    _write(flow, "a\n")
    assert flow("count_lines(File('input.txt'))") == 1
    _write(flow, "a\nb\n")
    assert flow("count_lines(File('input.txt'))") == 2
    assert flow.ran == ["count_lines"]


def test_a_file_as_default_is_looked_at_in_every_run(flow: Flow):
    flow.load("""
@task()
def read(file=File("input.txt")): ran("read"); return file.read()

@task()
def main(): return [read()]
""")
    _write(flow, "a")
    assert flow() == ["a"]
    flow.reload()
    assert flow() == ["a"]
    assert flow.ran == []
    _write(flow, "b")
    flow.reload()
    assert flow() == ["b"]


def test_a_file_as_default_is_looked_at_in_every_run_of_one_process(flow: Flow):
    flow.load("""
@task()
def read(file=File("input.txt")): ran("read"); return file.read()

@task()
def main(): return [read()]
""")
    for text in ("a", "b"):
        _write(flow, text)
        assert flow() == [text]


# -- results ----------------------------------------------------------------------------------------------------------

WRITES = """
@task()
def write(text):
    ran("write", text)
    file = File("out/result.txt")
    file.write(text)
    return file

@task()
def read(file):
    ran("read")
    return file.read()

@task()
def main(text="hello"):
    ran("main")
    file = write(text)
    return {"file": file, "text": read(file)}
"""


def test_a_produced_file_is_answered_while_it_is_there(flow: Flow):
    flow.load(WRITES)
    assert flow()["text"] == "hello"
    result = flow()
    assert flow.ran == []
    assert result["file"].read() == "hello"


def test_a_deleted_output_is_made_again_and_readers_are_answered(flow: Flow):
    flow.load(WRITES)
    flow()
    os.remove("out/result.txt")
    assert flow()["text"] == "hello"
    assert flow.ran == ["write hello"]
    assert Path("out/result.txt").read_text() == "hello"


def test_a_changed_output_is_made_again(flow: Flow):
    flow.load(WRITES)
    flow()
    _write(flow, "tampered", "out/result.txt")
    assert flow()["text"] == "hello"
    assert flow.ran == ["write hello"]
    assert Path("out/result.txt").read_text() == "hello"


def test_an_output_that_comes_out_otherwise_is_read_again(flow: Flow):
    flow.load(WRITES)
    flow()
    flow.edit("file.write(text)", "file.write(text + '!')")
    assert flow()["text"] == "hello!"
    assert flow.ran == ["read", "write hello"]


def test_a_file_deep_inside_a_result_is_looked_at_too(flow: Flow):
    flow.load(WRITES + '\n@task()\ndef outer():\n    ran("outer")\n    return [{"deep": (main(),)}]\n')
    flow("outer()")
    os.remove("out/result.txt")
    assert flow("outer()")[0]["deep"][0]["text"] == "hello"
    assert flow.ran == ["write hello"]


def test_a_file_that_only_an_inner_task_knows_is_looked_at_too(flow: Flow):
    flow.load(WRITES + '\n@task()\ndef outer():\n    ran("outer")\n    return [read(write("x"))]\n')
    flow("outer()")
    os.remove("out/result.txt")
    assert flow("outer()") == ["x"]
    assert flow.ran == ["write x"]


def test_behind_a_shallow_task_inner_files_may_go(flow: Flow):
    flow.load(
        WRITES + '\n@task(check_valid="shallow")\ndef outer():\n    ran("outer")\n    return [read(write("x"))]\n'
        "\n@task()\ndef top():\n    return outer()\n"
    )
    assert flow("top()") == ["x"]
    os.remove("out/result.txt")
    assert flow("top()") == ["x"]
    assert flow.ran == []
    flow.edit('check_valid="shallow"', 'check_valid="full"')
    assert flow("top()") == ["x"]
    assert flow.ran == ["write x"]


def test_a_shallow_result_that_is_gone_is_made_again(flow: Flow):
    flow.load(WRITES.replace("@task()\ndef main", '@task(check_valid="shallow")\ndef main'))
    flow()
    os.remove("out/result.txt")
    assert flow()["file"].read() == "hello"
    assert "write hello" in flow.ran


def test_a_file_written_half_is_not_left_behind(flow: Flow):
    flow.load("""
@task()
def write():
    with File("out.txt").open("w") as stream:
        stream.write("half")
        raise RuntimeError("disk on fire")

@task()
def main(): return write()
""")
    execution = flow.execute()
    assert str(execution.error) == "disk on fire"
    assert not Path("out.txt").exists()


# -- changes while a run goes on --------------------------------------------------------------------------------------


def test_a_result_on_an_input_that_changed_meanwhile_is_used_but_answers_no_later_run(flow: Flow):
    flow.load("""
@task()
def read(file):
    ran("read")
    text = file.read()
    with open("input.txt", "w") as stream:
        stream.write("changed")
    return text

@task()
def main(): return [read(File("input.txt"))]
""")
    _write(flow, "first")
    assert flow("read(File('input.txt'))") == "first"
    assert any("input.txt changed while" in warning for warning in flow.watcher.warnings)
    _write(flow, "first")
    assert flow("read(File('input.txt'))") == "first"
    assert flow.ran == ["read"]


def test_an_input_that_something_else_rewrites_is_an_error_that_names_it(flow: Flow):
    flow.load("""
@task()
def rewrite():
    with open("input.txt", "w") as stream:
        stream.write("second")
    return 1

@task()
def read(file, after): return file.read()

@task()
def main(): return read(File("input.txt"), rewrite())
""")
    _write(flow, "first")
    execution = flow.execute()
    assert isinstance(execution.error, StaleInput)
    assert "input.txt" in execution.error.message


def test_a_file_written_twice_in_one_run_ends_as_the_last_one_wrote_it(flow: Flow):
    flow.load("""
@task()
def write(text, after=None):
    ran("write", text)
    file = File("out.txt")
    file.write(text)
    return file

@task()
def done(file): return 1

@task()
def main():
    first = write("a")
    return write("b", done(first))
""")
    for _ in range(3):
        assert flow().read() == "b"
        assert Path("out.txt").read_text() == "b"


def test_the_same_call_in_one_run_is_not_shared_once_its_file_has_changed(flow: Flow):
    flow.load("""
@task()
def write(text):
    ran("write", text)
    file = File("out.txt")
    file.write(text)
    return file

@task()
def size(file): return len(file.read())

@task()
def spoil(n):
    ran("spoil")
    with open("out.txt", "w") as stream:
        stream.write("spoiled")
    return n

@task()
def again(n): return size(write("x"))

@task()
def main(): return again(spoil(size(write("x"))))
""")
    assert flow() == 1
    assert flow.ran.count("write x") == 2


@pytest.mark.parametrize(("operation", "before"), [("exists()", [False]), ("hash", [""])])
def test_what_is_read_of_a_lazy_file_is_read_in_every_run(flow: Flow, operation: str, before: list[object]):
    flow.load(f"""
@task()
def make(): return File("maybe.txt")

@task()
def main(): return [make().{operation}]
""")
    assert flow() == before
    _write(flow, "now", "maybe.txt")
    assert flow() not in ([""], [False])
    os.remove("maybe.txt")
    assert flow() == before


def test_a_lazy_path_that_is_asked_whether_it_exists_is_asked_in_every_run(flow: Flow):
    flow.load("""
from pathlib import Path

@task()
def make(): return Path("maybe.txt")

@task()
def main(): return make().exists()

@task()
def top(): return [main()]
""")
    assert flow("top()") == [False]
    _write(flow, "now", "maybe.txt")
    assert flow("top()") == [True]
    os.remove("maybe.txt")
    assert flow("top()") == [False]
