"""What commands print about executions with control flow: handled failures, calls never made, scheduler tasks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.screens import Screens, masked, screens_in

FLOW = """
from redun import catch, cond

redun_namespace = "n"

@task()
def boom(x):
    raise ValueError(x)

@task()
def add(a, b):
    return a + b

@task()
def recover(error):
    return f"recovered from {error}"

@task()
async def waits(x):
    return await add(x, 1) + 1

@task()
def main(x=1):
    return [catch(add(boom(x), 5), ValueError, recover), cond(add(x, 1) > 1, waits(x), boom(7))]
"""


@pytest.fixture
def screens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Screens]:
    with screens_in(tmp_path, monkeypatch, capsys) as screens:
        yield screens


def test_an_error_that_is_remembered_is_shown_as_such_and_calls_that_were_never_made_are_not(screens: Screens) -> None:
    screens.history.run(FLOW)
    screens.history.run(FLOW, replay="step")
    listed = masked(screens("log", "-", "-n", "0"))
    assert "[FAILED] TIME:  n.boom(x=1)" in listed
    assert "add(a=1, b=5)" not in listed
    assert masked(screens("explain", screens.job("boom"))).endswith(
        "Answered with its error, which is remembered and handled by somebody above\n"
        "\n"
        "It ran in:\n"
        "  Job ID of Exec ID, TIME: n.boom(x=1)\n"
        "\n"
        "Depends on the code of 1 task:\n"
        "  n.boom ID\n"
    )


def test_every_command_shows_executions_with_control_flow(screens: Screens) -> None:
    first = screens.history.run(FLOW).uuid
    second = screens.history.run(FLOW, replay="step").uuid
    third = screens.history.run(FLOW.replace("raise ValueError(x)", "return x")).uuid
    for execution in (first, second, third):
        listed = screens("log", execution, "-n", "0")
        screens("explain", execution)
        for job in re.findall(r"Job ([0-9a-f]{8})", listed):
            for command in ("show", "explain", "log"):
                screens(command, job)
                screens.json(command, job)
    assert "boom" in screens("diff", second, third)
    screens("fsck")
