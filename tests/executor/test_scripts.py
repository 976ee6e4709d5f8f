"""Scripts as jobs, over several runs: what they run again for, and what they leave. With both ways of replaying."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from redun.core.errors import ScriptError, TaskError
from redun.core.expressions import Expression
from redun.core.tasks import task
from redun.executor.observer import Execution
from redun.executor.scripting import plan
from redun.executor.scripting.script import script
from tests.executor.flows import Flow

HEADER = """
from redun.core.files.sets import Dir
from redun.executor.scripting.script import script
from redun.executor.scripting.words import sh
"""


def jobs(execution: Execution) -> dict[str, tuple[int, int]]:
    """Returns how many jobs of each task ran and were cached."""
    return {count.fullname: (count.done, count.cached) for count in execution.counts}


def ran(flow: Flow) -> int:
    """Returns how many scripts the last run ran."""
    found = sum(event.verb == "Run" and event.fullname == "redun.script" for event in flow.watcher.events)
    flow.watcher.events.clear()
    return found


SORTS = (
    HEADER
    + """
@task()
def main(tempdir=True):
    data = File("data.txt")
    return script('''
        echo ran >> {log}
        sort data > out/sorted
    '''.replace("{log}", str(LOG)), inputs=[data.stage("data")], outputs=File("sorted.txt").stage("out/sorted"),
    tempdir=tempdir)
"""
)


@pytest.fixture
def sorts(flow: Flow, tmp_path_factory: pytest.TempPathFactory) -> Flow:
    """A workflow that sorts a file by a script in a temporary directory."""
    log = tmp_path_factory.mktemp("log") / "runs"
    Path("data.txt").write_text("b\na\n")
    flow.load(f"LOG = {str(log)!r}\n" + SORTS)
    return flow


def test_a_script_is_one_job_and_leaves_its_outputs(sorts: Flow):
    execution = sorts.execute()
    assert jobs(execution) == {"main": (1, 0), "redun.script": (1, 0)}
    assert execution.value.path == "sorted.txt"
    assert Path("sorted.txt").read_text() == "a\nb\n"
    assert not Path("out").exists()
    assert not Path("data").exists()


def test_a_script_is_answered_while_its_inputs_and_outputs_are_as_they_were(sorts: Flow):
    first = sorts()
    assert (ran(sorts), sorts(), ran(sorts)) == (1, first, 0)
    os.utime("data.txt")
    os.utime("sorted.txt")
    assert (sorts(), ran(sorts)) == (first, 0)


@pytest.mark.parametrize("tempdir", [True, False])
def test_a_deleted_output_runs_its_script_again_and_nothing_else(sorts: Flow, tempdir: bool):
    first = sorts(f"main({tempdir})")
    Path("sorted.txt").unlink()
    execution = sorts.execute(f"main({tempdir})")
    assert execution.value == first
    assert jobs(execution) == {"main": (0, 1), "redun.script": (1, 0)}
    assert Path("sorted.txt").read_text() == "a\nb\n"
    Path("sorted.txt").unlink()
    assert sorts(f"main({tempdir})") == first


def test_an_edited_output_runs_its_script_again(sorts: Flow):
    first = sorts()
    Path("sorted.txt").write_text("mine\n")
    assert sorts() == first
    assert Path("sorted.txt").read_text() == "a\nb\n"


def test_a_changed_input_runs_its_script_again(sorts: Flow):
    sorts()
    Path("data.txt").write_text("c\na\n")
    sorts()
    assert Path("sorted.txt").read_text() == "a\nc\n"
    assert ran(sorts) == 2


def test_a_changed_text_runs_a_script_again_and_a_changed_indentation_does_not(sorts: Flow):
    sorts()
    sorts.edit("        sort data", "        sort -r data")
    sorts()
    assert Path("sorted.txt").read_text() == "b\na\n"
    assert ran(sorts) == 2
    sorts.edit("        echo ran", "   echo ran")
    sorts.edit("        sort -r", "   sort -r")
    sorts()
    assert ran(sorts) == 0


def test_what_was_there_before_the_first_run_is_no_part_of_the_key(sorts: Flow):
    Path("sorted.txt").write_text("old")
    first = sorts()
    assert (sorts(), ran(sorts)) == (first, 1)


def test_what_an_empty_store_gives_is_what_a_full_one_gives(sorts: Flow):
    first = sorts()
    Path("sorted.txt").unlink()
    again = sorts()
    Path("sorted.txt").unlink()
    assert sorts("main()", cache=False) == first == again


# -- outputs ----------------------------------------------------------------------------------------------------------


def test_by_default_the_value_is_standard_output_as_bytes(flow: Flow):
    flow.load(HEADER + "@task()\ndef main(): return script('printf \"\\\\377x\"; echo err >&2')")
    assert flow() == flow() == b"\xffx"


def test_the_value_has_the_shape_of_the_outputs(flow: Flow):
    flow.load(
        HEADER
        + """
