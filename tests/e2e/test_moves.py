"""`redun backup`, `restore` and `convert` with the real command: beside runs, killed at any moment, and afterwards."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from redun.core.digest import OBJECT_FORMATS
from redun.core.objects import job_id
from redun.store import Store, check, is_store

COMMAND = [sys.executable, "-m", "redun.cli.app"]
MOMENTS = Path(__file__).with_name("moments.py")

#: Whatever may be in a key: plain values, instances, enums, functions, tasks, files, large values, sets of such.
WORKFLOW = """
import dataclasses, enum, os, time
from redun import File, task

redun_namespace = "m"
FACTS = {"a": 3}

@dataclasses.dataclass
class Point:
    x: int

    def twice(self):
        return 2 * self.x

class Color(enum.Enum):
    RED = 1

def helper(n):
    return n + FACTS["a"]

def body(name):
    with open("bodies", "a") as file:
        file.write(name + "\\n")

@task()
def leaf(n):
    body("leaf")
    return helper(n)

@task()
def point(n):
    body("point")
    return Point(n)

@task()
def use(p, color, function=None):
    body("use")
    return p.twice() + color.value

@task()
def large(n):
    body("large")
    return bytes([n]) * 1_500_000

@task()
def words(n):
    body("words")
    return ["x" * 70_000, {("z" * 70_000, n), ("w" * 70_000, n + 1), ("v" * 90_000, 2)}]

@task()
def size(what):
    body("size")
    return len(what)

@task()
def write(path):
    body("write")
    file = File(path)
    with file.open("w") as out:
        out.write("hello")
    return file

@task()
def read(file):
    body("read")
    return file.read()

@task()
def apply(function, n):
    body("apply")
    return function(n)

@task()
def fails():
    body("fails")
    raise ValueError("no")

@task()
def main(n: int = 10):
    body("main")
    return [[leaf(i) for i in range(n)], use(point(3), Color.RED), size(large(3)), size(words(1)),
            read(write("out.txt")), apply(leaf, 5), use(Point(1), Color.RED, helper)]

@task()
def slow(n: int = 60):
    body("slow")
    return [wait(i) for i in range(n)]

@task()
def wait(n):
    while n == 50 and not os.path.exists("go"):
        time.sleep(0.01)
    body("wait")
    return bytes([n]) * 1_200_000 if n % 20 == 0 else n
"""


def redun(*words: str | Path, cwd: Path, code: int = 0) -> str:
    """Runs the command, and returns what it writes to standard output."""
    done = subprocess.run([*COMMAND, *words], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout


def _bodies(project: Path) -> list[str]:
    notes = project / "bodies"
    text = notes.read_text() if notes.exists() else ""
    notes.unlink(missing_ok=True)
    return text.split()


def _project(path: Path, name: str) -> Path:
    path.mkdir()
    (path / "w.py").write_text(WORKFLOW)
    redun("init", "--object-format", name, cwd=path)
    redun("run", "w.py", "main", cwd=path)
    redun("run", "w.py", "fails", cwd=path, code=1)
    redun("tag", "add", "-", "state=bad", cwd=path)
    return path


@pytest.fixture(scope="module", params=list(OBJECT_FORMATS))
def original(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose workflow was run, in each object format."""
    made = _project(tmp_path_factory.mktemp("moved") / "p", request.param)
    assert len(_bodies(made)) > 20
    return made


@pytest.fixture
def project(original: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(original, tmp_path / "p", symlinks=True))


def _other(project: Path) -> str:
    with Store.open(project / ".redun" / "store", read_only=True) as store:
        return next(name for name in OBJECT_FORMATS if name != store.format.name)


def _check_cached(project: Path) -> None:
    """Checks that a run computes nothing and gives what it gave."""
    _bodies(project)
    shown = redun("run", "w.py", "main", cwd=project)
    assert _bodies(project) == []
    assert shown.startswith("[[3, 4, 5,")
    assert list(check(project / ".redun" / "store")) == []


# -- what comes after -------------------------------------------------------------------------------------------------


def test_after_converting_everything_is_answered_from_the_cache(project: Path) -> None:
    with Store.open(project / ".redun" / "store", read_only=True) as store:
        execution, record = next(store.executions())
        call = record.root
        assert call is not None
        job = job_id(store.format.hash, record.uuid, 0).hex()
    first = _other(project)
    told = json.loads(redun("convert", "--to", first, "--json", cwd=project))
    assert told["forgotten"] == 0
    _check_cached(project)
    redun("run", "w.py", "fails", cwd=project, code=1)
    assert _bodies(project) == ["fails"]
    assert "state=bad" in redun("log", execution.hex(), cwd=project)
    assert "m.fails" in redun("cat-object", call.hex(), cwd=project)
    assert "m.fails" in redun("log", job[:8], cwd=project)
    second = _other(project)
    redun("convert", "--to", second, "--discard", cwd=project, code=0)
    _check_cached(project)
    assert "m.fails" in redun("cat-object", call.hex()[:10], cwd=project)
    assert "already" in redun("convert", "--to", second, cwd=project)


