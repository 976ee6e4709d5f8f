"""What commands print about a history: a module that is edited between runs, in a folder with a store of its own."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from redun.cli.app import main as redun
from redun.store import Store
from tests.executor.histories import History, history_in

TASKS = """
from dataclasses import dataclass

redun_namespace = "n"
RATE = 3

def helper(x):
    return x * RATE

@dataclass
class Model:
    size: int
    def double(self):
        return self.size * 2

@task()
def scale(x):
    return helper(x)

@task()
def read(file, cfg):
    return (file.read(), cfg["lr"])

@task()
def make():
    return Model(3)

@task()
def use(model):
    return model.double()

@task()
def main(lr=0.1):
    return [scale(2), read(File("in.txt"), {"lr": lr}), use(make())]
"""


class Screens:
    """A history, and what commands print about it."""

    def __init__(self, history: History, capsys: pytest.CaptureFixture[str]) -> None:
        self.history = history
        self._capsys = capsys

    def __call__(self, *words: str) -> str:
        """Runs a command that succeeds and returns what it printed."""
        code = redun(list(words))
        done = self._capsys.readouterr()
        assert (code, done.err) == (0, "")
        return done.out

    def json(self, *words: str) -> Any:
        """Runs a command with `--json` and returns its document."""
        return json.loads(self(*words, "--json"))

    def fails(self, *words: str) -> tuple[int, str]:
        """Runs a command that fails and returns its exit code and what it said."""
        code = redun(list(words))
        done = self._capsys.readouterr()
        assert done.out == ""
        return code, done.err

    def job(self, task: str, execution: str = "-") -> str:
        """Returns the start of the id of a job of a task, the first in the execution."""
        found = re.search(rf"^ *Job ([0-9a-f]{{8}}) .*:  n\.{task}\(", self("log", execution, "-n", "0"), re.MULTILINE)
        assert found is not None
        return found[1]


def masked(text: str) -> str:
    """Text without ids, times and durations."""
    text = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "UUID", text)
    text = re.sub(r"\b[0-9a-f]{32}\b", "FULL", text)
    text = re.sub(r"\b[0-9a-f]{8}\b", "ID", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", text)
    return re.sub(r"\d+:\d\d:\d\d\.\d\d", "DURATION", text)


@contextmanager
def screens_in(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Screens]:
    """Gives the screens about a history in a folder, which becomes the working directory."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    (folder / "in.txt").write_text("data")
    with history_in(folder, Store.init(folder / ".redun" / "store")) as history:
        yield Screens(history, capsys)
