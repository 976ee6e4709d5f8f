"""The text of a workflow of 20 tasks, one of which can be edited."""

from __future__ import annotations

from typing import Final

TASKS: Final = 20

_TASK = """

@task()
def step_{k}(x: int) -> int:
    return x + {k}{edit}


@task()
def group_{k}(n: int) -> list[int]:
    return [step_{k}(i) for i in range(n)]
"""

_MAIN = """

@task()
def grouped(n: int) -> list[list[int]]:
    return [{groups}]


@task()
def flat(n: int) -> list[list[int]]:
    return [{flat}]
"""


def source(*, edited: bool) -> str:
    """Returns the workflow's text. `grouped` calls each of the tasks n times through a task of its own for each,
    `flat` calls all of them itself; `edited` changes the body of one."""
    parts = ['from redun import task\n\nredun_namespace = "bench_wide"\n']
    parts += [_TASK.format(k=k, edit=" + 1000" if edited and k == TASKS // 2 else "") for k in range(TASKS)]
    groups = ", ".join(f"group_{k}(n)" for k in range(TASKS))
    flat = ", ".join(f"[step_{k}(i) for i in range(n)]" for k in range(TASKS))
    return "".join(parts) + _MAIN.format(groups=groups, flat=flat)
