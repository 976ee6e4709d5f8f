"""What later runs are answered with where a failure was handled: never with what is not so any more."""

from __future__ import annotations

import pytest

from redun.executor.accepted import accept, withdraw
from tests.executor.flows import Flow

IMPORTS = "from redun.core.functional import catch, cond\nfrom redun.core.context import get_context\n"
FLOW = (
    IMPORTS
    + """
@task()
def read(path):
    ran("read", path)
    with open(path) as file:
        return file.read()

@task()
def recover(error):
    ran("recover", type(error).__name__)
    return "nothing"

@task()
def main():
    return catch(read("data.txt"), FileNotFoundError, recover)
"""
)

FAILING = (
    IMPORTS
    + """
@task()
def inner(x):
    ran("inner", x)
    raise ValueError(x)

@task()
def recover(error):
    ran("recover", str(error))
    return "recovered from " + str(error)

@task()
def main(x=1):
    return catch(inner(x), ValueError, recover)
"""
)


def test_a_file_whose_absence_was_caught_is_read_once_it_is_there(flow: Flow):
    flow.load(FLOW)
    assert flow() == "nothing"
    (flow.folder / "data.txt").write_text("here")
    flow.reload()
    assert flow() == "here"
    assert flow.ran == ["read data.txt"]


def test_what_failed_and_was_edited_fails_succeeds_and_fails_again_as_its_code_says(flow: Flow):
    flow.load(FAILING)
    assert flow() == "recovered from 1"
    flow.edit("raise ValueError(x)", "return x")
    assert flow() == 1
    assert flow.ran == ["inner 1"], "the recovery is not asked for"
    flow.edit("    return x\n", "    raise ValueError(x)\n")
    assert flow() == "recovered from 1"
    assert flow.ran == [], "both the error and what recovers from it are remembered"


def test_accepted_code_under_a_catch_keeps_the_error_and_its_withdrawal_runs_the_body(flow: Flow):
    flow.load(FAILING)
    assert flow() == "recovered from 1"
    module = flow.edit("raise ValueError(x)", "return x")
    accept(flow.store, module.inner, "somebody")
    assert flow() == "recovered from 1"
    assert flow.ran == []
    withdraw(flow.store, module.inner)
    flow.reload()
    assert flow() == 1
    assert flow.ran == ["inner 1"]


def test_an_error_is_remembered_in_the_context_in_which_it_was_raised(flow: Flow):
    text = FAILING.replace("def inner(x):", "def inner(x, wanted=get_context('wanted', 1)):")
    flow.load(text.replace("raise ValueError(x)", "if wanted == 1: raise ValueError(x)\n    return wanted"))
    for wanted, expected in ((1, "recovered from 1"), (2, 2), (1, "recovered from 1"), (2, 2)):
        execution = flow.execute(context={"wanted": wanted})
        assert execution.value == expected
    assert flow.ran == []


def test_an_error_of_another_class_is_caught_anew_after_an_edit_of_the_classes(flow: Flow):
    flow.load(FAILING.replace("inner(x), ValueError", "inner(x), KeyError"))
    with pytest.raises(ValueError, match="1"):
        flow()
    flow.load(FAILING)
    assert flow() == "recovered from 1"
    flow.load(FAILING.replace("inner(x), ValueError", "inner(x), KeyError"))
    with pytest.raises(ValueError, match="1"):
        flow()


def test_a_failure_shared_by_a_catch_and_a_strict_path_fails_the_run_and_is_run_anew(flow: Flow):
    flow.load(FAILING)
    flow()
    flow.edit(
        "return catch(inner(x), ValueError, recover)",
        "failing = inner(x)\n    return [catch(failing, ValueError, recover), failing]",
    )
    with pytest.raises(ValueError, match="1"):
        flow()
    assert "inner 1" in flow.ran


def test_counts_of_a_run_that_handled_failures_add_up(flow: Flow):
    flow.load(FAILING)
    for _ in range(2):
        execution = flow.execute("[main(1), main(2), catch(main(3), KeyError, recover)]")
        counts = {count.fullname: count for count in execution.counts}
        assert all(count.pending == count.running == 0 for count in execution.counts)
        assert (counts["main"].total, counts["inner"].total, counts["recover"].total) == (3, 3, 3)
