"""Random chains of scripts, and what is done to their files between runs: a run with a store gives what one without
gives, and what ran once for files as they are does not run again."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from redun.executor.scheduler import Scheduler
from redun.store import Store
from tests.executor.flows import Flow, flow_in

WORKFLOW = """
from redun.executor.scripting.script import script
from redun.executor.scripting.words import sh

@task()
def main(plan):
    made = [File("in0"), File("in 1")]
    for number, (left, right, word, tempdir) in enumerate(plan):
        x, y = made[left % len(made)], made[right % len(made)]
        if tempdir:
            command = sh("cat l r > o; echo {word} >> o", word=word)
            inputs, outputs = [x.stage("l"), y.stage("r")], File(f"out{number}").stage("o")
        else:
            command = sh("cat {x} {y} > {out}; echo {word} >> {out}", x=x, y=y, word=word, out=f"out{number}")
            inputs, outputs = (x, y), File(f"out{number}")
        made.append(script(command, inputs=inputs, outputs=outputs, tempdir=tempdir))
    return made[2:]
"""
STEPS = 4
NAMES = ["in0", "in 1", *(f"out{number}" for number in range(STEPS))]
PLACE = st.integers(0, STEPS + 1)
PLANS = st.lists(st.tuples(PLACE, PLACE, st.sampled_from(["a", "it's"]), st.booleans()), min_size=1, max_size=STEPS)
CHANGES = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(NAMES), st.sampled_from(["1\n", "2\n"])),
    st.tuples(st.just("remove"), st.sampled_from(NAMES[2:]), st.just("")),
    st.tuples(st.just("touch"), st.sampled_from(NAMES), st.just("")),
)


def change(what: str, path: str, text: str) -> None:
    """Does something to a file."""
    file = Path(path)
    if what == "write":
        file.write_text(text)
    elif what == "remove":
        file.unlink(missing_ok=True)
    elif file.exists():
        os.utime(file)


def scripts_run(flow: Flow) -> int:
    """Returns how many scripts ran since it was last asked."""
    found = sum(event.verb == "Run" and event.fullname == "redun.script" for event in flow.watcher.events)
    flow.watcher.events.clear()
    return found


def contents(value: Any) -> list[tuple[str, str]]:
    """Returns the paths of files and what is in them."""
    return [(file.path, file.read()) for file in value]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(PLANS, CHANGES), min_size=1, max_size=4), st.sampled_from(["whole", "step"]))
def test_a_run_with_a_store_gives_what_one_without_gives(rounds: list[tuple[Any, Any]], replay: Any):
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        flow = stack.enter_context(flow_in(folder, stack.enter_context(Store.memory())))
        flow.replay = replay
        flow.load(WORKFLOW)
        for path in NAMES[:2]:
            Path(path).write_text("0\n")
        for plan, what in rounds:
            change(*what)
            note(f"{what}, then {plan}")
            given_ = contents(flow(f"main({plan!r})"))
            scripts_run(flow)
            assert contents(flow(f"main({plan!r})")) == given_
            assert scripts_run(flow) == 0
            with Store.memory() as empty:
                for path in NAMES[2:]:
                    Path(path).unlink(missing_ok=True)
                cold = Scheduler(empty).run(flow.expression(f"main({plan!r})"))
            assert contents(cold) == given_
