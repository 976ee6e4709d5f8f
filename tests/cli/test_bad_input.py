"""Mistakes that a user meets: one line that says what, where and what to do next; the documented exit code; no frames
of ours. In this process; what needs processes of its own is in tests/e2e/test_bad_input.py."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from redun.cli import exits
from redun.cli.app import main as redun
from redun.store import Store, filesystem
from tests.executor.flows import forget

BODIES = """
import io
import threading
from redun import task

class Holder:
    def __init__(self):
        self.handle = threading.Lock()

class Needs(Exception):
    def __init__(self, *, code, text):
        super().__init__(f"{code}: {text}")

class Silent(Exception):
    def __str__(self):
        raise RuntimeError("no text")
    __repr__ = __str__

class Leaves(BaseException):
    pass

class Odd(Exception):
    @property
    def args(self):
        raise ValueError("no args")
    @property
    def __notes__(self):
        raise ValueError("no notes")

@task()
def use(x):
    return 1

@task()
def nested():
    return {"a": [1, 2, 3, Holder()]}

@task()
def generator():
    yield 1

@task()
def function():
    return lambda: 1

async def later():
    return 1

@task()
def coroutine():
    return later()

@task()
def stream():
    return io.TextIOWrapper(io.BytesIO())

@task()
def module():
    return threading

@task()
def argument():
    return use({"k": [threading.Lock()]})

@task()
def default(x=threading.Lock()):
    return 1

@task()
def many(*rest):
    return 1

@task()
def second_of_many():
    return many(1, Holder())

def raises(name):
    if name == "needs":
        raise Needs(code=3, text="odd")
    if name == "silent":
        raise Silent("x")
    if name == "leaves":
        raise Leaves("gone")
    if name == "odd":
        raise Odd("x")
    if name == "group":
        raise ExceptionGroup("several", [ValueError("one"), ExceptionGroup("inner", [KeyError("two")])])
    if name == "wide":
        raise ExceptionGroup("several", [ValueError(str(i)) for i in range(50)])
    if name == "unencodable":
        raise ValueError(threading.Lock(), Holder())
    if name == "from":
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise ValueError("outer") from error
    if name == "control":
        raise ValueError("\\x1b[31mred\\x07 \\udc80\\u202e")
    if name == "note":
        problem = ValueError("x")
        problem.add_note("\\x1b[2J \\udcff")
        raise problem
    if name == "huge":
        raise ValueError("x" * 10_000_000)
    if name == "recursion":
        return raises(name)
    if name == "interrupt":
        raise KeyboardInterrupt("mine")
    if name == "memory":
        raise MemoryError
    if name == "generator":
        raise GeneratorExit
    if name == "exit":
        raise SystemExit(0)
    local = type("Local", (Exception,), {})
    raise local("of a function")

@task()
def fails(name):
    raises(name)
"""


class Place:
    """A folder with a workflow, and what commands say there."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def write(self, text: str | bytes, name: str = "flow.py") -> None:
        """Writes a file."""
        (self.folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    def __call__(self, *words: str) -> tuple[int, str, str]:
        """Runs a command as a new process would; returns its code and what it printed."""
        forget()
        code = redun(list(words))
        done = self._capsys.readouterr()
        assert not re.search(r'File "[^"]*/redun[^"]*/(core|store|executor|cli)/', done.err), done.err
        return code, done.out, done.err

    def mistake(self, *words: str) -> tuple[int, str]:
        """Runs a command that makes no sense; returns its code and the one line that says so."""
        code, out, err = self(*words)
        assert out == ""
        lines = [line for line in err.splitlines() if line.startswith("redun: error: ")]
        assert len(lines) == 1, err
        return code, lines[0].removeprefix("redun: error: ")

    def failure(self, *words: str) -> str:
        """Runs a workflow that fails; returns what is said of the error."""
        code, out, err = self("run", "-q", "flow.py", *words)
        assert (code, out) == (exits.FAILED, "")
        assert err.isprintable() or set(err) - {c for c in err if c.isprintable()} == {"\n"}
        return err.replace("[redun] ", "")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Place]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    made = Place(tmp_path, capsys)
    made.write(BODIES)
    yield made
    forget()
    sys.modules.pop("other_flow", None)


