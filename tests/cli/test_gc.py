"""`redun prune` and `redun gc` as a user meets them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from redun.cli.app import main
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


class Shell:
    """Runs commands in a directory and gives what they print."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str, code: int = 0) -> str:
        assert main(list(words)) == code
        captured = self._capsys.readouterr()
        return captured.err if code else captured.out


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    """A directory with four executions."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / f"{MODULE}.py").write_text(WORKFLOW)
    made = Shell(capsys)
    for number in range(4):
        made("-q", "run", FLOW, "main", "--n", str(number))
    yield made
    forget()


def test_without_a_rule_nothing_is_pruned(shell: Shell) -> None:
    assert "no rule says what stays; for example --keep-last 20" in shell("prune", code=2)
    assert len(json.loads(shell("log", "--json"))) == 4


def test_a_dry_run_of_prune_lists_what_would_go(shell: Shell) -> None:
    lines = shell("prune", "--keep-last", "1", "--dry-run").splitlines()
    assert lines[-1] == "3 would go, 1 kept"
    assert [line.rpartition(" ")[2] for line in lines[:-1]] == ["2", "1", "0"]
    listed = [run["execution"] for run in json.loads(shell("log", "--json"))]
    assert len(listed) == 4
    planned = json.loads(shell("prune", "--keep-last", "1", "--dry-run", "--json"))
    assert [*planned["kept"], *planned["pruned"]] == listed


def test_what_is_pruned_is_listed_no_more_and_swept_by_gc(shell: Shell) -> None:
    assert shell("prune", "--keep-last", "1").endswith("3 pruned, 1 kept; redun gc sweeps what only they led to\n")
    assert shell("log").count("Exec ") == 1
    planned = json.loads(shell("gc", "--dry-run", "--json"))
    assert planned["dry_run"]
    assert planned["swept"]["value"]["objects"] > 0
    done = json.loads(shell("gc", "--json"))
    assert done["swept"] == planned["swept"]
    assert done["cache_entries"] == planned["cache_entries"] > 0
    assert shell("fsck").endswith(" cache entries)\n")


def test_gc_says_what_it_did_and_where_bytes_went(shell: Shell) -> None:
    shell("prune", "--keep-last", "1")
    assert "swept " in shell("gc")
    text = shell("gc", "--compact")
    assert "nothing to sweep" in text
    assert "removed for good: " in text
    assert "data file: " in text


def test_results_that_were_swept_are_computed_again(shell: Shell) -> None:
    shell("prune", "--keep-last", "1")
    shell("gc", "--expire", "now")
    for number in ("3", "0"):
        shell("-q", "run", FLOW, "main", "--n", number)
    assert "DONE: 3, CACHED: 0" in shell("log", "-")
    assert "CACHED: 3" in shell("log", "~1")


def test_results_of_young_executions_stay_in_the_cache_on_demand(shell: Shell) -> None:
    shell("prune", "--keep-last", "1")
    shell("gc", "--keep-cache", "1h", "--expire", "now")
    shell("-q", "run", FLOW, "main", "--n", "0")
    assert "CACHED: 3" in shell("log", "-")


def test_gc_says_how_much_it_had_back_of_what_was_swept_before(shell: Shell) -> None:
    oldest = json.loads(shell("log", "--json"))[-1]["execution"]
    shell("pin", oldest[:8])
    shell("prune", "--keep-last", "1")  # those in between are gone, and still known as what leads to the oldest
    assert "had back" not in shell("gc")
    assert "would be had back from what was swept: " in shell("gc", "--keep-cache", "1h", "--dry-run")
    assert "\nhad back from what was swept: " in shell("gc", "--keep-cache", "1h")


def test_tags_of_a_run_are_shown_and_keep_it(shell: Shell) -> None:
    shell("-q", "run", "-t", "env=prod", "-t", "a=b=c", "--project", "acme", "-u", "bob", FLOW, "main", "--n", "7")
    assert shell("log", "-").splitlines()[0].endswith(" (a=b=c, env=prod, project=acme, user=bob)")
    shell("-q", "run", FLOW, "main", "--n", "8")
    assert "5 pruned, 1 kept" in shell("prune", "--keep-tag", "env=prod", "--keep-tag", "none")
    assert "'env' is no tag: it has no value; write it as NAME=VALUE" in shell("run", "-t", "env", FLOW, "main", code=2)


def test_a_pin_keeps_an_execution(shell: Shell, tmp_path: Path) -> None:
    with Store.open(tmp_path / ".redun" / "store") as store:
        oldest = list(store.executions())[-1][0]
        store.set_ref("pins/paper", oldest, expected=None, reason="published")
    assert "2 pruned, 2 kept" in shell("prune", "--keep-last", "1")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("gc", "--max-size", "much"), "write 500MB"),
        (("gc", "--expire", "soon"), "write 45m"),
        (("prune", "--keep-within", "30"), "write 45m"),
        (("prune", "--keep-last", "-1"), "--keep-last"),
        (("pin", "-", "../paper"), "'../paper' is no name for a pin"),
        (("pin", "-", ""), "'' is no name for a pin"),
    ],
)
def test_what_cannot_be_read_is_a_usage_error(shell: Shell, words: tuple[str, ...], told: str) -> None:
    assert told in shell(*words, code=2)


def test_without_a_store_there_is_nothing_to_collect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in (["gc"], ["prune", "--keep-last", "1"]):
        assert main(command) == 3
    assert "no store" in capsys.readouterr().err


def test_stats_say_what_there_is_and_who_made_what_is_large(shell: Shell) -> None:
    text = shell("stats", "--largest", "2")
    assert "4 executions, " in text
    assert [line.split()[-1] for line in text.splitlines()[-2:]] == ["main", "main"]
    assert "within a day" in text
    found = json.loads(shell("stats", "--json"))
    assert found["ages"][0]["executions"] == 4
    runs = [run["execution"] for run in json.loads(shell("log", "--json"))]
    assert [one["execution"] for one in found["growth"]] == runs
    assert f"\n{runs[0][:8]} " in text
    quick = json.loads(shell("stats", "--quick", "--json"))
    assert (quick["ages"], quick["growth"], quick["kinds"][0]["named"]) == ([], [], None)
    assert {kind["kind"] for kind in found["kinds"]} >= {"value", "call", "exec", "jobs"}
    assert {task["fullname"]: task["ran"] for task in found["tasks"]} == {"main": 4, "make": 8}