@task()
def main():
    return script("echo said; echo a > a.txt; mkdir -p d; echo b > d/b.txt", outputs={
        "log": File("-"), "files": [File("a.txt"), (Dir("d"), 3)], "none": None})
"""
    )
    value = flow()
    assert value["log"] == b"said\n"
    assert [value["files"][0].read(), value["files"][1][1], value["none"]] == ["a\n", 3, None]
    assert [file.path for file in value["files"][1][0]] == ["d/b.txt"]
    assert flow() == value
    Path("d/b.txt").unlink()
    assert jobs(flow.execute())["redun.script"] == (1, 0)


def test_outputs_may_stand_in_dataclasses_named_tuples_and_sets(flow: Flow):
    flow.load(
        HEADER
        + """
import dataclasses, typing
@dataclasses.dataclass(frozen=True)
class Made:
    table: File
    rest: dict
class Pair(typing.NamedTuple):
    one: File
    other: int
@task()
def main():
    outputs = Made(File("a"), {"pair": Pair(File("b").stage("l"), 3), "set": {File("c")}})
    return script("echo a > a; echo b > l; echo c > c", outputs=outputs)
"""
    )
    made = flow()
    assert [made.table.read(), made.rest["pair"].one.read(), made.rest["pair"].other] == ["a\n", "b\n", 3]
    assert [file.read() for file in made.rest["set"]] == ["c\n"]
    assert flow() == made
    Path("b").unlink()
    assert (flow(), ran(flow)) == (made, 2)


def test_without_outputs_there_is_nothing_but_that_it_ran(flow: Flow):
    flow.load(HEADER + "@task()\ndef main(): return [script('echo a', outputs=None), script('echo b', outputs=[])]")
    assert flow() == [None, []]


def test_lazy_values_are_inputs_outputs_and_words(flow: Flow):
    flow.load(
        HEADER
        + """
from redun.core.files.staging import StagingFile
@task()
def make(path):
    file = File(path)
    file.write("b\\na\\n")
    return file
@task()
def named(name): return name + ".txt"
@task()
def where(name): return File(name)
@task()
def main():
    made = make("in put")
    return script(sh("sort {made} | tee {name} > copy", made=made, name=named("o'ne")), inputs=[made],
        outputs=[where("o'ne.txt"), StagingFile("copy", where("there/copied"))])
"""
    )
    one, two = flow()
    assert (one.path, two.path) == ("o'ne.txt", "there/copied")
    assert one.read() == two.read() == "a\nb\n"
    assert flow() == [one, two]
    Path("in put").write_text("other")
    assert flow() == [one, two]
    Path("there/copied").unlink()
    assert flow() == [one, two]


def test_a_lazy_file_is_staged_and_its_path_is_a_word(flow: Flow):
    flow.load(
        HEADER
        + """
@task()
def make(text):
    ran("make")
    file = File("made")
    file.write(text)
    return file
@task()
def main(text):
    ran("main")
    made = make(text)
    return script(sh("cat in; echo {path}", path=made.path), inputs=made.stage("in"), tempdir=True)
"""
    )
    assert flow("main('a ')") == flow("main('a ')") == b"a made\n"
    assert (flow.ran, ran(flow)) == ([], 1)
    assert flow("main('b ')") == b"b made\n"
    Path("made").unlink()
    assert flow("main('b ')") == b"b made\n"
    assert flow.ran == ["make"]


def test_inputs_that_are_not_staged_count_all_the_same(flow: Flow):
    flow.load(HEADER + "@task()\ndef main(): return script('cat a', inputs={'a': File('a'), 'n': [N]})\nN = 1")
    Path("a").write_text("one")
    assert flow() == b"one"
    Path("a").write_text("two")
    assert flow() == b"two"
    flow.edit("N = 1", "N = 2")
    flow()
    assert ran(flow) == 3


def test_staged_directories_come_and_go(flow: Flow):
    Path("d/sub").mkdir(parents=True)
    Path("d/sub/a").write_text("one\n")
    flow.load(
        HEADER
        + """
