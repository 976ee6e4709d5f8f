"""What an index answers about random programs, their edits, and what was pruned and swept between their runs, is what a
walk over everything says."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from hypothesis import given, note
from hypothesis import strategies as st

from redun.store import Store
from redun.store.gc.collect import GcOptions
from redun.store.gc.retention import KeepRules
from tests.executor.flows import flow_in
from tests.executor.programs import VERSIONS, Program, histories
from tests.store.indexed import check_answers

steps = st.lists(st.sampled_from(["", "", "index", "prune", "sweep"]), min_size=VERSIONS, max_size=VERSIONS)


@given(histories(files=True), steps, st.sampled_from(["step", "whole"]))
def test_answers_about_programs_are_those_of_a_walk(
    versions: list[Program], between: list[str], replay: Literal["step", "whole"]
):
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        store = stack.enter_context(Store.memory())
        flow = stack.enter_context(flow_in(folder, store))
        flow.replay = replay
        os.chdir(folder)
        (folder / "in.txt").write_text("5")
        for program, step in zip(versions, between, strict=False):
            note(f"--- before it: {step}\n{program.text()}\n{program.root()}")
            if step in ("prune", "sweep"):
                store.prune(store.plan_pruning(KeepRules(last=1)))
            if step == "sweep":
                store.collect_garbage(GcOptions(expiry_s=0))
            flow.load(program.text())
            for _ in range(2):
                flow(program.root())
            if step == "index":
                check_answers(store, store.index())
        check_answers(store, store.index())
        assert list(store.check(level=3)) == []
        store.rebuild_index()
        check_answers(store, store.index())
