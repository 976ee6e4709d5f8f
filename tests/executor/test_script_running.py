"""Commands under way: what they write is read, and nothing that they have started outlives them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from redun.core.errors import Interrupted
from redun.executor.pools.attended import Attended
from redun.executor.scripting import running
from redun.executor.scripting.guardian import guardian
from redun.executor.scripting.lines import SHOWN_BYTES, Lines
from redun.executor.scripting.running import STDERR_BYTES, run_command
from tests.executor.ends import WAIT, is_alive, until_gone


def bash(text: str, keeps: bool = True) -> running.Ended:
    return run_command(["bash", "-c", text], keeps=keeps)


def test_what_a_command_writes_and_its_exit_code_are_told():
    assert bash("echo out; echo err >&2; exit 3") == (3, b"out\n", b"err\n", 0, False)


def test_a_signal_that_ended_it_is_a_negative_code():
    assert bash("kill -9 $$").code == -signal.SIGKILL


def test_a_command_that_reads_its_input_finds_it_at_its_end():
    assert bash("cat; read line || echo nothing").stdout == b"nothing\n"


def test_a_command_has_no_terminal_to_wait_at():
    assert bash("exec 2>/dev/null; : < /dev/tty || echo none").stdout == b"none\n"


def test_it_runs_in_the_directory_that_is_named(tmp_path: Path):
    assert run_command(["pwd"], str(tmp_path)).stdout == os.fsencode(tmp_path) + b"\n"


def test_what_is_left_in_the_background_has_a_moment_to_end_and_is_heard(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(running, "GRACE_SECONDS", WAIT)
    assert bash("echo x > >(cat; sleep 0.1; echo late)").stdout == b"x\nlate\n"


def test_what_is_left_in_the_background_with_the_output_open_is_killed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(running, "GRACE_SECONDS", 0.1)
    begin = time.monotonic()
    ended = bash("sleep 60 & echo $!")
    assert time.monotonic() - begin < WAIT
    assert until_gone(int(ended.stdout))


def test_what_is_left_in_the_background_and_writes_nothing_is_killed_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(running, "GRACE_SECONDS", WAIT)
    begin = time.monotonic()
    ended = bash("sleep 60 > /dev/null 2>&1 & echo $!")
    assert time.monotonic() - begin < running.GRACE_SECONDS
    assert until_gone(int(ended.stdout))


def test_what_made_a_session_of_its_own_is_left_alone_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(running, "GRACE_SECONDS", 0.1)
    up = tmp_path / "up"
    ended = bash(f"setsid sh -c 'echo $$; touch {up}; exec sleep 60' & until test -e {up}; do sleep 0.01; done")
    daemon = int(ended.stdout)
    assert is_alive(daemon)
    os.kill(daemon, signal.SIGKILL)


def test_a_command_that_closes_its_output_is_waited_for():
    assert bash("exec >&- 2>&-; sleep 0.1; exit 4").code == 4


def test_a_system_that_tells_no_ends_is_asked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(running, "_watch", lambda _: -1)
    assert bash("exec >&- 2>&-; sleep 0.1; exit 4").code == 4
    assert bash("echo x").stdout == b"x\n"


def test_64_mb_of_output_are_kept_whole():
    ended = bash("head -c 64M /dev/zero")
    assert ended.stdout == bytes(64 << 20)


def test_more_output_than_can_be_kept_ends_the_command(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(running, "STDOUT_BYTES", 1 << 20)
    ended = bash("echo $$ >&2; yes")
    assert (ended.flooded, ended.code, ended.stdout) == (True, -signal.SIGKILL, b"")
    assert not is_alive(int(ended.stderr))


def test_output_that_nobody_wants_is_read_away_whatever_there_is():
    ended = bash("head -c 64M /dev/zero", keeps=False)
    assert (ended.code, ended.stdout) == (0, b"")


def test_of_standard_error_the_end_is_kept():
    ended = bash("head -c 300000 /dev/zero >&2; echo end >&2")
    assert len(ended.stderr) == STDERR_BYTES
    assert ended.stderr.endswith(b"\0end\n")
    assert ended.left_out == 300_004 - STDERR_BYTES


def test_lines_are_said_while_it_runs():
    said: list[str] = []
    assert Attended(bash, said.extend)("printf 'one\\ntwo\\n'; echo three >&2; printf four", keeps=False).code == 0
    assert sorted(said) == ["four", "one", "three", "two"]


def test_standard_output_that_is_kept_is_not_said():
    said: list[str] = []
    Attended(bash, said.extend)("echo out; echo err >&2")
    assert said == ["err"]


def test_a_command_is_told_to_end_and_may_clean_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(running, "GRACE_SECONDS", WAIT)
    heard = threading.Event()
    body = Attended(bash, lambda lines: heard.set())
    found: list[running.Ended] = []
    thread = threading.Thread(
        target=lambda: found.append(body("trap 'echo bye; exit 5' TERM; echo up >&2; sleep 60 & wait"))
    )
    thread.start()
    assert heard.wait(WAIT)
    body.stop()
    thread.join(WAIT)
    assert [(ended.code, ended.stdout) for ended in found] == [(5, b"bye\n")]


def test_a_command_that_will_not_end_is_killed_with_all_its_children(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(running, "GRACE_SECONDS", 0.1)
    heard: list[str] = []
    up = threading.Event()

    def hear(lines: list[str]) -> None:
        heard.extend(lines)
        up.set()

    body = Attended(bash, hear)
    found: list[running.Ended] = []
    text = "trap '' TERM; sleep 60 & echo $! >&2; wait; wait; sleep 60"
    thread = threading.Thread(target=lambda: found.append(body(text)))
    thread.start()
    assert up.wait(WAIT)
    body.stop()
    thread.join(WAIT)
    assert [ended.code for ended in found] == [-signal.SIGKILL]
    assert until_gone(int(heard[0]))


def test_a_command_that_was_to_stop_before_it_began_never_does(tmp_path: Path):
    body = Attended(bash)
    body.stop()
    with pytest.raises(Interrupted):
        body(f"touch {tmp_path}/begun; sleep 60")


def test_an_error_while_it_runs_ends_it(tmp_path: Path):
    def fail(lines: list[str]) -> None:
        raise OSError(f"nobody hears {lines[0]}")

    with pytest.raises(OSError, match="nobody hears") as raised:
        Attended(bash, fail)("echo $$ >&2; sleep 60")
    assert until_gone(int(str(raised.value).split()[-1]))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_command_does_not_outlive_its_process_however_that_ends(number: signal.Signals):
    code = (
        "import sys; from redun.executor.pools.attended import Attended; "
        "from redun.executor.scripting.running import run_command; "
        "Attended(run_command, lambda lines: print(*lines, flush=True))"
        "(['bash', '-c', 'trap \"\" TERM; sleep 60 & echo $! >&2; wait; sleep 60'])"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.send_signal(number)
        process.wait(WAIT)
    assert until_gone(child)


def test_a_command_may_clean_up_when_its_process_was_killed(tmp_path: Path):
    code = (
        "import sys; from redun.executor.pools.attended import Attended; "
        "from redun.executor.scripting.running import run_command; "
        "Attended(run_command, lambda lines: print(*lines, flush=True))"
        "(['bash', '-c', 'trap \"touch cleaned; exit\" TERM; echo $$ >&2; sleep 60 & wait'])"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        shell = int(process.stdout.readline())
        process.kill()
        process.wait(WAIT)
    assert until_gone(shell)
    assert (tmp_path / "cleaned").exists()


def test_a_guardian_that_was_killed_is_replaced():
    bash("true")
    first = guardian.pid
    os.kill(first, signal.SIGKILL)
    assert until_gone(first)
    assert bash("true").code == 0
    assert guardian.pid != first
    assert is_alive(guardian.pid)


# -- lines ------------------------------------------------------------------------------------------------------------


def test_lines_come_whole_however_the_bytes_come():
    lines = Lines()
    assert lines.feed(b"one\ntw") == ["one"]
    assert lines.feed(b"o\n\n") == ["two", ""]
    assert lines.end() == []
    assert lines.feed(b"rest") == []
    assert lines.end() == ["rest"]


def test_of_a_progress_bar_its_last_state_is_a_line():
    assert Lines().feed(b"10 %\r50 %\r100 %\r\n") == ["100 %"]


def test_bytes_that_are_no_text_are_shown_as_such():
    assert Lines().feed(b"\xff\xc3\xa9\n") == ["\\xff\u00e9"]


def test_a_line_without_end_is_shown_in_pieces():
    found = Lines().feed(b"x" * 10_000)
    assert [len(line) for line in found] == [4096, 4096]


def test_what_is_shown_of_a_stream_has_an_end():
    lines = Lines()
    found = [line for _ in range(3 * SHOWN_BYTES // 1000) for line in lines.feed(b"y" * 999 + b"\n")]
    assert found[-1] == "(what follows of this stream is not shown)"
    assert found.count(found[-1]) == 1
    assert sum(map(len, found)) <= SHOWN_BYTES + 2000
    assert lines.end() == []
