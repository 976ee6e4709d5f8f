"""One value has one id: in every process, under every hash seed, however it was made, and after it was read again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SEEDS = 4
LIBRARIES = ("redun", "pickle", "cloudpickle", "joblib", "dask")

Told = dict[str, dict[str, list[str]]]


@pytest.fixture(scope="module")
def told() -> list[Told]:
    """What a process under each hash seed says."""
    command = [sys.executable, "-W", "ignore", "-c", "from tests.core.stability_cases import main; main()"]
    started = [
        subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": str(seed)}, stdout=subprocess.PIPE)
        for seed in range(SEEDS)
    ]
    return [json.loads(process.communicate(timeout=120)[0]) for process in started]


def _names(told: list[Told], case: str, library: str) -> set[str]:
    return {name for one in told for name in one[case].get(library, [f"not installed {id(one)}", ""])}


def _is_stable(told: list[Told], case: str, library: str) -> bool:
    return len(_names(told, case, library)) == 1


def _cells(texts: Iterable[str]) -> str:
    return "".join(f"{text:>13}" for text in texts)


def test_every_kind_of_value_has_one_id(told: list[Told]):
    lines = [f"{'the same id in 4 processes, made in 2 ways, and read again':<60}" + _cells(LIBRARIES)]
    marks = {case: ["yes" if _is_stable(told, case, library) else "." for library in LIBRARIES] for case in told[0]}
    lines += [f"{case:<60}{_cells(row)}" for case, row in marks.items()]
    counts = [sum(_is_stable(told, case, library) for case in told[0]) for library in LIBRARIES]
    lines.append(f"{'of ' + str(len(told[0])):<60}" + _cells(map(str, counts)))
    sys.stdout.write("\n".join(["", *lines, ""]))  # shown by `pytest -s`
    assert len(told[0]) == 41
    assert {case: told[0][case]["redun"] for case in told[0] if not _is_stable(told, case, "redun")} == {}


def test_no_two_kinds_have_the_same_id(told: list[Told]):
    ids = [told[0][case]["redun"][0] for case in told[0] if case != "slice of a frame"]  # which is the frame
    assert len(set(ids)) == len(ids)
