"""Whole replay gives what evaluating step by step gives, and both give what a run without a store gives.

The three are compared over random workflows and histories of edits (`workflows`): the same result, and the same bodies
run step by step and whole. No body runs with a store that does not run without one.
"""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import assume, given, note
from hypothesis import strategies as st

from tests.executor.strategies import Outcome, Strategy, strategies_in
from tests.executor.workflows import INPUTS, Dice, Workflow


class History:
    """A workflow, its earlier versions, and the files that it reads.

    Args:
        restores: whether a file may come to hold what it has held before.
        fails: whether bodies may raise; what ran beside a failure is a matter of time.
    """

    def __init__(
        self, dice: Dice, strategies: dict[str, Strategy], *, shallow: bool, restores: bool, fails: bool
    ) -> None:
        self._dice = dice
        self._strategies = strategies
        self._restores = restores
        self._written = 0
        self._deleted: set[str] = {INPUTS[1]}  # never written so far: to delete it later would restore it
        self._cache = True
        self._shallow = shallow
        self._failed = False
        self._flow = Workflow(dice, shallow=shallow, fails=fails)
        self._versions = [self._flow.copy()]
        self._write(INPUTS[0], "5")

    def step(self) -> None:
        """Runs the workflow in three ways and compares."""
        dice, flow = self._dice, self._flow
        assume(flow.size() < 5000)
        modules, root = flow.modules(), flow.named(flow.root)
        note(modules["main"].partition("return first + 10 * second")[2])
        note(f"{root}   cache={self._cache}")
        threads = dice.pick([4, 1])
        for path in (self._strategies["none"].folder / "out").iterdir():
            path.unlink()
        found = {
            name: strategy.run(modules, root, cache=self._cache or name == "none", threads=threads)
            for name, strategy in self._strategies.items()
        }
        none, step, whole = found["none"], found["step"], found["whole"]
        done = isinstance(none.result, bytes)
        assert done or flow.fails, none.result
        assert step.result == whole.result
        assert self._shallow or step.result == none.result
        assert self._shallow or not done or set(step.ran + whole.ran) <= set(none.ran)
        self._failed |= not done
        if not self._failed:
            self._compare_work(modules["main"], step, whole)
        self._cache = True

    def _compare_work(self, text: str, step: Outcome, whole: Outcome) -> None:
        self._compare_bodies(text, step, whole)
        calls = re.search(r"def .*=t\d+\w*\(", text)  # those of defaults of joined jobs are of no call
        if whole.whole and not step.ran and not calls and not self._shallow:
            assert whole.totals == step.totals

    def _compare_bodies(self, text: str, step: Outcome, whole: Outcome) -> None:
        if not self._restores:
            assert whole.ran == step.ran
            return
        # Whole replay finds a subtree whose files are again as they were; step by step the body that names the file
        # has given something else meanwhile and runs once more. It is that body alone that makes the difference.
        differing = {said.partition(" ")[0] for said in (step.ran - whole.ran) + (whole.ran - step.ran)}
        for name in differing:
            body = text.partition(f"def {name}(")[2].partition("@task")[0]
            assert "File(" in body or "put(" in body, name

    def edit(self) -> None:
        """Changes something."""
        dice = self._dice
        what = dice.pick(["code", "code", "code", "revert", "input", "output", "nothing", "refresh"])
        if what == "code":
            what = self._flow.edit()
            self._versions.append(self._flow.copy())
        elif what == "revert":
            old, new = dice.pick(self._versions).copy(), self._flow
            old.numbers, old.sites = new.numbers, new.sites
            self._flow = old
        elif what == "input":
            what = self._input()
        elif what == "output":
            what = self._output()
        elif what == "refresh":
            self._cache = False
        note(f"--- {what}")

    def _input(self) -> str:
        dice = self._dice
        name = dice.pick(INPUTS)
        if dice.happens(3) and (self._restores or name not in self._deleted):
            self._deleted.add(name)
            for strategy in self._strategies.values():
                (strategy.folder / name).unlink(missing_ok=True)
            return f"{name} is deleted"
        content = str(dice.below(3)) if self._restores else str(self._written + 10)
        self._write(name, content)
        return f"{name} is now {content}"

    def _output(self) -> str:
        folders = [strategy.folder for strategy in self._strategies.values()]
        names = sorted(path.name for path in (folders[0] / "out").iterdir())
        if not names:
            return "no output to change"
        name = self._dice.pick(names)
        if self._dice.below(2):
            self._write(f"out/{name}", str(-1 - self._written))
            return f"output {name} is changed"
        for folder in folders:
            (folder / "out" / name).unlink(missing_ok=True)
        return f"output {name} is deleted"

    def _write(self, name: str, content: str) -> None:
        self._written += 1
        for strategy in self._strategies.values():
            (strategy.folder / name).write_text(content)


def compare(dice: Dice, *, edits: int, shallow: bool = False, restores: bool = False, fails: bool = False) -> None:
    """Compares the three over a random history."""
    with TemporaryDirectory() as folder, strategies_in(Path(folder)) as strategies:
        history = History(dice, strategies, shallow=shallow, restores=restores, fails=fails)
        history.step()
        for _ in range(edits):
            history.edit()
            history.step()


def _dice(data: st.DataObject) -> Dice:
    return Dice(lambda number: data.draw(st.integers(0, number - 1)))


@given(st.data(), st.integers(1, 5))
def test_results_and_bodies_are_the_same_whatever_is_edited(data: st.DataObject, edits: int):
    compare(_dice(data), edits=edits)


@given(st.data(), st.integers(1, 5))
def test_results_are_the_same_when_files_are_restored(data: st.DataObject, edits: int):
    compare(_dice(data), edits=edits, restores=True)


@given(st.data(), st.integers(1, 5))
def test_shallow_checks_look_at_the_same_things_whole_and_step_by_step(data: st.DataObject, edits: int):
    compare(_dice(data), edits=edits, shallow=True)


@given(st.data(), st.integers(1, 5), st.booleans())
def test_results_are_the_same_when_bodies_fail_and_are_mended(data: st.DataObject, edits: int, restores: bool):
    compare(_dice(data), edits=edits, restores=restores, fails=True)
