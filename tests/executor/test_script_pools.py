"""Scripts in threads and in worker processes: ended when their time is up, heard while they run."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from redun.core.errors import JobTimeout, ScriptError
from redun.core.objects import Status
from tests.executor.ends import until_gone
from tests.executor.flows import Flow, Watcher

HEADER = """
from redun.executor.scripting.script import script
"""
POOLS = ["threads", "processes"]


class Stopper(Watcher):
    """Stops the run when a script says something."""

    def said(self, job: str, lines: list[str]) -> None:
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("pool", POOLS)
def test_what_a_script_says_is_heard_with_its_job(flow: Flow, pool: str):
    flow.load(
        HEADER
        + f"""
@task()
def main(): return script("echo out; echo err >&2", outputs=None, executor="{pool}")
"""
    )
    flow()
    assert sorted(flow.watcher.said_lines) == ["err", "out"]


@pytest.mark.parametrize("pool", POOLS)
def test_a_script_is_given_what_it_needs_wherever_it_runs(flow: Flow, pool: str):
    flow.load(
        HEADER
        + f"""
@task(script=True, executor="{pool}")
def shout(name): return ["echo", name]
@task()
def main():
    made = script("tr a-z A-Z < in > out", File("data").stage("in"), File("made").stage("out"), True, executor="{pool}")
    return [made, shout("a b")]
"""
    )
    Path("data").write_text("words\n")
    made, said = flow()
    assert (made.read(), said) == ("WORDS\n", b"a b\n")
    assert flow() == [made, said]


@pytest.mark.parametrize("pool", POOLS)
def test_a_script_that_fails_fails_alike_wherever_it_runs(flow: Flow, pool: str):
    flow.load(HEADER + f"@task()\ndef main(): return script('echo no >&2; exit 3', executor='{pool}')")
    with pytest.raises(ScriptError) as raised:
        flow()
    assert (raised.value.returncode, raised.value.stderr) == (3, b"no\n")
    assert raised.value.message == "the script exited with 3: no"


@pytest.mark.parametrize("pool", POOLS)
def test_a_script_whose_time_is_up_is_ended_with_all_it_started(flow: Flow, pool: str):
    flow.load(
        HEADER
        + f"""
@task()
def main(seconds):
    text = "sleep 60 & echo $! > child; echo $$ > shell; wait"
    return script(text, timeout=seconds, executor="{pool}")
"""
    )
    ended = "its processes were ended" if pool == "threads" else "its worker was ended"
    seconds = 0.5
    while not Path("shell").exists():  # where the machine is busy, half a second may be over before a shell has begun
        with pytest.raises(JobTimeout, match=f"timeout of {seconds:g}.*{ended}"):
            flow(f"main({seconds})")
        seconds *= 4
    assert until_gone(int(Path("child").read_text()))
    assert until_gone(int(Path("shell").read_text()))


def test_a_script_whose_time_is_up_is_tried_again(flow: Flow):
    flow.load(
        HEADER
        + """
@task()
def main():
    return script("echo x >> tries; test $(wc -l < tries) = 1 && sleep 60; exit 0", timeout=1, retries=9)
"""
    )
    assert flow() == b""
    assert len(Path("tries").read_text().splitlines()) >= 2


@pytest.mark.parametrize("pool", POOLS)
def test_a_run_that_is_stopped_ends_its_scripts(flow: Flow, pool: str):
    flow.load(
        HEADER
        + f"""
@task()
def main(): return script("sleep 60 & echo $! > child; echo up >&2; wait", executor="{pool}")
"""
    )
    flow.watcher = Stopper()
    assert flow.execute().status is Status.INTERRUPTED
    assert until_gone(int(Path("child").read_text()))


def test_scripts_in_threads_run_side_by_side(flow: Flow):
    flow.load(
        HEADER
        + """
@task()
def main():
    wait = "touch {me}; while test ! -e {other}; do sleep 0.01; done; echo met"
    return [script(wait.format(me="a", other="b")), script(wait.format(me="b", other="a"))]
"""
    )
    assert flow() == [b"met\n", b"met\n"]
