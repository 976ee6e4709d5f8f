"""`redun report`: what it tells of an execution, and the forms that it writes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun.cli.app import main
from redun.cli.report.lanes import lanes
from tests.executor.flows import MODULE, forget

FLOW = """
from redun import task

@task()
def leaf(n: int) -> int:
    if n == 13:
        raise ValueError("unlucky")
    return n + 1

@task()
def middle(n: int) -> list:
    return [leaf(n), leaf(n + 1)]

@task(name='quote"\\\\] -->|x| evil')
def odd() -> int:
    return 1

@task()
def main(n: int = 1) -> list:
    return [middle(n), middle(n + 1), odd()]
"""


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    Path(f"{MODULE}.py").write_text(FLOW.replace("name='quote\"\\\\] -->|x| evil'", "name='odd'"))
    forget()
    assert main(["-q", "run", f"{MODULE}.py", "main"]) == 0
    capsys.readouterr()
    yield tmp_path
    forget()


def data(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["report", *words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def names(document: dict[str, Any]) -> list[str]:
    return [task["name"] for task in document["tasks"]]


def test_every_job_is_listed_with_its_caller(ran: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = data(capsys)
    jobs, tasks = document["jobs"], names(document)
    assert [tasks[task] for task in jobs["task"]].count("leaf") == 4
    callers = {
        tasks[jobs["task"][parent]] for task, parent in zip(jobs["task"], jobs["parent"], strict=True) if parent >= 0
    }
    assert callers == {"main", "middle"}
    assert len({len(column) for column in jobs.values()}) == 1
    assert document["left_out"] == 0


def test_edges_count_the_calls_between_tasks(ran: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = data(capsys)
    tasks = ["run", *names(document)]
    edges = {(tasks[caller + 1], tasks[called + 1]): jobs for caller, called, jobs in document["edges"]}
    assert edges == {("run", "main"): 1, ("main", "middle"): 2, ("main", "odd"): 1, ("middle", "leaf"): 4}


def test_the_jobs_inside_a_replay_are_listed_and_have_no_lane(ran: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forget()
    assert main(["-q", "run", f"{MODULE}.py", "main"]) == 0
    capsys.readouterr()
    document = data(capsys)
    hows = [document["hows"][how] for how in document["jobs"]["how"]]
    assert hows == ["whole", *["inner"] * 7]
    assert set(document["jobs"]["lane"]) == {-1}
    assert {(task["name"], task["cached"]) for task in document["tasks"]} >= {("leaf", 4), ("middle", 2)}


def test_each_job_that_ran_has_its_reason(ran: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forget()
    Path(f"{MODULE}.py").write_text(Path(f"{MODULE}.py").read_text().replace("n + 1\n", "n + 2\n"))
    assert main(["-q", "run", f"{MODULE}.py", "main"]) == 0
    capsys.readouterr()
    document = data(capsys)
    jobs = document["jobs"]
    told = [document["reasons"][reason]["text"] for reason in jobs["reason"] if reason >= 0]
    assert told == ["code changed: its own text"] * 3  # one of four calls of leaf is an equal one


def test_a_failure_is_told_with_its_error_and_who_handled_it(ran: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-q", "run", f"{MODULE}.py", "main", "--n", "12"]) == 1
    capsys.readouterr()
    [failure] = data(capsys)["failures"]
    assert failure["error"] == "ValueError('unlucky')"
    assert failure["args"] == "n=13"
    assert failure["handled"] is False
    assert any("unlucky" in line for line in failure["trace"])


def test_of_too_many_jobs_the_longest_are_listed(ran: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = data(capsys, "--most", "3")
    assert len(document["jobs"]["id"]) == 3
    assert document["left_out"] == 5


def test_labels_of_graphs_escape_the_names_of_tasks(ran: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from redun.cli.report import graphs
    from redun.cli.report.facts import Report

    task = {"name": 'a"] --> b\\', "done": 1, "cached": 0, "failed": 0, "running": 0, "pending": 0, "seconds": 0.0}
    report = Report({}, [task], [], {}, [], [], [], 0)
    assert '"a\\"] --> b\\\\\\n1 done"' in "".join(graphs.dot(report))
    [label] = [line for line in graphs.mermaid(report) if line.startswith("  t0[")]
    assert label == '  t0["a#34;#93; --#62; b#92;<br/>1 done"]'


@pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz is not installed")
def test_graphviz_draws_the_graph(ran: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "-", "-o", "run.dot"]) == 0
    drawn = subprocess.run(["dot", "-Tsvg", "run.dot"], capture_output=True, text=True, check=True)
    assert "middle" in drawn.stdout


def test_a_trace_has_one_event_a_body(ran: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "-", "--format", "trace"]) == 0
    events = json.loads(capsys.readouterr().out)["traceEvents"]
    bodies = [event for event in events if event["ph"] == "X"]
    assert len(bodies) == 7
    assert all(event["dur"] >= 0 and event["pid"] == 1 for event in bodies)
    threads = {event["tid"] for event in events if event["name"] == "thread_name"}
    assert {event["tid"] for event in bodies} <= threads


def test_the_end_of_the_name_says_the_form(ran: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, start in (
        ("a.html", "<!DOCTYPE html>"),
        ("a.gv", "digraph"),
        ("a.mmd", "flowchart"),
        ("a.json", '{"trac'),
    ):
        assert main(["report", "-", "-o", name]) == 0
        assert Path(name).read_text().startswith(start)
    assert "Wrote a.html" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["report", "-"], 2, "a page is written to a file"),
        (["report", "-", "-o", "missing/run.html"], 1, "cannot write missing/run.html"),
        (["report", "0000000000", "-o", "run.html"], 3, "0000000000"),
        (["report", "main", "-o", "run.html"], 3, "main is no execution"),
    ],
)
def test_what_cannot_be_reported_is_said(
    ran: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, told: str
) -> None:
    assert main(words) == code
    assert told in capsys.readouterr().err
    assert not [path.name for path in Path().iterdir() if "run.html" in path.name]


_SPANS = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 50)), max_size=40)


@given(_SPANS)
def test_bodies_of_one_lane_do_not_overlap_and_no_lane_is_for_nothing(spans: list[tuple[int, int]]) -> None:
    found = lanes(spans)
    for lane in set(found):
        mine = sorted(span for span, other in zip(spans, found, strict=True) if other == lane)
        assert all(start + max(size, 1) <= after for (start, size), (after, _) in pairwise(mine))
    beside = [sum(s <= at < s + max(d, 1) for s, d in spans) for at in range(151)]
    assert len(set(found)) == max(beside, default=0)
