"""`redun config`, and what other commands take from the settings of a project."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from redun.cli.app import main
from redun.core.ownership import Ownership, set_own_packages
from redun.store import Store
from tests.executor.flows import MODULE, forget

FLOW = f"{MODULE}.py"
WORKFLOW = """
from redun import task

@task()
def main(n: int = 1) -> int:
    return n
"""
#: Two bodies that wait for each other, so that one worker alone would wait in vain.
MEETING = """
import os, time
from redun import task

@task()
def meet(n: int) -> int:
    open(f"here{n}", "w").close()
    end = time.monotonic() + 20
    while not os.path.exists(f"here{1 - n}"):
        assert time.monotonic() < end
        time.sleep(0.01)
    return n

@task()
def main() -> list:
    return [meet(0), meet(1)]
"""
INI = "[backend]\nautomigrate = True\n[executors.batch]\ntype = aws_batch\n"


class Shell:
    """Runs commands in a directory and gives what they print."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *words: str, code: int = 0) -> str:
        assert main(list(words)) == code
        captured = self._capsys.readouterr()
        self.out, self.err = captured
        return captured.err if code else captured.out


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    """A directory with a workflow."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    Path(FLOW).write_text(WORKFLOW)
    yield Shell(capsys)
    forget()
    set_own_packages(())


def write(text: str, name: str = "redun.toml") -> None:
    """Writes a file of settings."""
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text(text)


# -- the command ------------------------------------------------------------------------------------------------------


def test_show_tells_each_value_and_where_it_came_from(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    write('[limits]\ndb = 3\n\n[tags]\n"a b" = "x"\n')
    monkeypatch.setenv("REDUN_JOBS", "7")
    rows = {line.split("  ")[0]: line.split() for line in shell("config", "show").splitlines()}
    assert rows["limits.db"][1:] == ["3", "redun.toml:2"]
    assert rows['tags."a b"'][2:] == ['"x"', "redun.toml:5"]
    assert rows["executors.default.workers"][1:] == ["7", "REDUN_JOBS"]
    assert rows["executors.default.type"][1:] == ['"threads"', "default"]
    assert rows["store.path"][1:] == ["-", "default"]
    assert shell("--store", "there", "config", "show", "store.path").split() == ["store.path", '"there"', "--store"]


def test_show_takes_a_key_or_the_beginning_of_keys(shell: Shell) -> None:
    write('[limits]\ndb = 3\n"a b" = 4\n')
    assert shell("config", "show", "limits").count("\n") == 2
    assert shell("config", "show", 'limits."a b"').split()[-2:] == ["4", "redun.toml:3"]
    assert shell("config", "show", "limits.none").split() == ["limits.none", "-", "default"]
    assert shell("config", "show", "context").split() == ["context", "-", "default"]
    assert "limit is no setting; did you mean limits?" in shell("config", "show", "limit", code=2)
    assert "'a b' is no key" in shell("config", "show", "a b", code=2)
    assert "store.path.x is no setting" in shell("config", "show", "store.path.x", code=2)


def test_show_as_json_is_whole(shell: Shell, tmp_path: Path) -> None:
    write('[context.db]\nport = 1\npassword = "hunter2"\n')
    write(INI, ".redun/redun.ini")
    told = json.loads(shell("config", "show", "--json"))
    assert told["files"] == [str(tmp_path / "redun.toml"), str(tmp_path / ".redun" / "redun.ini")]
    found = {row["key"]: row for row in told["settings"]}
    assert found["context.db.port"]["value"] == 1
    assert found["context.db.port"]["from"] == {"source": str(tmp_path / "redun.toml"), "line": 2}
    assert found["context.db.password"]["value"] == "***"
    assert [remark["key"] for remark in told["without_meaning"]] == ["backend.automigrate", "executors.batch"]


def test_no_secret_is_printed(shell: Shell) -> None:
    write(
        '[executors.x]\ntype = "futures"\nfactory = "a:b"\narguments = {token = ["hunter2"]}\n'
        '[executors.dask]\naddress = "tls://ada:hunter2@host:1"\n[context]\n'
        'api_key = "hunter2"\nSECRETS = [{a = 1234}]\n'
    )
    for words in (("config", "show"), ("config", "show", "--json"), ("doctor",)):
        text = shell(*words)
        assert "hunter2" not in text
        assert "1234" not in text
    assert '"tls://***@host:1"' in shell("config", "show", "executors.dask.address")


def test_control_characters_of_a_file_do_not_reach_the_terminal(shell: Shell) -> None:
    write('[context]\na = "\\u001b[31m"\n"\\u009b" = 1\n')
    assert {"\x1b", "\x9b"}.isdisjoint(shell("config", "show"))


def test_path_prints_the_files_the_strongest_first(shell: Shell, tmp_path: Path) -> None:
    assert "no redun.toml, pyproject.toml with [tool.redun] or .redun/redun.ini" in shell("config", "path", code=3)
    write("[tool.redun]\n", "pyproject.toml")
    write("")
    files = [str(tmp_path / "redun.toml"), str(tmp_path / "pyproject.toml")]
    assert shell("config", "path").splitlines() == files
    assert json.loads(shell("config", "path", "--json")) == files
    assert shell("config", "path", "--config", "pyproject.toml").splitlines() == files[1:]
    assert shell("--config", "pyproject.toml", "config", "path").splitlines() == files[1:]


def test_config_alone_says_what_to_write(shell: Shell) -> None:
    assert "redun config needs a command; redun config show, or redun config path" in shell("config", code=2)


# -- what other commands take from it ---------------------------------------------------------------------------------


def test_a_mistake_stops_every_command_that_needs_the_settings(shell: Shell) -> None:
    write("[limits]\ndb = 'x'\n")
    for words in (("run", FLOW, "main"), ("log",), ("config", "show"), ("gc",), ("prune", "--keep-last", "1")):
        assert 'redun: error: redun.toml:2: limits.db is "x"; expected a whole number' in shell(*words, code=2)
    assert not Path(".redun").exists()


def test_what_needs_no_settings_works_in_spite_of_a_mistake(shell: Shell) -> None:
    shell("-q", "run", FLOW, "main")
    write("[limits")
    shell("--help")
    shell("config", "path")
    assert "Exec " in shell("log", "--store", ".redun/store")
    shell("doctor", code=2)
    assert "bad   settings" in shell.out


def test_a_run_uses_the_store_that_the_settings_name(shell: Shell, tmp_path: Path) -> None:
    shell("init", "data")
    write('[store]\npath = "data"\ndurability = "durable"\n')
    Path("sub").mkdir()
    assert shell("run", FLOW, "main") == "1\n"
    assert not Path(".redun").exists()
    assert shell("log").count("Exec ") == 1
    with Store.open(tmp_path / "data" / ".redun" / "store", read_only=True) as store:
        assert len(list(store.executions())) == 1


def test_a_store_that_the_settings_name_is_never_made(shell: Shell) -> None:
    write('[store]\npath = "dta"\n')
    error = shell("run", FLOW, "main", code=3)
    assert "/dta (named by redun.toml:2); redun init " in error


def test_option_and_variable_are_stronger_than_a_file(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        shell("init", name)
    write('[store]\npath = "a"\n')
    monkeypatch.setenv("REDUN_STORE", "b")
    shell("-q", "run", FLOW, "main")
    shell("-q", "run", "--store", "c", FLOW, "main")
    shell("-q", "run", "--store", "c", FLOW, "main")
    monkeypatch.delenv("REDUN_STORE")
    assert [shell("log", "--store", name).count("Exec ") for name in ("a", "b", "c")] == [0, 1, 2]


def test_executions_get_the_tags_of_the_settings(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    write('[tags]\nproject = "acme"\nenv = "dev"\n')
    monkeypatch.setenv("REDUN_USER", "ada")
    shell("-q", "run", FLOW, "main")
    assert shell("log", "-").splitlines()[0].endswith("(env=dev, project=acme, user=ada)")
    shell("-q", "run", "-t", "env=prod", "--user", "bob", FLOW, "main")
    assert shell("log", "-").splitlines()[0].endswith("(env=prod, project=acme, user=bob)")


def test_a_run_says_in_one_line_what_has_no_meaning(shell: Shell) -> None:
    write(INI, ".redun/redun.ini")
    shell("run", FLOW, "main")
    told = [line for line in shell.err.splitlines() if "without meaning" in line]
    keys = "backend.automigrate, executors.batch"
    assert told == [f"[redun] .redun/redun.ini: without meaning here: {keys} (redun config show says what to do)"]
    shell("-q", "run", FLOW, "main")
    assert "meaning" not in shell.err
    text = shell("config", "show")
    assert "  backend.automigrate  .redun/redun.ini:2  there is no database: results are kept in .redun/store" in text


def test_jobs_run_where_the_settings_say(shell: Shell) -> None:
    Path(FLOW).write_text(WORKFLOW.replace("return n", "import os; return os.getpid()"))
    assert int(shell("run", "--no-cache", FLOW, "main")) == os.getpid()
    write('[executors.default]\ntype = "processes"\nworkers = 1\n')
    assert int(shell("run", "--no-cache", FLOW, "main")) != os.getpid()


def test_the_number_of_jobs_is_that_of_the_executor_whatever_its_type(shell: Shell) -> None:
    Path(FLOW).write_text(MEETING)
    write('[executors.default]\ntype = "processes"\nworkers = 1\n')
    assert shell("run", "-j", "2", FLOW, "main") == "[0, 1]\n"
    write('[executors.default]\ntype = "futures"\nfactory = "concurrent.futures:ThreadPoolExecutor"\n')
    assert shell("run", "--no-cache", "-j", "2", FLOW, "main") == "[0, 1]\n"


def test_own_packages_of_the_settings_are_tracked(shell: Shell) -> None:
    import msgpack

    write('[code]\nown_packages = ["msgpack"]\n')
    shell("-q", "run", FLOW, "main")
    assert Ownership("w").owns(msgpack)


def test_prune_and_gc_take_what_they_are_not_told_from_the_settings(shell: Shell) -> None:
    for number in range(4):
        shell("-q", "run", FLOW, "main", "--n", str(number))
    write("[prune]\nkeep_last = 2\n\n[gc]\nexpire = 'now'\n")
    assert shell("prune", "--dry-run").splitlines()[-1] == "2 would go, 2 kept"
    assert shell("prune", "--keep-last", "3", "--dry-run").splitlines()[-1] == "1 would go, 3 kept"
    shell("prune")
    assert "removed for good" in shell("gc")
    assert "(default: 7d)" in shell("gc", "--help")


def test_the_settings_choose_colour_where_neither_option_nor_environment_does(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell("-q", "run", FLOW, "main")
    assert "\x1b[" not in shell("log")
    write('[display]\ncolor = "always"\n')
    assert "\x1b[" in shell("log")
    assert "\x1b[" not in shell("log", "--color", "never")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in shell("log")


def test_doctor_tells_of_the_settings(shell: Shell) -> None:
    assert "settings" in shell("doctor")
    write(INI, ".redun/redun.ini")
    text = shell("doctor")
    assert "executors.batch has no meaning here; there is no type aws_batch" in text
    write("[limits]\ndb = 0\n")
    shell("doctor", code=2)
    assert "redun.toml:2: limits.db is 0; expected a whole number" in shell.out


def test_a_working_directory_that_is_gone_is_said_to_be(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for words in (("log",), ("config", "show"), ("config", "path")):
        assert "the working directory is gone" in shell(*words, code=3)
