"""Random workflows of control flow give the same with and without a store, whole and step by step.

Where somebody handles every failure, or the run keeps going, timing decides nothing: the same value or error comes out,
and the same bodies run. Where a failure ends the run at once, what ran beside it is a matter of time.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import assume, given, note
from hypothesis import strategies as st

from tests.executor.control_texts import ControlFlow
from tests.executor.strategies import Outcome, Strategy, strategies_in
from tests.executor.workflows import Dice

#: Random bodies drop calls.
pytestmark = pytest.mark.filterwarnings("ignore::redun.core.errors.WorkflowWarning")


class ControlHistory:
    """A workflow and its earlier versions. `settles`: whether runs keep going."""

    def __init__(self, dice: Dice, strategies: dict[str, Strategy], *, settles: bool) -> None:
        self._dice = dice
        self._strategies = strategies
        self._settles = settles
        self._flow = ControlFlow(dice)
        self._versions = [self._flow.copy()]
        self._cache = True
        self._stopped = False

    def step(self) -> None:
        """Runs the workflow in three ways and compares."""
        flow, dice = self._flow, self._dice
        assume(flow.size() < 3000)
        text, root = flow.text(), flow.named(flow.root)
        root = root if self._settles else f"catch([{root}], Exception, rec)"
        modules = {"main": text, "parts": ""}
        note(text.partition("total(K)\n")[2])
        note(f"{root}   context={flow.context} cache={self._cache}")
        threads = dice.pick([4, 1])
        found = {
            name: strategy.run(
                modules,
                root,
                cache=self._cache or name == "none",
                threads=threads,
                keep_going=self._settles,
                context=flow.context,
            )
            for name, strategy in self._strategies.items()
        }
        self._compare(text, **found)
        self._cache = True

    def _compare(self, text: str, none: Outcome, step: Outcome, whole: Outcome) -> None:
        assert step.result == whole.result == none.result
        for outcome in (none, step, whole):
            assert all(count.pending == count.running == 0 for count in outcome.execution.counts)
        assert set(step.ran + whole.ran) <= set(none.ran)
        note(f"only step by step: {step.ran - whole.ran}, only whole: {whole.ran - step.ran}")
        # An earlier outcome of what an async body awaits, come back: whole replay knows it still, a step only the last.
        differing = {said.partition(" ")[0] for said in (step.ran - whole.ran) + (whole.ran - step.ran)}
        assert all(f"async def {name}(" in text for name in differing)

    def edit(self) -> None:
        """Changes something."""
        what = self._dice.pick(["code", "code", "code", "revert", "nothing", "refresh"])
        if what == "code":
            what = self._flow.edit()
            self._versions.append(self._flow.copy())
        elif what == "revert":
            self._flow = self._dice.pick(self._versions).copy()
        elif what == "refresh":
            self._cache = False
        note(f"--- {what}")


def compare(dice: Dice, *, edits: int, settles: bool) -> None:
    """Compares the three over a random history."""
    with TemporaryDirectory() as folder, strategies_in(Path(folder)) as strategies:
        history = ControlHistory(dice, strategies, settles=settles)
        history.step()
        for _ in range(edits):
            history.edit()
            history.step()


def _dice(data: st.DataObject) -> Dice:
    return Dice(lambda number: data.draw(st.integers(0, number - 1)))


@given(st.data(), st.integers(0, 5))
def test_handled_failures_change_no_result_and_no_body_runs_twice(data: st.DataObject, edits: int):
    compare(_dice(data), edits=edits, settles=False)


@given(st.data(), st.integers(0, 5))
def test_runs_that_keep_going_end_alike(data: st.DataObject, edits: int):
    compare(_dice(data), edits=edits, settles=True)
