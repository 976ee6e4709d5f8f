"""The example of a tool that is built on the store: a build cache, run with the real gcc."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from redun.store import Store

PROGRAM = Path(__file__).resolve().parents[2] / "examples" / "build_cache" / "build_cache.py"
Run = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")

LIB = """#include "lib.h"
int f(int x) { int unused; return x + N; }
"""
MAIN = """#include <stdio.h>
int f(int);
int main(void) { printf("%d\\n", f(1)); return 0; }
"""


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a small program, and an empty cache beside it."""
    monkeypatch.setenv("BUILD_CACHE", str(tmp_path / "cache"))
    place = tmp_path / "project"
    place.mkdir()
    for name, text in (("lib.h", "#define N 3\n"), ("lib.c", LIB), ("main.c", MAIN)):
        (place / name).write_text(text)
    return place


@pytest.fixture
def cache(sources: Path) -> Run:
    """Runs the program there."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, PROGRAM, *words]
        return subprocess.run(command, cwd=sources, capture_output=True, text=True, check=False)

    return run


def _stats(cache: Run) -> tuple[int, ...]:
    """Hits, misses, passed through, results kept."""
    text = cache("--stats").stdout
    found = re.match(
        r"(\d+) hits, (\d+) misses, (\d+) passed through; [\d.]+ s of compiling saved\n(\d+) results", text
    )
    assert found is not None, text
    return tuple(map(int, found.groups()))


def test_a_source_is_compiled_once_and_then_given_again_with_its_warnings(cache: Run, sources: Path) -> None:
    command = ("gcc", "-Wall", "-O2", "-c", "lib.c", "-o", "lib.o")
    first = cache(*command)
    bytes_then = (sources / "lib.o").read_bytes()
    (sources / "lib.o").unlink()
    second = cache(*command)
    assert (first.returncode, second.returncode) == (0, 0)
    assert "unused variable" in first.stderr
    assert second.stderr == first.stderr
    assert (sources / "lib.o").read_bytes() == bytes_then
    assert _stats(cache) == (1, 1, 0, 1)


def test_what_was_given_again_links_and_runs(cache: Run, sources: Path) -> None:
    for _ in range(2):
        assert cache("gcc", "-c", "main.c").returncode == 0
        assert cache("gcc", "-c", "lib.c").returncode == 0
        assert cache("gcc", "main.o", "lib.o", "-o", "program").returncode == 0
        assert subprocess.run(["./program"], cwd=sources, capture_output=True, check=True).stdout == b"4\n"
    assert _stats(cache) == (2, 2, 2, 2)


def test_a_header_an_option_and_a_macro_change_the_answer_and_going_back_finds_it(cache: Run, sources: Path) -> None:
    command = ("gcc", "-c", "lib.c", "-o", "lib.o")
    cache(*command)
    plain = (sources / "lib.o").read_bytes()
    (sources / "lib.h").write_text("#define N 4\n")
    cache(*command)
    assert (sources / "lib.o").read_bytes() != plain
    cache(*command, "-O2")
    cache(*command, "-Dunused=used")
    assert _stats(cache)[:2] == (0, 4)
    (sources / "lib.h").write_text("#define N 3\n")
    cache(*command)
    assert (sources / "lib.o").read_bytes() == plain
    assert _stats(cache)[:2] == (1, 4)


def test_equal_object_files_are_kept_once(cache: Run, sources: Path) -> None:
    (sources / "a.c").write_text("int f(void) { return 1; }\n")
    (sources / "b.c").write_text("int f(void) { return 0 + 1; }\n")
    cache("gcc", "-fno-ident", "-c", "a.c")
    cache("gcc", "-fno-ident", "-c", "b.c")
    same = (sources / "a.o").read_bytes() == (sources / "b.o").read_bytes()
    with Store.open(sources.parent / "cache" / "current", read_only=True) as store:
        assert len(list(store.objects("build-cache.result"))) == 2
        assert len(list(store.objects("blob"))) == (1 if same else 2)


@pytest.mark.parametrize("words", [["-MD"], ["--coverage"], ["-fprofile-generate"], ["-march=native"], ["-S"]])
def test_what_it_does_not_know_runs_as_without_it(cache: Run, sources: Path, words: list[str]) -> None:
    for _ in range(2):
        assert cache("gcc", *words, "-c", "lib.c").returncode == 0
    assert _stats(cache) == (0, 0, 2, 0)
    assert len(list(sources.iterdir())) > 3


def test_a_source_with_an_error_fails_each_time_as_the_compiler_does(cache: Run, sources: Path) -> None:
    (sources / "bad.c").write_text("int f( {\n")
    (sources / "missing.c").write_text('#include "nowhere.h"\n')
    for name in ("bad.c", "missing.c"):
        for _ in range(2):
            done = cache("gcc", "-c", name)
            assert done.returncode == 1
            assert "error:" in done.stderr
    assert _stats(cache)[3] == 0


def test_builds_at_once_lose_neither_results_nor_counts(sources: Path, cache: Run) -> None:
    for number in range(4):
        (sources / f"s{number}.c").write_text(f"int f(void) {{ return {number}; }}\n")
    for _ in range(2):
        commands = [[sys.executable, PROGRAM, "gcc", "-c", f"s{number % 4}.c"] for number in range(8)]
        builds = [subprocess.Popen(command, cwd=sources, stderr=subprocess.PIPE) for command in commands]
        assert [(build.communicate()[1], build.returncode) for build in builds] == [(b"", 0)] * 8
    hits, misses, passed, kept = _stats(cache)
    assert (hits + misses, passed, kept) == (16, 0, 4)
    assert hits >= 8


def test_prune_keeps_the_newest_and_gives_back_the_rest(cache: Run, sources: Path) -> None:
    for number in range(5):
        (sources / f"s{number}.c").write_text(f"int f{number}(void) {{ return {number}; }}\n")
        cache("gcc", "-c", f"s{number}.c")
    size = (sources / "s4.o").stat().st_size
    before = set(os.listdir(sources.parent / "cache"))
    assert cache("prune", "--megabytes", str(2.5 * size / 1e6)).stdout == "kept 2 of 5 results\n"
    after = set(os.listdir(sources.parent / "cache"))
    assert before & after == {"current"}
    assert len(after) == 2
    assert _stats(cache) == (0, 5, 0, 2)
    for number in (4, 3, 0):
        cache("gcc", "-c", f"s{number}.c")
    assert _stats(cache) == (2, 6, 0, 3)
    assert cache("prune", "--days", "0").stdout == "kept 0 of 3 results\n"
    with Store.open(sources.parent / "cache" / "current") as store:
        assert list(store.check()) == []


def test_a_cache_that_cannot_be_used_does_not_break_the_build(
    cache: Run, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sources / "file").write_text("")
    monkeypatch.setenv("BUILD_CACHE", str(sources / "file"))
    done = cache("gcc", "-c", "lib.c")
    assert (done.returncode, (sources / "lib.o").exists()) == (0, True)
    assert done.stderr.startswith("build_cache: ")
    monkeypatch.setenv("BUILD_CACHE", str(sources / "cache"))
    cache("gcc", "-c", "lib.c")
    (sources / "cache" / "current").write_text("nowhere\n")
    done = cache("gcc", "-c", "lib.c")
    assert done.returncode == 0
    assert "where there is no store" in done.stderr


def test_only_the_public_face_of_the_store_is_used() -> None:
    imported = re.findall(r"^\s*(?:from|import) (redun\S*)", PROGRAM.read_text(), re.MULTILINE)
    assert imported == ["redun.store"]


def test_without_a_command_it_says_how_it_is_used(cache: Run) -> None:
    done = cache()
    assert done.returncode == 2
    assert done.stderr.startswith("usage: ")