@pytest.mark.parametrize("how", ["convert", "backup"])
def test_what_a_run_that_was_killed_had_computed_is_not_computed_again(project: Path, how: str) -> None:
    words = [*COMMAND, "run", "-j", "4", "w.py", "slow"]
    with subprocess.Popen(words, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        while not (project / "bodies").exists() or (project / "bodies").read_text().count("wait") < 40:
            assert run.poll() is None
        redun("log", cwd=project)
        run.kill()
    before = _bodies(project)
    if how == "convert":
        assert json.loads(redun("convert", "--to", _other(project), "--json", cwd=project))["forgotten"] == 0
    else:
        redun("backup", "b", cwd=project)
        shutil.rmtree(project / ".redun")
        redun("restore", "b", cwd=project)
    (project / "go").touch()
    redun("run", "w.py", "slow", cwd=project)
    after = _bodies(project)
    assert "slow" in before
    assert "slow" not in after
    assert after.count("wait") < 60
    assert list(check(project / ".redun" / "store")) == []


def test_a_restored_project_is_answered_from_the_cache(project: Path, tmp_path: Path) -> None:
    told = json.loads(redun("backup", tmp_path / "b", "--json", cwd=project))
    assert told["size"] == (tmp_path / "b").stat().st_size
    other = tmp_path / "other"
    made = json.loads(redun("restore", tmp_path / "b", "--at", other, "--json", cwd=tmp_path))
    assert (made["objects"], made["rows"], made["size"]) == (told["objects"], told["rows"], told["size"])
    for name in ("w.py", "out.txt"):
        shutil.copy2(project / name, other / name)
    _check_cached(other)
    assert "state=bad" in redun("log", cwd=other)
    assert (other / ".redun" / ".gitignore").read_text() == "*\n"


def test_a_backup_goes_through_a_pipe(project: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with subprocess.Popen([*COMMAND, "backup", "-"], cwd=project, stdout=subprocess.PIPE) as writer:
        done = subprocess.run([*COMMAND, "restore", "-"], cwd=tmp_path / "other", stdin=writer.stdout, check=False)
    assert (writer.returncode, done.returncode) == (0, 0)
    assert list(check(tmp_path / "other" / ".redun" / "store")) == []


def test_what_is_wrong_is_said_in_one_line_and_by_the_exit_code(project: Path, tmp_path: Path) -> None:
    cases: list[tuple[int, Sequence[str | Path]]] = [
        (5, ("backup", "w.py")),
        (5, ("backup", tmp_path / "nowhere" / "b")),
        (5, ("restore", tmp_path / "whole")),
        (4, ("restore", "w.py", "--at", tmp_path / "x")),
        (5, ("restore", "nothing", "--at", tmp_path / "x")),
        (2, ("convert",)),
        (2, ("convert", "--to", "md5")),
        (2, ("backup", "-", "--json")),
        (3, ("backup", tmp_path / "b", "--store", tmp_path / "nowhere")),
        (2, ("restore", "b", "--at", ".", "--store", "x")),
        (2, ("restore", "b", "c", "--at", ".")),
        (2, ("restore", "b", "--at", ".", "--force")),
        (3, ("restore", "b", "--store", "x")),
        (3, ("restore", "w.py")),
    ]
    redun("backup", tmp_path / "whole", cwd=project)
    (tmp_path / "cut").write_bytes((tmp_path / "whole").read_bytes()[:-10])
    for code, words in [*cases, (6, ("restore", tmp_path / "cut", "--at", tmp_path / "x"))]:
        done = subprocess.run([*COMMAND, *words], cwd=project, capture_output=True, text=True, check=False)
        assert (done.returncode, words) == (code, words), done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
    assert not (tmp_path / "x").exists()


# -- beside a run -----------------------------------------------------------------------------------------------------


def test_backups_beside_a_run_are_sound_and_know_what_it_has_computed(project: Path, tmp_path: Path) -> None:
    words = [*COMMAND, "run", "w.py", "slow"]
    with subprocess.Popen(words, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr is not None
        for line in run.stderr:
            if "m.wait" in line:
                break
        redun("convert", "--to", _other(project), cwd=project, code=5)
        made = [tmp_path / f"b{number}" for number in range(3)]
        for file in made:
            redun("backup", file, cwd=project)
        assert run.poll() is None
        (project / "go").touch()
        run.stderr.read()
    assert run.returncode == 0
    for file in made:
        place = tmp_path / f"of-{file.name}"
        redun("restore", file, "--at", place, cwd=tmp_path)
        assert list(check(place / ".redun" / "store")) == []
        for name in ("w.py", "out.txt"):
            shutil.copy2(project / name, place / name)
        _check_cached(place)


# -- killed -----------------------------------------------------------------------------------------------------------


def killed(words: Sequence[str | Path], at: int, *, cwd: Path) -> int:
    """Runs the command and kills it at the moment of that number; returns how many moments it had, 0 where it died."""
    counts = cwd / "moments"
    counts.unlink(missing_ok=True)
    done = subprocess.run([sys.executable, MOMENTS, str(at), counts, *words], cwd=cwd, capture_output=True, check=False)
    assert done.returncode in (0, -9), done.stderr.decode()
    return int(counts.read_text()) if counts.exists() else 0


def kill_convert(project: Path, at: int) -> bool:
    """Checks that a conversion that is killed leaves a whole store, and that doing it again is all there is to do."""
    store, name = project / ".redun" / "store", _other(project)
    died = not killed(["convert", "--to", name], at, cwd=project)
    assert is_store(store)
    assert list(check(store)) == []
    redun("convert", "--to", name, cwd=project)
    assert sorted(os.listdir(store.parent)) == [".gitignore", "store", "store.before-convert"]
    assert not (store / "converted").exists()
    with Store.open(store, read_only=True) as opened:
        assert opened.format.name == name
    assert list(check(store.with_name("store.before-convert"))) == []
    _check_cached(project)
    return died


def kill_backup(project: Path, at: int) -> bool:
    """Checks that a backup that is killed leaves no file of its name, or a whole one."""
    target = project / "backup"
    died = not killed(["backup", "backup"], at, cwd=project)
    whole = target.exists()
    assert whole or died
    if not whole:
        redun("backup", "backup", cwd=project)
    redun("restore", "backup", "--at", "elsewhere", cwd=project)
    assert list(check(project / "elsewhere" / ".redun" / "store")) == []
    assert list(check(project / ".redun" / "store")) == []
    return died


def kill_restore(project: Path, at: int) -> bool:
    """Checks that nothing can be seen of a restored store, or all of it, and that doing it again is enough."""
    redun("backup", "backup", cwd=project)
    place = project / "elsewhere"
    died = not killed(["restore", "backup", "--at", "elsewhere"], at, cwd=project)
    if not is_store(place / ".redun" / "store"):
        assert died
        redun("restore", "backup", "--at", "elsewhere", cwd=project)
        assert not (place / ".redun" / "store.restoring").exists()
    assert list(check(place / ".redun" / "store")) == []
    for name in ("w.py", "out.txt"):
        shutil.copy2(project / name, place / name)
    _check_cached(place)
    return died


def kill_compact(project: Path, at: int) -> bool:
    """Checks that compacting that is killed leaves the old file or the new one."""
    redun("run", "w.py", "main", "--n", "3", cwd=project)
    redun("prune", "--keep-last", "1", cwd=project)
    died = not killed(["gc", "--compact"], at, cwd=project)
    assert list(check(project / ".redun" / "store")) == []
    redun("gc", "--compact", cwd=project)
    assert os.listdir(project / ".redun" / "store" / "incoming") == []
    shown = redun("run", "w.py", "main", "--n", "3", cwd=project)
    assert shown.startswith("[[3, 4, 5]")
    assert list(check(project / ".redun" / "store")) == []
    return died


KILLS = {"convert": kill_convert, "backup": kill_backup, "restore": kill_restore, "compact": kill_compact}
WORDS: dict[str, list[str | Path]] = {
    "convert": ["convert", "--to"],
    "backup": ["backup", "counted"],
    "restore": ["restore", "counted", "--at", "counting"],
    "compact": ["gc", "--compact"],
}


def moments_of(what: str, project: Path) -> int:
    """Returns how many moments an undisturbed command has; spoils the project."""
    if what == "restore":
        redun("backup", "counted", cwd=project)
    words = [*WORDS[what], *([_other(project)] if what == "convert" else [])]
    return killed(words, 0, cwd=project)


def kill_all(what: str, original: Path, path: Path, *, kills: int, seed: int) -> int:
    """Kills a command at some of its moments, each time in a new copy of the project; returns how often it died."""
    chance = random.Random(seed)
    most = moments_of(what, Path(shutil.copytree(original, path / "counted", symlinks=True)))
    places = sorted(chance.sample(range(1, most), min(kills, most - 1)))
    died = 0
    for at in places:
        project = Path(shutil.copytree(original, path / f"at{at}", symlinks=True))
        died += KILLS[what](project, at)
        shutil.rmtree(project)
    return died


@pytest.mark.parametrize("what", list(KILLS))
def test_who_is_killed_leaves_all_or_nothing(what: str, original: Path, tmp_path: Path) -> None:
    assert kill_all(what, original, tmp_path, kills=3, seed=7) >= 2
