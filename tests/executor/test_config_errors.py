"""Settings that make no sense: the message names the file, the line, the key, and what was expected."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from redun.core.errors import ConfigError
from redun.executor.config.resolve import load_settings


def complaint(tmp_path: Path, name: str, text: str | bytes, **environ: str) -> ConfigError:
    """Returns the error that a file leads to."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path, environ=environ)
    return caught.value


TOML = [
    ("[limits]\ndb = 'x'", 'redun.toml:2: limits.db is "x"; expected a whole number, 1 or more'),
    ("[limits]\ndb = 0", "redun.toml:2: limits.db is 0; expected a whole number"),
    ("[limits]\ndb = true", "redun.toml:2: limits.db is true; expected a whole number"),
    ("[limits]\ndb = 1.5", "redun.toml:2: limits.db is 1.5; expected"),
    ("limits = 3", "redun.toml:1: limits is 3; expected a table, [limits]"),
    ("[[limits]]\ndb = 1", "redun.toml:1: limits is [{db = 1}]; expected a table"),
    ("\n[limit]\ndb = 1", "redun.toml:2: limit is no setting at the top (did you mean limits?)"),
    ("\n[prune]\nkeep-last = 1", "redun.toml:3: prune.keep-last is no setting in [prune] (did you mean keep_last?)"),
    ("[zzz]", "redun.toml:1: zzz is no setting at the top (there is store, executors, limits, "),
    ("[tool.redun.limits]", "tool.redun is for pyproject.toml (in redun.toml the tables stand without tool.redun)"),
    ("[store]\ndurability = 'hard'", 'redun.toml:2: store.durability is "hard"; expected normal or durable'),
    ("[store]\npath = ''", 'store.path is ""; expected a path'),
    ("[store]\npath = 5", "store.path is 5; expected a path"),
    ("[executors.x]\nworkers = 1", "redun.toml:2: executors.x.type is missing (write one of threads, processes"),
    ("[executors.x]\ntype = 'thread'", 'executors.x.type is "thread"; expected threads, processes, futures, dask or'),
    ("[executors.x]\ntype = 'futures'", "redun.toml:2: executors.x.factory is missing"),
    (
        "[executors.x]\ntype = 'futures'\nfactory = 'loky'",
        'executors.x.factory is "loky"; expected a function, as "pac',
    ),
    ("[executors.x]\ntype = 'alias'", "redun.toml:2: executors.x.target is missing"),
    (
        "[executors.x]\ntype = 'alias'\ntarget = 'proces'",
        "executors.x.target is proces, which is no executor (did you m",
    ),
    (
        "[executors.x]\ntype = 'alias'\ntarget = 'y'\n[executors.y]\ntype = 'alias'\ntarget = 'x'",
        "executors.x.target leads in a ring: x -> y -> x",
    ),
    ("[executors.x]\ntype = 'alias'\ntarget = 'x'", "executors.x.target leads in a ring: x -> x"),
    (
        "[executors.x]\ntype = 'threads'\n\naddress = 'tcp://x'",
        "redun.toml:4: executors.x.address has no meaning for type threads (it takes type, workers, options)",
    ),
    ("[executors.dask]\nworkers = 1\naddress = 'x'", "executors.dask.workers contradicts address"),
    ("[executors.dask]\narguments = {a = 1}", "executors.dask.arguments stands without factory"),
    (
        "[executors.default]\nworker = 1",
        "executors.default.worker is no setting in [executors.default] (did you mean wo",
    ),
    ("[executors]\ndefault = 'threads'", 'executors.default is "threads"; expected a table, [executors.default]'),
    ("[executors.default]\noptions = {'a b' = 1}", "expected a table whose names are Python names"),
    ("[tags]\n'a=b' = 'c'", 'tags."a=b" has a name that no tag has'),
    ("[tags]\na = 1979-05-27", "tags.a is 1979-05-27; expected a text, a number, true, false or a list"),
    ('[tags]\n" " = "c"', "has no name that can be used"),
    ("[code]\nown_packages = 'mylib'", 'code.own_packages is "mylib"; expected a list of packages'),
    ("[code]\nown_packages = ['my-lib']", 'code.own_packages is ["my-lib"]; expected a list of packages'),
    ("[prune]\nkeep_within = 30", "prune.keep_within is 30; expected a duration, such as 45m"),
    ("[prune]\nkeep_within = '30x'", 'prune.keep_within is "30x"; expected a duration'),
    ("[gc]\nmax_size = 'big'", 'gc.max_size is "big"; expected a size, such as 500MB'),
    ("context = 3", "redun.toml:1: context is 3; expected a table"),
    ("context_file = 'no.json'", "redun.toml:1: there is no context file "),
    ("[limits]\na = 1\na = 2", "redun.toml:3: "),
    ("[limits]\na = \n", "redun.toml:2: invalid value"),
    ("[limits", "redun.toml:1: "),
    ('a = """', "redun.toml:1: "),
    ("a = " + "[" * 5000, "redun.toml: nested too deep"),
    (b"a = '\xff'", "redun.toml:1: not UTF-8"),
    (b"\n\n\xff", "redun.toml:3: not UTF-8"),
    (b"\0", "redun.toml:1: "),
    (b"#" * (4 * 1024 * 1024 + 1), "has more than 4,194,304 bytes"),
]


