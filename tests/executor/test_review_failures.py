"""What is recorded of jobs that fail together."""

from __future__ import annotations

from redun.core.objects import CallRecord, JobsRecord, Outcome, Status, job_id
from redun.executor.observer import JobEvent
from tests.executor.flows import Flow, Watcher

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


BESIDE = """
import threading

began, failed = threading.Event(), threading.Event()

@task()
def fail():
    began.wait(60)
    raise ValueError("stop")

@task()
def last():
    began.set()
    failed.wait(60)
    return 1

@task()
def add(x):
    return x + 1

@task()
def beside():
    return add(last())

@task()
def main():
    return [fail(), beside(), beside()]
"""


class _Releasing(Watcher):
    """Lets `last` end once the failure has reached the root."""

    def __init__(self, flow: Flow) -> None:
        super().__init__()
        self._flow = flow

    def job(self, event: JobEvent) -> None:
        super().job(event)
        if event.verb == "Reject" and event.fullname == "main":
            vars(self._flow.module)["failed"].set()


def test_who_waits_for_others_when_the_run_fails_is_in_the_history(flow: Flow):
    flow.load(BESIDE)
    flow.watcher = _Releasing(flow)
    execution = flow.execute()
    assert execution.status is Status.FAILED
    told = {event.id for event in flow.watcher.events}
    ((_, record),) = list(flow.store.executions())
    rows = [row for page in record.pages for row in JobsRecord.parse(bytes(flow.store.get(page)[1])).rows]
    uuid = bytes.fromhex(execution.uuid.replace("-", ""))
    assert told <= {job_id(flow.store.format.hash, uuid, row.number).hex() for row in rows}
    assert {row.parent for row in rows} <= {row.number for row in rows} | {-1}
    assert [row.status for row in rows].count(Status.CANCELLED) == 2
