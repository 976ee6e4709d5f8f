"""The command itself: commands found by name, errors as one line with an exit code, streams that close."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from redun.cli import app, exits
from redun.cli.app import COMMANDS, main
from redun.core import errors
from redun.core.errors import RedunError
from redun.core.version import VERSION

Capture = pytest.CaptureFixture[str]


def redun(*words: str, cwd: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    """Runs the real command in a process of its own."""
    import os

    command = [sys.executable, "-m", "redun.cli.app", *words]
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **environ}, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Adds a command `try` to the table that does what it is given."""

    def add(body: Callable[[], object]) -> None:
        monkeypatch.setattr(app, "_tried", click.command("try")(body), raising=False)
        monkeypatch.setitem(COMMANDS, "try", ("redun.cli.app", "_tried", "Try."))

    return add


# -- finding commands -------------------------------------------------------------------------------------------------


def test_help_lists_every_command_and_the_exit_codes(capsys: Capture) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in COMMANDS:
        assert f"  {name} " in text
    for code, meaning in exits.EXIT_CODES:
        assert f"{code}  {meaning}" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_in_the_table_is_the_commands_own(name: str) -> None:
    module, function, line = COMMANDS[name]
    command = getattr(importlib.import_module(module), function)
    assert command.name == name
    assert command.get_short_help_str(limit=100) == line


@pytest.mark.parametrize("name", COMMANDS)
def test_help_with_a_commands_name_shows_the_help_of_that_command(name: str, capsys: Capture) -> None:
    assert main([name, "--help"]) == 0
    own = capsys.readouterr().out
    assert main(["help", name]) == 0
    assert capsys.readouterr().out == own
    assert own.startswith(f"Usage: redun {name} ")


def test_help_tells_the_exit_codes(capsys: Capture) -> None:
    assert main(["help", "exit-codes"]) == 0
    assert capsys.readouterr().out == exits.exit_code_table() + "\n"


def test_no_command_shows_the_help_as_a_mistake(capsys: Capture) -> None:
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("Usage: redun")


def test_version(capsys: Capture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"redun :: version {VERSION}\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["rum"], "redun: error: no command 'rum'; did you mean run?\n"),
        (["zzzzzz"], "redun: error: no command 'zzzzzz'; redun --help lists them\n"),
        (["help", "rum"], "redun: error: no command 'rum'; did you mean run?\n"),
        (["--colour"], "redun: error: no option --colour; did you mean --color?\n"),
        (["init", "--objectformat"], "redun: error: no option --objectformat; did you mean --object-format?\n"),
        (["init", "a", "b"], "redun: error: got unexpected extra argument (b); see redun init --help\n"),
    ],
)
def test_a_slip_names_the_closest_and_is_one_line(words: list[str], line: str, capsys: Capture) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.err == line
    assert captured.out == ""


# -- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (exits.UsageError("x"), 2),
        (errors.NotAStore("x"), 3),
        (errors.NotFound("x"), 3),
        (errors.AmbiguousPrefix("x", candidates=[]), 3),
        (errors.UnknownTask("x"), 3),
        (errors.StoreFormatError("x"), 4),
        (errors.StoreFull("x"), 5),
        (errors.StoreReadOnly("x"), 5),
        (errors.StoreLocked("x"), 5),
        (errors.RefMoved("x"), 5),
        (errors.StoreDamaged("x"), 6),
        (errors.DigestCollision("x"), 6),
        (errors.MalformedObject("x"), 6),
        (errors.Interrupted("x"), 130),
        (errors.UnknownExecutor("x"), 7),
        (errors.InternalError("x"), 7),
        (errors.DuplicateTask("x"), 1),
        (errors.CannotEncode("x"), 1),
    ],
)
def test_each_family_of_errors_has_its_exit_code(
    error: RedunError, code: int, command: Callable[..., None], capsys: Capture
) -> None:
    def fail() -> None:
        raise error

    command(fail)
    assert main(["try"]) == code == exits.exit_code(error)
    assert capsys.readouterr().err.splitlines()[0] == "redun: error: x"
    assert code in dict(exits.EXIT_CODES)


def test_every_error_of_redun_has_a_documented_code() -> None:
    families = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, RedunError)]
    assert len(families) > 20
    for kind in families:
        assert exits.exit_code(kind.__new__(kind)) in dict(exits.EXIT_CODES)


def test_the_hint_follows_the_message_and_neither_moves_the_cursor(
    command: Callable[..., None], capsys: Capture
) -> None:
    def fail() -> None:
        raise errors.NotFound("no \x1b[31mthing\nhere", hint="look\relsewhere")

    command(fail)
    main(["try"])
    assert capsys.readouterr().err == "redun: error: no \\x1b[31mthing\\nhere; look\\relsewhere\n"


def test_a_mistake_of_ours_is_called_one_and_shows_no_frames(command: Callable[..., None], capsys: Capture) -> None:
    def fail() -> None:
        raise ZeroDivisionError("oops")

    command(fail)
    assert main(["try"]) == 7
    text = capsys.readouterr().err
    assert text == "redun: error: ZeroDivisionError: oops\nredun: this is a bug in redun; -v shows where\n"


@pytest.mark.parametrize("how", ["option", "environment"])
def test_frames_of_ours_are_shown_when_asked_for(
    how: str, command: Callable[..., None], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise ZeroDivisionError("oops")

    command(fail)
    if how == "environment":
        monkeypatch.setenv("REDUN_DEBUG", "1")
    assert main(["try"] if how == "environment" else ["-v", "try"]) == 7
    assert "Traceback (most recent call last):" in capsys.readouterr().err


def test_an_error_of_the_operating_system_is_no_bug(command: Callable[..., None], capsys: Capture) -> None:
    def fail() -> None:
        raise PermissionError(13, "Permission denied", "/x")

    command(fail)
    assert main(["try"]) == 7
    assert capsys.readouterr().err == "redun: error: Permission denied: /x\n"


def test_an_interrupt_is_a_line_and_130(command: Callable[..., None], capsys: Capture) -> None:
    def fail() -> None:
        raise KeyboardInterrupt

    command(fail)
    assert main(["try"]) == 130
    assert capsys.readouterr().err.strip() == "redun: interrupted"


def test_a_command_may_return_its_exit_code(command: Callable[..., None]) -> None:
    command(lambda: 11)
    assert main(["try"]) == 11


# -- the process ------------------------------------------------------------------------------------------------------


def test_a_reader_that_has_gone_is_silent() -> None:
    script = f"{sys.executable} -m redun.cli.app --help | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert done.returncode == 0


def test_closed_streams_are_no_error() -> None:
    script = f"{sys.executable} -m redun.cli.app --help >&- 2>&-"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_output_that_is_full_is_an_error() -> None:
    script = f"{sys.executable} -m redun.cli.app --help > /dev/full"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 7
    assert done.stderr == "redun: error: No space left on device\n"


HEAVY = ("asyncio", "rich", "numpy", "importlib.metadata", "msgpack", "lmdb", "redun.executor", "redun.store.store")


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["help", "exit-codes"], ["run", "--help"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    code = f"import sys; from redun.cli.app import main; main({words!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stdout.split())
    assert not [name for name in HEAVY if name in loaded]


def test_colors_of_errors_follow_the_options() -> None:
    assert "\x1b[" not in redun("rum").stderr
    assert "\x1b[" in redun("--color", "always", "rum").stderr
    assert "\x1b[" in redun("rum", FORCE_COLOR="1").stderr
    assert "\x1b[" not in redun("rum", FORCE_COLOR="1", NO_COLOR="1").stderr
