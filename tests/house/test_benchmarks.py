"""The benchmarks run: only their smallest row, since a figure is no test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.house.source_tree import ROOT


def _python(*words: str) -> subprocess.CompletedProcess[str]:
    """Runs a module of the checkout with the environment's interpreter."""
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": os.environ.get("HOME", "/")}
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_a_row_prints_its_figures_and_whether_targets_are_reached(tmp_path: Path):
    done = _python("-m", "benchmarks", "--quick", "--repeat", "1", "--rows", "bytes", "--dir", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "bytes a trivial job: pages in use" in done.stdout
    assert "of 2 targets are reached" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_row_that_is_not_there_is_named_with_those_that_are():
    done = _python("-m", "benchmarks", "--rows", "nonsense")
    assert done.returncode == 1
    assert "no row 'nonsense': there are fan-out, " in done.stderr


def test_the_guard_points_at_what_costs_more_than_was_recorded():
    code = "from benchmarks.guard import compare; print(*compare({'a': 1, 'b': 3}, {'a': 1.1, 'b': 2}), sep='\\n')"
    lines = _python("-c", code).stdout.splitlines()
    assert [line.split()[0] for line in lines if "SLOWER" in line] == ["b"]
    assert lines[-1].startswith("1 of 2 cost more")


def test_the_guard_never_fails(tmp_path: Path):
    broken = tmp_path / "table.json"
    broken.write_text("{")
    done = _python("-m", "benchmarks.guard", "--recorded", str(broken))
    assert done.returncode == 0
    assert "could not measure" in done.stderr


def test_stores_are_measured_side_by_side_without_libraries_of_others(tmp_path: Path):
    words = ("--quick", "--cases", "large", "--who", "ours,sqlite-full,files-synced", "--dir", str(tmp_path))
    done = _python("-m", "benchmarks.stores", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "large, put: ours / files-synced" in done.stdout
    assert "of 1 targets are reached" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_takes_no_part_is_named_with_those_that_do():
    done = _python("-m", "benchmarks.stores", "--who", "nonsense")
    assert done.returncode == 1
    assert "no 'nonsense': there are ours, " in done.stderr


def test_years_of_use_are_measured_on_stores_that_runs_have_filled(tmp_path: Path):
    words = ("--jobs", "100", "200", "--cases", "log,gc", "--dir", str(tmp_path))
    done = _python("-m", "benchmarks.years", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "200 jobs: redun gc " in done.stdout
    assert "gc: 200 jobs / 100 jobs" in done.stdout
    assert "of 3 targets are reached" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_case_that_is_not_there_is_named_with_those_that_are():
    done = _python("-m", "benchmarks.years", "--cases", "nonsense")
    assert done.returncode == 1
    assert "no case 'nonsense': there are reindex, log, " in done.stderr


_CONTEST = """
import sys
from pathlib import Path
from benchmarks.files.contest import OURS, Contestant, contest, nothing
from benchmarks.measure import Bench
bench = Bench(quick=True, directory=Path(sys.argv[1]), repeat=2)
programs = [
    Contestant(OURS, ["sh", "-c", "cp in out"], "out"),
    Contestant("other", ["sh", "-c", sys.argv[2]], "out", repeat=1),
]
steps = {"cold": nothing, "one edited": lambda place: (place / "in").write_text("b")}
for figure in contest(bench, "words", "words", lambda place: (place / "in").write_text("a"), steps, programs):
    print(figure.name, len(figure.values), figure.note)
"""


def test_programs_are_measured_step_by_step_and_compared(tmp_path: Path):
    done = _python("-c", _CONTEST, str(tmp_path), "cat in > out")
    assert done.returncode == 0, done.stderr
    words = [line.split() for line in done.stdout.splitlines()]
    assert [line[:2] for line in words] == [
        ["files.words.cold.redun-core", "2"],
        ["files.words.cold.other", "1"],
        ["files.words.one-edited.redun-core", "2"],
        ["files.words.one-edited.other", "1"],
    ]
    assert words[1][3:8] == ["times", "ours", "by", "the", "clock,"]
    assert list(tmp_path.iterdir()) == []


def test_programs_that_do_not_find_the_same_are_not_compared(tmp_path: Path):
    done = _python("-c", _CONTEST, str(tmp_path), "test -e out || cp in out")
    assert done.returncode == 1
    assert "other: out is another one after 'one edited'" in done.stderr


def test_a_case_of_files_that_is_not_there_is_named_with_those_that_are():
    done = _python("-m", "benchmarks.files", "--cases", "nonsense")
    assert done.returncode == 1
    assert "no case 'nonsense': there are trees, scripts, make, words" in done.stderr
