"""The example `word_count`, on more texts, beside doit and Snakemake."""

from __future__ import annotations

import os
import random
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.files.contest import OURS, Contestant, Steps, contest, nothing, touch
from benchmarks.measure import ROOT, Bench, Figure, redun_command
from benchmarks.peer import cache_directory
from benchmarks.stores.environment import environment

_EXAMPLE: Final = ROOT / "examples" / "word_count" / "word_count.py"
_PEERS: Final = Path(__file__).with_name("peers")
_PACKAGES: Final = {"doit": "doit==0.37.0", "Snakemake": "snakemake==8.30.0"}
#: Snakemake starts processes for each job: with more texts there is nothing to learn but patience.
_SNAKEMAKE_TEXTS: Final = 200


def words(bench: Bench) -> Iterator[Figure]:
    """Counts the words of many texts; then there is nothing to do; then one is edited, and all are touched."""
    where = cache_directory() / f"files-py{sys.version_info[0]}.{sys.version_info[1]}"
    python, missing = environment(_PACKAGES.values(), where)
    for package, why in missing.items():
        print(f"{package} could not be installed: {why}")
    jobs = str(os.cpu_count() or 2)
    ours = [*redun_command(), "-q", "run", "-j", jobs, "word_count.py", "main"]
    # Its answer is what it prints; the others write a file.
    contestants = [Contestant(OURS, ["sh", "-c", f"{shlex.join(ours)} > top.txt"], "top.txt")]
    if _PACKAGES["doit"] not in missing:
        contestants.append(Contestant("doit", [str(python.with_name("doit")), "-n", jobs], "top.txt"))
    for texts in (bench.size(200, 20), bench.size(2_000, 50)):
        what = f"words, {texts:,} texts of 10 kB"
        steps: Steps = {"cold": nothing, "warm": nothing, "one edited": _edit, "all touched": _touch}
        with_all = [*contestants]
        if texts <= _SNAKEMAKE_TEXTS and _PACKAGES["Snakemake"] not in missing:
            command = [str(python.with_name("snakemake")), "-q", "all", "--cores", jobs]
            with_all.append(Contestant("Snakemake", command, "top.txt", repeat=2))
        yield from contest(bench, f"words.{texts}", what, lambda place, n=texts: _texts(place, n), steps, with_all)  # type: ignore[misc]


def _texts(place: Path, number: int) -> None:
    dice = random.Random(number)
    lexicon = ["".join(dice.choices("etaoinshrdlu", k=dice.randint(2, 9))) for _ in range(500)]
    (place / "texts").mkdir()
    for at in range(number):
        chosen = dice.choices(lexicon, k=1_600)
        lines = [" ".join(chosen[start : start + 12]) for start in range(0, len(chosen), 12)]
        (place / "texts" / f"{at:05}.txt").write_text("\n".join(lines) + "\n")
    shutil.copy(_EXAMPLE, place)
    for name in ("count_words.py", "dodo.py", "Snakefile"):
        shutil.copy(_PEERS / name, place)


def _edit(place: Path) -> None:
    text = place / "texts" / "00007.txt"
    text.write_text(text.read_text() + "zebra " * 5_000)


def _touch(place: Path) -> None:
    for path in (place / "texts").iterdir():
        touch(path)