@task()
def main():
    return script("mkdir made; cp -r in/sub made/", inputs=Dir("d").stage("in"), outputs=Dir("e").stage("made"),
        tempdir=True)
"""
    )
    assert [file.path for file in flow()] == ["e/sub/a"]
    Path("d/sub/a").write_text("two\n")
    flow()
    assert Path("e/sub/a").read_text() == "two\n"


def test_a_thousand_outputs(flow: Flow):
    flow.load(
        HEADER
        + """
@task()
def main():
    outputs = [File(f"out/f{i}").stage() for i in range(1, 1001)]
    return script("for i in $(seq 1000); do echo $i > f$i; done", outputs=outputs, tempdir=True)
"""
    )
    value = flow()
    assert [file.read() for file in value[::100]] == [f"{i}\n" for i in range(1, 1001, 100)]
    assert (flow() == value, ran(flow), flow.watcher.warnings) == (True, 1, [])


def test_in_a_directory_of_its_own_a_file_is_written_by_its_path(flow: Flow):
    flow.load(
        HEADER + "@task()\ndef main(): return script('echo a > sub/a.txt', outputs=File('sub/a.txt'), tempdir=True)"
    )
    assert flow().read() == "a\n"
    assert Path("sub/a.txt").read_text() == "a\n"


def test_in_a_directory_of_its_own_a_file_may_be_written_in_its_place(flow: Flow):
    flow.load(
        HEADER
        + f"@task()\ndef main(): return script('echo a > {flow.folder}/a.txt', outputs=File('a.txt'), tempdir=True)"
    )
    assert flow().read() == "a\n"


def test_of_a_file_that_was_there_before_it_is_seen_whether_the_script_wrote_it(flow: Flow):
    flow.load(HEADER + "@task()\ndef main(): return script('true', outputs=File('a.txt'), tempdir=True)")
    Path("a.txt").write_text("old")
    with pytest.raises(ScriptError, match=r"did not write its output a\.txt \(its directory is empty\)"):
        flow()


def test_an_output_that_was_not_written_is_named_with_what_is_there(flow: Flow):
    flow.load(
        HEADER + "@task()\ndef main(t): return script('touch b.txt c.txt', outputs=File('x').stage('a.txt'), tempdir=t)"
    )
    with pytest.raises(ScriptError, match=r"did not write its output a\.txt \(its directory holds b\.txt, c\.txt\)"):
        flow("main(True)")
    with pytest.raises(ScriptError, match=r"did not write its output a\.txt \(its directory holds .*b\.txt, c\.txt"):
        flow("main(False)")


@pytest.mark.parametrize(
    ("command", "output", "message"),
    [
        ("mkdir a", "File('a')", "made a directory of its output a, which is declared as a file"),
        ("touch a", "Dir('a')", "made a file of its output a, which is declared as a directory"),
        ("mkdir a", "File('b').stage('a')", "made a directory of its output a"),
        ("touch a", "Dir('b').stage('a')", "made a file of its output a"),
    ],
)
@pytest.mark.parametrize("tempdir", [True, False])
def test_an_output_of_another_kind_is_said(flow: Flow, command: str, output: str, message: str, tempdir: bool):
    flow.load(HEADER + f"@task()\ndef main(): return script({command!r}, outputs={output}, tempdir={tempdir})")
    with pytest.raises(ScriptError, match=message):
        flow()


def test_outputs_of_a_script_that_fails_are_not_left_behind(flow: Flow):
    flow.load(
        HEADER
        + "@task()\ndef main(): return script('echo half > a; exit 1', outputs=File('x').stage('a'), tempdir=True)"
    )
    with pytest.raises(ScriptError):
        flow()
    assert not Path("x").exists()


def test_the_temporary_directory_is_gone_however_the_script_ends(flow: Flow, monkeypatch: pytest.MonkeyPatch):
    scratch = flow.folder / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    flow.load(HEADER + "@task()\ndef main(text): return script(text, tempdir=True)")
    assert Path(flow("main('pwd')").decode().strip()).parent == scratch
    with pytest.raises(ScriptError):
        flow("main('exit 1')")
    assert list(scratch.iterdir()) == []


def test_a_temporary_directory_that_cannot_be_made_is_an_error_with_its_path(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(flow.folder / "nowhere"))
    flow.load(HEADER + "@task()\ndef main(): return script('true', tempdir=True)")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        flow()


def test_local_paths_stay_in_the_temporary_directory(flow: Flow):
    flow.load(HEADER + "@task()\ndef main(p): return script('true', inputs=File('a').stage(p), tempdir=True)")
    Path("a").write_text("one")
    with pytest.raises(ScriptError, match=r"'\.\./b' leads out"):
        flow("main('../b')")
    with pytest.raises(TaskError, match=r"'x/\.\./\.\./b' of an output leads out"):
        flow.expression("script('true', outputs=File('a').stage('x/../../b'), tempdir=True)")


def test_an_input_that_is_not_there_is_an_error_with_its_path(flow: Flow):
    flow.load(HEADER + "@task()\ndef main(): return script('true', inputs=File('gone').stage('b'))")
    with pytest.raises(FileNotFoundError, match="gone"):
        flow()


# -- failures ---------------------------------------------------------------------------------------------------------


def failure(flow: Flow, text: str) -> ScriptError:
    flow.load(HEADER + "@task()\ndef main(text): return script(text)")
    with pytest.raises(ScriptError) as raised:
        flow(f"main({text!r})")
    return raised.value


def test_an_exit_code_is_told_with_the_end_of_standard_error(flow: Flow):
    error = failure(flow, "echo one >&2; echo 'two\x1b[31m' >&2; exit 3")
    assert (error.returncode, error.signal, error.stderr) == (3, "", b"one\ntwo\x1b[31m\n")
    assert error.command == "echo one >&2; echo 'two\x1b[31m' >&2; exit 3"
    assert error.message == "the script exited with 3: two\x1b[31m"
    assert error.__notes__ == ["standard error:\n  one\n  two\x1b[31m"]


def test_of_much_standard_error_the_end_is_told(flow: Flow):
    error = failure(flow, "seq 100000 >&2; exit 1")
    assert error.left_out == len("".join(f"{i}\n" for i in range(1, 100_001))) - len(error.stderr)
    (note,) = error.__notes__
    assert note.startswith("standard error, its last 20 lines:\n  99981\n")


def test_a_signal_is_told_by_its_name(flow: Flow):
    error = failure(flow, "kill -9 $$")
    assert (error.returncode, error.signal, error.message) == (None, "SIGKILL", "the script was killed by SIGKILL (9)")


def test_a_signal_that_ended_a_part_is_told_by_its_name(flow: Flow):
    error = failure(flow, "sh -c 'kill -15 $$'; true")
    assert (error.returncode, "(a process of it was killed by SIGTERM)" in error.message) == (143, True)


@pytest.mark.parametrize("text", ["false; echo on", "false | cat; echo on", "(exit 2)\necho on"])
def test_a_script_fails_where_any_part_of_it_does(flow: Flow, text: str):
    assert "on" not in str(failure(flow, text))


def test_a_variable_that_is_not_set_is_an_error_that_says_what_to_do(flow: Flow):
    assert "set +u" in failure(flow, "echo $NOT_SET_AT_ALL").hint
    assert flow("main('set +u; echo a$NOT_SET_AT_ALL')") == b"a\n"


def test_an_interpreter_is_named_after_the_first_two_characters(flow: Flow):
    flow.load(HEADER + "@task()\ndef main(text): return script(text)")
    text = "\n    #!/usr/bin/env python3\n    import sys\n    print('hello', len(sys.argv))\n"
    assert flow(f"main({text!r})") == b"hello 1\n"
    assert flow("main('#!/bin/sh -u\\necho $0 | grep -c redun-script')") == b"1\n"
    assert flow("main('#! /bin/sh\\nfalse\\necho on')") == b"on\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#!/no/such/thing -x\ntrue", "there is no /no/such/thing on this machine"),
        ("#!/etc/passwd\ntrue", "/etc/passwd cannot be executed"),
    ],
)
def test_an_interpreter_that_is_not_there_is_said(flow: Flow, text: str, message: str):
    assert message in failure(flow, text).message


def test_a_machine_without_bash_is_told_of_another_shell(flow: Flow, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(flow.folder))
    error = failure(flow, "true")
    assert error.message == "the script cannot be started: there is no bash on this machine"
    assert "#!/bin/sh" in error.hint


def test_a_command_longer_than_a_word_may_be(flow: Flow):
    flow.load(HEADER + "@task()\ndef main(): return script('echo ' + 'x' * 300_000 + ' | wc -c; exit 0')")
    assert flow() == b"300001\n"


def test_a_script_that_asks_finds_nobody(flow: Flow):
    flow.load(HEADER + "@task()\ndef main(): return script('read -r answer || echo nobody')")
    assert flow() == b"nobody\n"


def test_more_standard_output_than_a_value_can_be_is_said(flow: Flow, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("redun.executor.scripting.running.STDOUT_BYTES", 1 << 20)
    monkeypatch.setattr(plan, "STDOUT_BYTES", 1 << 20)
    error = failure(flow, "yes")
    assert "more than 1 MiB to standard output" in error.message
    assert "write it to a file" in error.hint


def test_a_script_without_room_for_its_output_fails_with_the_disk(flow: Flow):
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    assert "No space left" in failure(flow, "echo a > /dev/full").message


def test_without_room_for_its_output_a_value_fails_with_the_path(flow: Flow, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(flow.folder / "nowhere"))
    flow.load(HEADER + "@task()\ndef main(): return script('head -c 2M /dev/zero')")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        flow()


def test_a_script_that_failed_runs_again_also_where_that_is_handled(flow: Flow):
    flow.load(
        HEADER
        + """
