"""Secrets over several runs: what is answered, what runs again, what the store holds. Both ways of replaying."""

from __future__ import annotations

from pathlib import Path

import pytest

from redun.core.objects import Status
from redun.executor.scheduler import Scheduler
from redun.store import secret_key
from tests.executor.flows import Flow
from tests.secrecy import forget_secrets, forgets_secrets

pytestmark = pytest.mark.usefixtures("forgets_secrets")
__all__ = ["forgets_secrets"]

WORKFLOW = """
from pathlib import Path
from redun.core.secrets import Hidden, Secret

def made_outside():
    return Path("token.txt").read_text()  # nobody names it, as nobody names the environment

@task()
def use(name, token):
    ran("use", name)
    return len(token.reveal())

@task()
def make():
    ran("make")
    return Secret(made_outside())

@task()
def given(token):
    ran("given")
    return use("given", token)

@task()
def main():
    ran("main")
    return use("made", make())

@task()
def inside():
    ran("inside")
    return use("inside", Secret(made_outside()))

@task()
def keep():
    ran("keep")
    return {"token": Secret(made_outside())}

@task()
def fails(token):
    problem = ValueError("bad " + token.reveal(), [token.reveal()])
    problem.token = token.reveal()
    problem.add_note("note " + token.reveal())
    raise problem

@task()
def catches(token):
    return bare(token)

@task()
def bare(text):
    ran("bare", type(text).__name__)
    return len(text)
"""


@pytest.fixture
def flow(flow: Flow) -> Flow:
    (flow.folder / "token.txt").write_text("token-from-outside")
    flow.load(WORKFLOW)
    return flow


def stored(flow: Flow) -> bytes:
    """Returns all bytes of the store's objects."""
    return b"".join(payload for digest, _ in flow.store.executions() for _, _, payload in flow.store.walk([digest]))


def test_a_secret_that_is_given_again_is_answered(flow: Flow):
    assert flow('given(Secret("token-as-given"))') == 14
    assert flow.ran == ["given", "use given"]
    forget_secrets()
    assert flow('given(Secret("token-as-given"))') == 14
    assert flow.ran == []
    assert flow('given(Secret("token-that-is-other"))') == 19
    assert flow.ran == ["given", "use given"]
    assert b"token-as" not in stored(flow)


def test_what_is_answered_step_by_step_gets_the_secret_that_was_given(flow: Flow):
    flow('given(Secret("token-as-given"))')
    forget_secrets()
    flow.edit("return len(token.reveal())", "return [token.reveal()[:5]]")
    assert flow('given(Secret("token-as-given"))') == ["token"]
    assert flow.ran == ["use given"]


def test_a_body_that_makes_a_secret_runs_in_every_run_and_what_uses_it_does_not(flow: Flow):
    assert flow() == 18
    assert flow.ran == ["main", "make", "use made"]
    forget_secrets()
    assert flow() == 18
    assert flow.ran == ["make"]
    (flow.folder / "token.txt").write_text("another-token-outside")
    forget_secrets()
    assert flow() == 21
    assert flow.ran == ["make", "use made"]


def test_a_secret_inside_a_returned_call_makes_the_body_run_again_rather_than_give_a_wrong_value(flow: Flow):
    assert flow("inside()") == 18
    forget_secrets()
    flow.edit("return len(token.reveal())", "return token.reveal().count('o')")
    assert flow("inside()") == "token-from-outside".count("o")
    assert flow.ran == ["inside", "use inside"]


def test_a_result_may_hold_a_secret(flow: Flow):
    assert flow("keep()")["token"].reveal() == "token-from-outside"
    assert flow("keep()")["token"].reveal() == "token-from-outside"
    assert flow.ran == []
    forget_secrets()
    assert flow("keep()")["token"].reveal() == "token-from-outside"
    assert flow.ran == ["keep"]


def test_errors_are_told_and_recorded_without_the_secret(flow: Flow):
    execution = flow.execute('fails(Secret("token-as-given"))')
    assert execution.status is Status.FAILED
    assert execution.trace is not None
    assert execution.trace.summary == "ValueError: ('bad ***', ['***'])"
    assert execution.trace.notes == ("note ***",)
    assert repr(execution.failed[0].args) == "[('token', Secret(***))]"
    assert b"token-as" not in stored(flow)


def test_a_hidden_argument_is_bare_in_the_body_and_a_digest_in_the_record(flow: Flow):
    assert flow('bare(Hidden("text-that-is-hidden"))') == 19
    assert flow.ran == ["bare str"]
    assert repr(flow.watcher.events[-1].args) == "[('text', ***)]"
    forget_secrets()
    assert flow('bare(Hidden("text-that-is-hidden"))') == 19
    assert flow.ran == []
    assert flow('bare("text-that-is-hidden")') == 19
    assert flow.ran == ["bare str"]
    assert b"text-that" in stored(flow)


def test_a_hidden_argument_that_is_handed_on_is_recorded_there(flow: Flow):
    assert flow('catches(Hidden("text-that-is-handed-on"))') == 22
    assert flow.ran == ["bare str"]
    assert b"text-that" in stored(flow)


def test_a_store_that_lost_its_key_answers_nothing_that_was_given_a_secret(flow: Flow):
    flow('given(Secret("token-as-given"))')
    path = flow.store.path
    assert path is not None
    (Path(path) / "secret.key").unlink()
    del secret_key._PASSING[flow.store]
    forget_secrets()
    flow('given(Secret("token-as-given"))')
    assert flow.ran == ["given", "use given"]


def test_a_secret_in_the_command_line_of_a_program_is_masked_in_the_record(flow: Flow):
    scheduler = Scheduler(flow.store)
    scheduler.execute(flow.expression('given(Secret("token-as-given"))'), argv=["program.py", "--token=token-as-given"])
    assert next(flow.store.executions())[1].argv == ("program.py", "--token=***")
