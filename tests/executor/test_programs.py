"""A run with a store gives the same result as a run with an empty one, for random programs, edits and threads.

This is what "correct" means here (CACHING.md section 9). Three evaluators run each version of a program: one with an
empty store, one whose store has seen all versions before and answers step by step, one that replays whole subtrees.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from hypothesis import given, note
from hypothesis import strategies as st

from redun.core.digest import DEFAULT_FORMAT, Digest
from redun.core.values import Encoder
from redun.store import Store
from tests.executor.flows import Flow, flow_in
from tests.executor.programs import FILES, VERSIONS, Program, histories

Replay = Literal["whole", "step"]
MakeStore = Callable[[Path], Store]


class Evaluator:
    """One way to evaluate, with its own folder for files, its own store, and what its bodies have done so far.

    Attributes:
        seen: (task, its code, arguments) of every body that ran in a run whose answers are kept.
        ran: what the bodies of the last run said.
    """

    def __init__(self, flow: Flow, folder: Path, store: Store, replay: Replay) -> None:
        self._flow = flow
        self.folder = folder
        self.store = store
        self._replay = replay
        self.seen: set[tuple[str, str, str]] = set()
        self.ran: list[str] = []
        folder.mkdir()
        (folder / "in.txt").write_text("5")

    def run(self, program: Program, threads: int) -> Digest:
        """Returns the id of what the program's root comes to."""
        os.chdir(self.folder)
        flow = self._flow
        flow.store, flow.replay, flow.threads = self.store, self._replay, threads
        result = flow(program.root())
        self.ran = flow.ran
        return Encoder(DEFAULT_FORMAT).value(result)

    def calls(self, program: Program) -> Counter[tuple[str, str, str]]:
        """Returns the bodies of the last run with the code that ran."""
        code = program.code()
        found: Counter[tuple[str, str, str]] = Counter()
        for said in self.ran:
            name, _, arguments = said.partition(" ")
            # what `apply` applies is an argument, and the code of arguments counts
            found[name, code.get(arguments.partition(" ")[0] if name == "apply" else name, ""), arguments] += 1
        return found


def _evaluators(stack: ExitStack, make: MakeStore) -> tuple[Flow, list[Evaluator]]:
    folder = Path(stack.enter_context(TemporaryDirectory()))
    stores = [stack.enter_context(make(folder / f"store{number}")) for number in range(2)]
    flow = stack.enter_context(flow_in(folder, stores[0]))
    replays: list[Replay] = ["step", "whole"]
    kept = [Evaluator(flow, folder / replay, store, replay) for replay, store in zip(replays, stores, strict=True)]
    return flow, kept


def _cold(stack: ExitStack, flow: Flow, kept: Evaluator, number: int) -> Evaluator:
    made = Evaluator(flow, kept.folder.parent / f"cold{number}", stack.enter_context(Store.memory()), "whole")
    (made.folder / "in.txt").write_text((kept.folder / "in.txt").read_text())
    return made


def _always_run(program: Program) -> set[str]:
    """Tasks whose bodies may run although nothing has changed: those without a cache, and those that hold files."""
    off = {program.name(n) for n, model in enumerate(program.tasks) if model.option.startswith("cache")}
    return off | {program.name(n) for n, model in enumerate(program.tasks) if model.form in FILES}


def check_edits(versions: list[Program], counts: list[int], make: MakeStore) -> None:
    """Runs each version with each evaluator, and compares results and bodies."""
    with ExitStack() as stack:
        flow, kept = _evaluators(stack, make)
        for number, program in enumerate(versions):
            note(f"--- version {number}\n{program.text()}\n{program.root()}")
            flow.load(program.text())
            cold = _cold(stack, flow, kept[0], number)
            expected = cold.run(program, 1)
            for evaluator in kept:
                assert evaluator.run(program, counts[number]) == expected
                calls = evaluator.calls(program)
                again = {call[0] for call in calls if call in evaluator.seen}
                assert again <= _always_run(program)
                evaluator.seen |= set(calls)
            assert kept[0].calls(program) == kept[1].calls(program)
            for evaluator in kept:
                assert evaluator.run(program, 1) == expected
                assert {call[0] for call in evaluator.calls(program)} <= _always_run(program)


def check_files(versions: list[Program], changes: list[tuple[str, int]], threads: int, make: MakeStore) -> None:
    """The same while files that programs read and write are changed and deleted between the runs."""
    with ExitStack() as stack:
        flow, kept = _evaluators(stack, make)
        for number, program in enumerate(versions):
            change, content = changes[number]
            note(f"--- version {number}, before it: {change} {content}\n{program.text()}\n{program.root()}")
            flow.load(program.text())
            for evaluator in kept:
                _change(evaluator.folder, change, content)
            cold = _cold(stack, flow, kept[0], number)
            expected = cold.run(program, 1)
            for evaluator in kept:
                assert evaluator.run(program, threads) == expected
                assert _contents(evaluator.folder).items() >= _contents(cold.folder).items()
                assert evaluator.run(program, 1) == expected
                assert {call[0] for call in evaluator.calls(program)} <= _always_run(program)


some_threads = st.sampled_from([1, 2, 8])
many_threads = st.lists(some_threads, min_size=VERSIONS, max_size=VERSIONS)
one_change = st.tuples(st.sampled_from(["", "", "input", "delete", "tamper"]), st.integers(0, 3))
many_changes = st.lists(one_change, min_size=VERSIONS, max_size=VERSIONS)


@given(histories(files=False), many_threads)
def test_a_store_changes_no_result_and_runs_nothing_twice(versions: list[Program], counts: list[int]):
    check_edits(versions, counts, lambda _: Store.memory())


@given(histories(files=True), many_changes, some_threads)
def test_a_store_changes_no_result_when_files_come_and_go(
    versions: list[Program], changes: list[tuple[str, int]], threads: int
):
    check_files(versions, changes, threads, lambda _: Store.memory())


def _change(folder: Path, what: str, content: int) -> None:
    if what == "input":
        (folder / "in.txt").write_text(str(content))
    for path in sorted(folder.glob("out/*"))[:: 1 + content]:
        if what == "delete":
            path.unlink()
        elif what == "tamper":
            path.write_text("tampered")


def _contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.glob("out/*")}