from redun.core.functional import catch
from redun.core.errors import ScriptError
@task()
def recover(error): return [error.returncode, error.stderr, error.command]
@task()
def main(): return catch(script("test -e ready || { echo not ready >&2; exit 4; }"), ScriptError, recover)
"""
    )
    assert flow() == flow() == [4, b"not ready\n", "test -e ready || { echo not ready >&2; exit 4; }"]
    assert ran(flow) == 2
    Path("ready").touch()
    assert flow() == b""


def test_a_script_is_tried_again_as_its_options_say(flow: Flow):
    flow.load(HEADER + "@task()\ndef main(): return script('echo x >> tries; test $(wc -l < tries) = 3', retries=2)")
    assert flow() == b""
    assert Path("tries").read_text() == "x\n" * 3


@pytest.mark.parametrize("command", ["", "\n", [], 3, b"ls", "a\0b"])
def test_what_is_no_command_is_said_at_once(command: object):
    with pytest.raises(TaskError, match="command"):
        script(command)


def test_what_is_no_option_value_is_said_at_once():
    with pytest.raises(TaskError, match="tempdir"):
        script("true", tempdir="yes")  # type: ignore[arg-type]
    with pytest.raises(TaskError, match="timeout"):
        script("true", timeout="soon")


# -- tasks that are scripts -------------------------------------------------------------------------------------------


def test_a_task_may_be_a_script(flow: Flow):
    flow.load(
        HEADER
        + """