# -- the command line -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["run", "-j", "0", "flow.py", "use"], 2, "0 is not in the range"),
        (["run", "-j", "x", "flow.py", "use"], 2, "'x' is not a whole number"),
        (["run", "-q", "-v", "flow.py", "use"], 2, "-q and -v contradict each other"),
        (["-q", "run", "-v", "flow.py", "use"], 2, "-q and -v contradict each other"),
        (["run", "--dry-run", "--accept-code", "use", "flow.py", "use"], 2, "--dry-run writes nothing"),
        (["run", "--accept-code", "use", "--withdraw-code", "use", "flow.py", "use"], 2, "--withdraw-code of use"),
        (["run", ".", "use"], 3, ". is a directory"),
        (["run", "/dev/null"], 3, "/dev/null defines no tasks; decorate a function with @task()"),
        (["run", "no\udcff.py", "use"], 3, "there is no file no\\udcff.py"),
        (["run", "flow.py", "\x1b[31m"], 3, "no task \\x1b[31m in flow.py"),
        (["\udcff"], 2, "no command '\\udcff'"),
        (["--store", "", "log"], 3, "no store in "),
        (["--store", "a\nb", "log"], 3, "a\\nb (named by --store); redun init"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_told_in_one_line(place: Place, words: list[str], code: int, said: str):
    found, line = place.mistake(*words)
    assert said in line
    assert found == code
    assert line.isprintable()
    assert not (place.folder / ".redun").exists()


def test_a_message_never_quotes_more_than_can_be_read(place: Place):
    for words in (["log", "x" * 100_000], ["run", "flow.py", "y" * 100_000], ["--store", "z" * 200, "log"]):
        _, line = place.mistake(*words)
        assert len(line) < 5_000


def test_a_long_argument_is_recorded_whole_and_printed_short(place: Place):
    _, _, err = place("run", "flow.py", "use", "--x", "x" * 100_000)
    assert max(map(len, err.splitlines())) < 5_000
    _, out, _ = place("log")
    assert max(map(len, out.splitlines())) < 5_000
    with Store.open(place.folder / ".redun" / "store", read_only=True) as store:
        assert next(store.executions())[1].argv[-1] == "x" * 100_000


# -- workflows that cannot be loaded ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"def f(:\n    pass\n", "SyntaxError: "),
        (b"x = '\xff\xfe'\n", "codec can't decode byte 0xff"),
        (b"# -*- coding: nosuch -*-\n", "SyntaxError: unknown encoding: nosuch"),
        (b"x = 1\0\n", "SyntaxError: source code string cannot contain null bytes"),
        (b"raise ValueError('\\x1b[31m at import')\n", "ValueError: \\x1b[31m at import"),
        (b"import sys\nsys.exit(5)\n", "SystemExit: 5"),
        (b"import no_such_module_anywhere\n", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        (b"from redun import task\n@task(code='x')\ndef f(): pass\n", "task f: code='x'; one of"),
    ],
)
def test_a_file_that_cannot_be_loaded_shows_its_own_traceback(place: Place, text: bytes, said: str):
    place.write(text)
    code, line = place.mistake("run", "flow.py", "main")
    assert said in line
    assert code == exits.FAILED


def test_a_task_that_is_declared_wrongly_is_shown_where_it_stands(place: Place):
    place.write("from redun import task\n\n@task(code='x')\ndef f(): pass\n")
    code, _, err = place("run", "-q", "flow.py", "f")
    assert code == exits.FAILED
    assert [line for line in err.splitlines() if "File" in line] == [
        f'[redun]   File "{place.folder}/flow.py", line 3, in <module>'
    ]
    assert err.splitlines()[-1].startswith("redun: error: task f: code='x'; one of")


