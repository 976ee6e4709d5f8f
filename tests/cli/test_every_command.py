"""What holds for every command: JSON on demand, and a sign of life where something takes its time."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from redun.cli.app import COMMANDS, main
from redun.store import Store
from tests.executor.flows import MODULE, forget

FLOW = f"{MODULE}.py"
WORKFLOW = """
from redun import task

@task()
def make(n: int) -> str:
    return str(n) * 1000

@task()
def main(n: int = 1) -> list:
    return [make(n), make(n + 100)]
"""

#: Commands that print nothing for programs, and why.
NO_JSON = {
    "help": "it prints the help of a command, which is for people",
    "repl": "it is a conversation",
    "serve": "what it writes is read by another redun",
}

#: Commands that do not show how far they have come, and why.
NO_STEPS = {
    "cat-object": "it reads one object",
    "config show": "it reads a few files of settings",
    "config path": "it reads a few files of settings",
    "diff": "it looks at two executions, and stops at parts that are the same",
    "doctor": "each look has its bound, as a data file that is too large to be verified on the way",
    "explain": "it looks at one job and its neighbours",
    "help": "it prints text",
    "init": "it makes files, a few kilobytes",
    "pin": "it writes one row",
    "remote add": "it writes one row",
    "remote list": "it reads what it prints",
    "remote remove": "it writes a row a ref",
    "remote show": "it reads what it prints",
    "remote trust": "it writes one row",
    "replay": "it runs one body, which prints what it likes",
    "repl": "it is a conversation",
    "run": "it has a table of its own, with the jobs of each task",
    "serve": "the side that asks shows how far it has come",
    "show": "it prints one screen",
    "tag add": "it writes a row a tag",
    "tag list": "it reads what it prints",
    "tag rm": "it writes a row a tag",
    "tag update": "it writes a row a tag",
    "unpin": "it writes one row",
}


def commands() -> Iterator[tuple[str, click.Command, str]]:
    """Yields the name of every command, groups resolved into theirs, with its module."""
    for name, (module, function, _) in COMMANDS.items():
        command = getattr(importlib.import_module(module), function)
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", found, module) for inner, found in command.commands.items())
        else:
            yield name, command, module


ALL = {name: (command, module) for name, command, module in commands()}


@pytest.mark.parametrize("name", sorted(ALL.keys() - NO_JSON.keys()))
def test_every_command_gives_json(name: str) -> None:
    assert "--json" in {option for param in ALL[name][0].params for option in param.opts}


def test_every_command_that_may_take_long_shows_how_far_it_has_come() -> None:
    showing = {
        name
        for name, (_, module) in ALL.items()
        if "redun.cli.steps" in Path(sys.modules[module].__file__ or "").read_text()
    }
    assert ALL.keys() - showing == NO_STEPS.keys()


@pytest.mark.parametrize("name", sorted(ALL))
def test_the_help_of_every_command_has_an_example(name: str) -> None:
    command = ALL[name][0]
    text = command.get_help(click.Context(command, info_name=f"redun {name}")).partition("Options:")[0]
    said = [line.strip().removeprefix("Example: ") for line in text.splitlines()[1:]]
    assert any(f"redun {name.split()[0]}" in line for line in said), text


def test_no_exception_is_made_for_a_command_that_is_gone() -> None:
    assert NO_JSON.keys() <= ALL.keys()


#: The words of each command with which it prints a document in a directory with two executions.
WORDS = {
    "init": [],
    "run": [FLOW, "main"],
    "log": [],
    "explain": ["-"],
    "replay": ["-"],
    "diff": ["{old}", "{new}"],
    "show": ["main"],
    "report": [],
    "cat-object": ["{new}"],
    "check": [FLOW],
    "config show": [],
    "config path": [],
    "doctor": [],
    "fsck": [],
    "reindex": [],
    "stats": [],
    "tag add": ["{new}", "a=b"],
    "tag update": ["{new}", "a=c"],
    "tag rm": ["{new}", "a=c"],
    "tag list": [],
    "pin": ["{new}"],
    "unpin": ["{new}"],
    "prune": ["--keep-last", "1"],
    "gc": [],
    "fs cp": [FLOW, "copy.py"],
    "remote add": ["origin", "other"],
    "remote list": [],
    "remote show": ["origin"],
    "remote trust": ["origin", "cache"],
    "push": ["--dry-run"],
    "fetch": [],
    "pull": [],
    "clone": ["other", "third"],
    "bundle create": ["h.bundle"],
    "bundle verify": ["h.bundle"],
    "bundle list": ["h.bundle"],
    "bundle unbundle": ["h.bundle"],
    "bundle signers": [],
    "remote remove": ["origin"],
    "backup": ["b.pack"],
    "restore": ["b.pack", "--at", "elsewhere"],
    "convert": ["--to", "sha256"],
}


def test_what_commands_print_as_json_is_one_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert WORDS.keys() >= ALL.keys() - NO_JSON.keys()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / FLOW).write_text(WORKFLOW)
    (tmp_path / "redun.toml").write_text("")
    for number in "12":
        assert main(["-q", "run", FLOW, "main", "--n", number]) == 0
    with Store.open(tmp_path / ".redun" / "store") as store:
        new, old = (digest.hex() for digest, _ in store.executions())
    Store.init(tmp_path / "other" / ".redun" / "store").close()
    capsys.readouterr()
    for name, words in ((name, WORDS[name]) for name in WORDS if name in ALL):
        assert main([*name.split(), "--json", *(word.format(new=new, old=old) for word in words)]) == 0, name
        assert json.loads(capsys.readouterr().out) is not None, name
    forget()
