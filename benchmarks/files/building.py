"""The example `compile`, on programs of more sources, beside `make`."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.files.contest import OURS, Contestant, Steps, contest, nothing, touch
from benchmarks.measure import ROOT, Bench, Figure, redun_command

_EXAMPLE: Final = ROOT / "examples" / "compile"
_PROGRAMS: Final = 5
_FUNCTIONS: Final = 40
#: What the tasks of the example do, as a Makefile does it best: gcc writes down the headers as it compiles.
_MAKEFILE: Final = """CFLAGS = -Wall -O2
all: {programs}
%.o: %.c
\tgcc $(CFLAGS) -MMD -c $< -o $@
{links}
-include $(wildcard *.d)
"""


def building(bench: Bench) -> Iterator[Figure]:
    """Builds programs; then there is nothing to do; then something is edited or touched."""
    missing = [tool for tool in ("gcc", "make") if shutil.which(tool) is None]
    if missing:
        print(f"left out: {', '.join(missing)} not installed")
        return
    jobs = str(os.cpu_count() or 2)
    ours = Contestant(OURS, [*redun_command(), "-q", "run", "-j", jobs, "make.py", "main"], "p0")
    make = Contestant("make", ["make", "-s", "-j", jobs], "p0")
    for sources in (10, bench.size(100, 20)):
        what = f"C, {sources} sources in {_PROGRAMS} programs"
        steps: Steps = {
            "cold": nothing,
            "warm": nothing,
            "a source edited": _edit_source,
            "all touched": _touch,
            "a comment in the header": _comment,
        }
        yield from contest(
            bench, f"make.{sources}", what, lambda place, n=sources: _project(place, n), steps, [ours, make]
        )  # type: ignore[misc]


def _project(place: Path, sources: int) -> None:
    """Writes sources, the Makefile, and the program of the example with these sources in it."""
    each = sources // _PROGRAMS
    programs = {f"p{p}": [f"p{p}.c", *(f"u{p * each + u}.c" for u in range(each - 1))] for p in range(_PROGRAMS)}
    (place / "common.h").write_text("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#define N 1\n")
    for name, files in programs.items():
        units = [file.removesuffix(".c") for file in files[1:]]
        for unit in units:
            (place / f"{unit}.c").write_text(_unit(unit))
        declared = "".join(f"int {unit}(int x);\n" for unit in units)
        calls = " + ".join(["N", *(f"{unit}(N)" for unit in units)])
        main = f'int main(void) {{ printf("%d\\n", {calls}); return 0; }}\n'
        (place / f"{name}.c").write_text(f'#include "common.h"\n{declared}{main}')
    links = [
        f"{name}: {' '.join(file.replace('.c', '.o') for file in files)}\n\tgcc $(CFLAGS) $^ -o $@"
        for name, files in programs.items()
    ]
    (place / "Makefile").write_text(_MAKEFILE.format(programs=" ".join(programs), links="\n".join(links)))
    program, replaced = re.subn(
        r"^PROGRAMS = .*$", f"PROGRAMS = {programs!r}", (_EXAMPLE / "make.py").read_text(), flags=re.MULTILINE
    )
    assert replaced == 1
    (place / "make.py").write_text(program)


def _unit(name: str) -> str:
    """A source that takes gcc some time."""
    functions = [
        f'static int f{at}(int x) {{ char b[64]; snprintf(b, sizeof b, "%d", x * {at + 3}); '
        f"for (int i = 0; i < x; i++) x += (int) strlen(b) ^ atoi(b + i % 2); return x; }}\n"
        for at in range(_FUNCTIONS)
    ]
    body = " + ".join(f"f{at}(x)" for at in range(_FUNCTIONS))
    return f'#include "common.h"\n{"".join(functions)}int {name}(int x) {{ return {body}; }}\n'


def _edit_source(place: Path) -> None:
    source = place / "p0.c"
    source.write_text(source.read_text().replace("%d\\n", "%d!\\n"))


def _touch(place: Path) -> None:
    for path in place.glob("*.[ch]"):
        touch(path)


def _comment(place: Path) -> None:
    header = place / "common.h"
    header.write_text("/* What all sources include. */\n" + header.read_text())