def test_an_error_in_a_module_that_the_workflow_imports_shows_the_way_there(place: Place):
    place.write("import other_flow\n")
    place.write("def f():\n    raise ValueError('x') from KeyError('y')\nf()\n", "other_flow.py")
    _, _, err = place("run", "-q", "flow.py", "f")
    files = re.findall(r'File "[^"]*/([^"/]*)", line (\d+)', err)
    assert files == [("flow.py", "1"), ("other_flow.py", "3"), ("other_flow.py", "2")]
    assert "KeyError: 'y'" in err


def test_two_tasks_of_one_name_and_different_code_are_both_named(place: Place):
    place.write("from redun import task\n@task()\ndef a(): return 1\nb = a\n@task(name='a')\ndef c(): return 2\n")
    code, line = place.mistake("run", "flow.py", "a")
    assert re.match(r"two tasks are named a: \S+/flow.py:\d+ and \S+/flow.py:\d+; rename one", line)
    assert code == exits.FAILED


def test_ctrl_c_while_a_file_is_loaded_is_an_interrupt(place: Place):
    place.write("raise KeyboardInterrupt\n")
    code, _, err = place("run", "-q", "flow.py", "main")
    assert (code, err) == (exits.INTERRUPTED, "redun: interrupted\n")


# -- values that cannot be stored -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("nested", "value['a'][3].handle: a value of type _thread.lock"),
        ("generator", "return list(...) of it"),
        (
            "function",
            "function flow.function.<locals>.<lambda> cannot be found by its name (define the function at the",
        ),
        ("coroutine", "an `async def` function is awaited, or is a task itself"),
        ("stream", "return what was read, or a redun.File of the path"),
        (
            "module",
            "value: a value of type builtins.module has no deterministic encoding (return what is needed of it)",
        ),
        ("argument", "x['k'][0] in a call of use: a value of type _thread.lock"),
        ("second_of_many", "argument 2.handle in a call of many: a value of type _thread.lock"),
        ("default", "in the default of parameter x of task default"),
    ],
)
def test_a_value_that_cannot_be_stored_is_told_with_the_way_to_it(place: Place, task: str, said: str):
    assert said in place.failure(task)


# -- errors of bodies -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("needs", "flow.Needs: 3: odd"),
        ("silent", "flow.Silent: <exception str() failed>"),
        ("leaves", "flow.Leaves: gone"),
        ("odd", "\nOdd\n"),
        (
            "group",
            "several (2 sub-exceptions)\n  + ValueError: one\n  + ExceptionGroup: inner (1 sub-exception)\n    + KeyE",
        ),
        ("wide", "  + ValueError: 9\n  + 40 more errors\n"),
        ("unencodable", "ValueError: (<unlocked _thread.lock object at "),
        ("from", "Caused by:"),
        ("control", "ValueError: \\x1b[31mred\\x07 \\udc80\\u202e\n"),
        ("note", "ValueError: x\n\\x1b[2J \\udcff\n"),
        ("recursion", "RecursionError: maximum recursion depth exceeded"),
        ("interrupt", "KeyboardInterrupt: mine"),
        ("memory", "MemoryError"),
        ("generator", "GeneratorExit"),
        ("exit", "SystemExit: 0"),
        ("local", "Local: of a function"),
    ],
)
def test_whatever_a_body_raises_fails_the_task_and_is_told_and_recorded(place: Place, name: str, said: str):
    assert said in place.failure("fails", "--name", name)
    code, out, err = place("log", "-")
    assert (code, err) == (exits.OK, "")
    assert "[FAILED]" in out
    code, out, err = place("log", "-", "--json")
    assert (code, err) == (exits.OK, "")


def test_a_huge_message_is_cut(place: Place):
    assert len(place.failure("fails", "--name", "huge")) < 5_000


