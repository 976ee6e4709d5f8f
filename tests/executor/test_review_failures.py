"""What is recorded of jobs that fail together."""

from __future__ import annotations

from redun.core.objects import CallRecord, Outcome
from tests.executor.flows import Flow

TEXT = """
@task()
def fail(n):
    raise ValueError(n)

@task()
def main():
    return [fail(1), fail(1), fail(n=1)]
"""


def test_calls_that_share_a_failure_are_all_children_of_their_caller(flow: Flow):
    flow.load(TEXT)
    flow.execute()
    ((_, execution),) = list(flow.store.executions())
    assert execution.root is not None
    call = CallRecord.parse(bytes(flow.store.get(execution.root)[1]))
    assert call.outcome is Outcome.RAISED
    assert len(call.children) == 3
    assert len(set(call.children)) == 1
    assert None not in call.children