@pytest.mark.parametrize(("text", "message"), TOML)
def test_a_mistake_in_redun_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | bytes, message: str):
    monkeypatch.chdir(tmp_path)
    error = complaint(tmp_path, "redun.toml", text)
    assert message in str(error)
    assert error.path == str(tmp_path / "redun.toml")


def test_a_mistake_in_pyproject_names_the_line_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    error = complaint(tmp_path, "pyproject.toml", "[project]\nname = 'x'\n\n[tool.redun.limits]\ndb = -1\n")
    assert str(error) == "pyproject.toml:5: limits.db is -1; expected a whole number, 1 or more"
    assert (error.line, error.key) == (5, "limits.db")
    assert "tool.redun is no table" in str(complaint(tmp_path, "pyproject.toml", "tool.redun = 5"))


INI = [
    ("x = 1\n[limits]", ".redun/redun.ini:1: a key before the first [section]"),
    ("[limits]\na = 1\na = 2\n", ".redun/redun.ini:3: a stands twice in [limits]"),
    ("[limits]\n[limits]\n", ".redun/redun.ini:2: [limits] stands twice"),
    ("[limits]\nabc\n", ".redun/redun.ini:2: neither a [section] nor key = value"),
    ("[limits]\ndb = many\n", '.redun/redun.ini:2: limits.db is "many"; expected a whole number'),
    (
        "[limits]\n\ndb = ${NO}\n",
        ".redun/redun.ini:3: ${NO} is neither a key of its section nor a variable (set it: ex",
    ),
    ("[limits]\na = ${b}\nb = ${a}\n", ".redun/redun.ini:2: references that refer to each other"),
    (
        "[executors.default]\ntype = local\nmode = fork\n",
        ':3: executors.default.mode is "fork"; expected thread or pro',
    ),
    ("[scheduler]\ncontext = {a}\n", ".redun/redun.ini:2: scheduler.context is no JSON: "),
    ("[scheduler]\ncontext = [1]\n", ".redun/redun.ini:2: context is [1]; expected a table"),
    (b"[limits]\n\xff = 1", ".redun/redun.ini:2: not UTF-8"),
]


@pytest.mark.parametrize(("text", "message"), INI)
def test_a_mistake_in_what_is_taken_over_of_a_redun_ini(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | bytes, message: str
):
    monkeypatch.chdir(tmp_path)
    assert message in str(complaint(tmp_path, ".redun/redun.ini", text))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.json", "{", "c.json:1: no JSON: "),
        ("c.json", "{}\n}", "c.json:2: no JSON: Extra data"),
        ("c.json", "[]", "c.json: expected an object, such as {}"),
        ("c.json", "[" * 100_000, "c.json: nested too deep"),
        ("c.toml", "a = ", "c.toml:1: "),
    ],
)
def test_a_mistake_in_a_context_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, message: str
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(text)
    assert message in str(complaint(tmp_path, "redun.toml", f'context_file = "{name}"'))


def test_a_mistake_in_a_variable_names_the_variable(tmp_path: Path):
    with pytest.raises(
        ConfigError, match=r'REDUN_JOBS: executors\.default\.workers is "many"; expected a whole number'
    ):
        load_settings(tmp_path, environ={"REDUN_JOBS": "many"})
    (tmp_path / "redun.toml").write_text("[executors.default]\ntype = 'alias'\ntarget = 'dask'\n")
    with pytest.raises(ConfigError, match=r"REDUN_JOBS: executors\.default\.workers has no meaning for type alias"):
        load_settings(tmp_path, environ={"REDUN_JOBS": "3"})


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (tmp_path / "redun.toml").write_text("")
    (tmp_path / "redun.toml").chmod(0)
    with pytest.raises(ConfigError, match=r"redun.toml cannot be read: Permission denied"):
        load_settings(tmp_path)


def test_a_message_quotes_no_secret(tmp_path: Path):
    error = complaint(tmp_path, "redun.toml", "[executors.default]\npassword = 'hunter2'\n")
    assert "hunter2" not in str(error)
    error = complaint(tmp_path, "redun.toml", "[executors]\ndefault = ['tcp://ada:hunter2@host']\n")
    assert "hunter2" not in str(error)
    assert "tcp://***@host" in str(error)
