"""Workflows of commands that do nothing, each with as many jobs: what it costs to start them."""

import subprocess

from redun import script, task

redun_namespace = "bench"


@task()
def called(n: int) -> int:
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f": {n}"], stdin=subprocess.DEVNULL, capture_output=True, check=True
    )
    return n


@task(script=True)
def said(n: int) -> str:
    return f": {n}"


@task()
def by_subprocess(n: int) -> list[int]:
    return [called(i) for i in range(n)]


@task()
def by_script_task(n: int) -> list[bytes]:
    return [said(i) for i in range(n)]


@task()
def by_script(n: int) -> list[bytes]:
    return [script(f": {i}") for i in range(n)]


@task()
def by_script_tempdir(n: int) -> list[bytes]:
    return [script(f": {i}", tempdir=True) for i in range(n)]
