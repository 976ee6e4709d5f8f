"""What it costs to start a command as a job, beside `subprocess.run` of the same.

Processor time is that of the process that starts them; what the command itself takes is in the time by the clock alone.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Final

from benchmarks.measure import ROOT, Bench, Figure, clocked, execute, timed

SCRIPT_FLOW: Final = ROOT / "benchmarks" / "flows" / "scripts.py"
_FORMS: Final = {
    "by_subprocess": "a job that calls subprocess.run",
    "by_script_task": "a job of @task(script=True)",
    "by_script": "a job of script()",
    "by_script_tempdir": "a job of script(tempdir=True)",
}


def scripts(bench: Bench) -> Iterator[Figure]:
    """Commands that do nothing, one after the other: by `subprocess.run` alone, and as jobs of each form, cold."""
    n = bench.size(300, 30)
    words = ["bash", "-euo", "pipefail", "-c", ": 1"]

    def call() -> None:
        for _ in range(n):
            subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=True)

    alone = [clocked(call) for _ in range(bench.repeat)]
    yield timed("scripts.subprocess", f"{n} commands by subprocess.run alone", "us/job", alone, by=n)
    for name, told in _FORMS.items():
        cold = []
        for _ in range(bench.repeat):
            with bench.fresh() as directory:
                cold += execute(directory / "store", SCRIPT_FLOW, name, n, threads=1).samples
        yield timed(f"scripts.{name}", f"{n} commands, each {told}", "us/job", cold, by=n)