# -- stores -----------------------------------------------------------------------------------------------------------


def test_a_store_of_a_newer_layout_is_left_alone(place: Place):
    place("init", "-q")
    path = place.folder / ".redun" / "store" / "FORMAT"
    path.write_text(path.read_text().replace("layout 1", "layout 9"))
    for words in (["log"], ["run", "-q", "flow.py", "use", "--x", "1"]):
        code, line = place.mistake(*words)
        assert "has layout 9, and this program knows 1; a newer redun wrote it: upgrade" in line
        assert code == exits.FORMAT


def test_a_format_file_that_was_damaged_is_written_again_from_the_data(place: Place):
    place("run", "-q", "flow.py", "use", "--x", "1")
    path = place.folder / ".redun" / "store" / "FORMAT"
    path.write_text("garbage\n")
    code, line = place.mistake("log")
    assert f"remove {path} and run redun init: it is written again" in line
    assert code == exits.MISSING
    path.unlink()
    assert place("init")[0] == exits.OK
    assert "[ DONE ]" in place("log")[1]


@pytest.mark.parametrize("name", [".redun", ".redun/store"])
def test_what_is_in_the_way_of_a_store_is_named(place: Place, name: str):
    path = place.folder / name
    path.parent.mkdir(exist_ok=True)
    path.symlink_to("/nowhere/at/all")
    code, line = place.mistake("run", "-q", "flow.py", "use", "--x", "1")
    assert f"cannot use {path}" in line or f"cannot use {place.folder}/.redun" in line
    assert "move " in line
    assert code == exits.UNAVAILABLE


def test_a_working_directory_that_is_gone_is_told_by_every_command(place: Place, monkeypatch: pytest.MonkeyPatch):
    gone = place.folder / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for words in (["log"], ["init"], ["run", str(place.folder / "flow.py"), "use"], ["--store", "x", "log"]):
        code, line = place.mistake(*words)
        assert "the working directory is gone" in line
        assert "change to a directory that exists" in line
        assert code == exits.MISSING


def test_paths_that_are_not_unicode_work(place: Place, monkeypatch: pytest.MonkeyPatch):
    folder = os.fsdecode(os.fsencode(place.folder) + b"/d\xff")
    os.mkdir(folder)
    monkeypatch.chdir(folder)
    Path(folder, "flow.py").write_text(BODIES)
    assert place("run", "-q", "flow.py", "use", "--x", "\udcff") == (exits.OK, "1\n", "")
    assert "d\\udcff/flow.py" in place("run", "-q", "flow.py", "fails", "--name", "exit")[2]
    for words in (["log"], ["log", "-"], ["log", "--json"], ["show", "-"], ["cat-object", "-"]):
        assert place(*words)[0] == exits.OK


def test_a_network_file_system_is_refused_with_a_way_out_that_works(place: Place, monkeypatch: pytest.MonkeyPatch):
    (place.folder / "net").mkdir()
    table = place.folder / "mountinfo"
    table.write_text(f"22 1 254:0 / / rw - ext4 /dev/vda rw\n40 22 0:50 / {place.folder}/net rw - nfs4 server:/x rw\n")
    monkeypatch.setattr(filesystem, "_MOUNTINFO", str(table))
    monkeypatch.chdir(place.folder / "net")
    place.write(BODIES, "net/flow.py")
    code, line = place.mistake("run", "-q", "flow.py", "use", "--x", "1")
    assert "is on a network file system (nfs4)" in line
    assert line.endswith("put it on a local disk and leave a pointer here: redun init --at /local/path")
    assert code == exits.UNAVAILABLE
    assert place("init", "-q", "--at", str(place.folder / "local"))[0] == exits.OK
    assert place("run", "-q", "flow.py", "use", "--x", "1") == (exits.OK, "1\n", "")
    assert "[ DONE ]" in place("log")[1]