@task(script=True)
def greet(name, *more, end="!"):
    ran("greet")
    return ["echo", "hello", name, *more, end]
@task()
def main(): return greet("it's", "me", end="?")
"""
    )
    execution = flow.execute()
    assert (execution.value, flow.ran) == (b"hello it's me ?\n", ["greet"])
    assert jobs(execution) == {"main": (1, 0), "greet": (1, 0)}
    assert (flow(), flow.ran) == (b"hello it's me ?\n", [])
    flow.edit('"hello"', '"bye"')
    assert flow() == b"bye it's me ?\n"


def test_the_function_of_a_script_task_gives_the_command_when_it_is_called_itself(flow: Flow):
    flow.load(HEADER + "@task(script=True)\ndef main(): return 'echo a'")
    assert flow.expression("main.func()") == "echo a"
    assert flow() == b"a\n"


def test_that_a_task_is_a_script_is_part_of_it(flow: Flow):
    flow.load(HEADER + "@task(script=True)\ndef say(): return 'echo a'\n@task()\ndef main(): return say()")
    assert flow() == b"a\n"
    flow.edit("script=True", "")
    assert flow() == "echo a"


def test_a_script_task_without_a_command_says_so(flow: Flow):
    flow.load(
        HEADER
        + "@task(script=True)\ndef main(): return None\n@task()\ndef f(): return 'x'\n"
        + "@task(script=True)\ndef lazy(): return f()"
    )
    with pytest.raises(TaskError, match="text or a list of words, not NoneType"):
        flow()
    with pytest.raises(TaskError, match="a script task returned a lazy value"):
        flow("lazy()")


def test_a_task_that_cannot_be_a_script_says_so_at_once():
    async def wait() -> str:
        return "true"

    with pytest.raises(TaskError, match="is async, and a script"):
        task(script=True, namespace="test_scripts")(wait)
    with pytest.raises(TaskError, match="script='yes'"):
        task(script="yes", name="f", namespace="test_scripts")(lambda: "true")


def test_a_call_of_script_is_lazy():
    assert isinstance(script("true"), Expression)


def test_the_tools_that_these_tests_use_are_there():
    assert all(shutil.which(name) for name in ("bash", "sort", "tee", "seq"))
