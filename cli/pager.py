"""Long output: through a pager on a terminal, as it is anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import chain, islice

from redun.cli.colors import is_terminal
from redun.cli.context import Settings, write_out

#: Lines written at a time where nobody waits for each.
_CHUNK = 200


def write_lines(lines: Iterable[str], found: Settings) -> None:
    """Writes lines to standard output; on a terminal that they do not fit on, through the user's pager."""
    rest = iter(lines)
    if is_terminal(sys.stdout):
        from shutil import get_terminal_size  # here, as the pager: a pipe needs neither

        screen = list(islice(rest, max(get_terminal_size().lines - 1, 1)))
        following = next(rest, None)
        if following is not None:
            _page(chain(screen, [following], rest), found)
            return
        rest = iter(screen)
    while chunk := list(islice(rest, _CHUNK)):
        write_out("\n".join(chunk) + "\n")


def _page(lines: Iterable[str], found: Settings) -> None:
    import click

    colored = found.colors(sys.stdout)
    rest = iter(lines)
    # click itself ends the text with a line break
    click.echo_via_pager(chain(islice(rest, 1), (f"\n{line}" for line in rest)), color=colored or None)
