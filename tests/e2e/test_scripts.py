"""Scripts as a user has them: `redun run` of a workflow that calls programs."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.executor.ends import until_gone
from tests.house.source_tree import ROOT

COMMAND = [sys.executable, "-m", "redun.cli.app"]

WORKFLOW = """
from redun import File, script, task
from redun.scripting import sh

redun_namespace = "s"

@task()
def number(text: bytes) -> int:
    return int(text)

@task()
def count(data: File, word: str) -> int:
    return number(script(sh("grep -c -F -- {word} {data}", word=word, data=data), inputs=[data]))

@task()
def ranked(data: File, path: str) -> dict[str, File]:
    return script(
        '''
        echo 'sorting ...' | tee notes
        cut -f 2 table | sort | uniq -c | sort -nr > ranks
        ''',
        inputs=[data.stage("table")],
        outputs={"ranks": File(path).stage("ranks"), "notes": File(path + ".notes").stage("notes")},
        tempdir=True,
    )

@task()
def main(data: File = File("my data.tsv")) -> dict:
    return {"red": count(data, "red"), "it's": count(data, "it's"), "ranked": ranked(data, "out/ranks.txt")}

@task(script=True)
def fail(code: int = 3):
    return f"printf 'first\\\\033[2J\\\\nsecond\\\\n' >&2; exit {code}"

@task(script=True)
def wait(executor: str = "default"):
    return "sleep 60 & echo child $! >&2; wait"

@task()
def waiting(executor: str = "default"):
    return script("sleep 60 & echo child $! >&2; wait", executor=executor)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "s.py").write_text(WORKFLOW)
    (tmp_path / "my data.tsv").write_text("1\tred\n2\tit's\n3\tred\n")
    return tmp_path


def redun(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def runs(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Returns the full names of the tasks whose jobs ran, in order."""
    lines = [line.split()[4] for line in done.stderr.splitlines() if line.startswith("[redun] Run    Job")]
    return [name.partition("(")[0] for name in lines]


def test_programs_over_a_data_file(folder: Path):
    done = redun(folder, "run", "--json", "s.py", "main")
    assert json.loads(done.stdout)["total"]["done"] == 9
    assert "Warning" not in done.stderr
    assert (folder / "out/ranks.txt").read_text().split() == ["2", "red", "1", "it's"]
    assert (folder / "out/ranks.txt.notes").read_text() == "sorting ...\n"
    assert sorted(path.name for path in folder.iterdir()) == [".redun", "my data.tsv", "out", "s.py"]
    assert runs(redun(folder, "run", "s.py", "main")) == []
    (folder / "out/ranks.txt.notes").unlink()
    done = redun(folder, "run", "s.py", "main")
    assert (done.returncode, runs(done)) == (0, ["redun.script"])
    assert (folder / "out/ranks.txt.notes").exists()


def test_what_a_script_says_stands_in_the_log_behind_its_job(folder: Path):
    done = redun(folder, "run", "s.py", "main")
    said = [line for line in done.stderr.splitlines() if line.endswith("| sorting ...")]
    (job,) = [line.split()[3].rstrip(":") for line in done.stderr.splitlines() if "cut -f 2" in line]
    assert said == [f"[redun] {job} | sorting ..."]
    (folder / "out/ranks.txt").unlink()
    done = redun(folder, "run", "-q", "s.py", "main")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_script_that_fails_shows_its_standard_error_where_the_run_and_the_log_tell_of_it(folder: Path):
    done = redun(folder, "run", "-q", "s.py", "fail")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-4:] == [
        "[redun] ScriptError: the script exited with 3: second",
        "[redun] standard error:",
        "[redun]   first\\x1b[2J",
        "[redun]   second",
    ]
    listed = redun(folder, "log", "--jobs", "--json").stdout
    job = json.loads(listed)[0]["job"]
    shown = redun(folder, "log", job).stdout
    assert "the script exited with 3: second" in shown
    assert "first\\x1b[2J" in shown


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("executor", ["default", "processes"])
def test_a_run_that_ends_takes_its_scripts_with_it(folder: Path, executor: str, number: signal.Signals):
    words = [*COMMAND, "run", "s.py", "waiting", "--executor", executor]
    with subprocess.Popen(words, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        child = next(int(line.split()[-1]) for line in process.stderr if "| child " in line)
        process.send_signal(number)
        process.stderr.read()
    assert process.returncode == (-9 if number == signal.SIGKILL else 130)
    assert until_gone(child)
    assert "[INTERR]" in redun(folder, "log").stdout


def test_the_example_of_the_page_on_scripts_runs_as_it_stands(folder: Path):
    page = (ROOT / "docs" / "scripts.md").read_text()
    (folder / "colors.py").write_text(page.partition("```python\n")[2].partition("```")[0])
    (folder / "my data.tsv").rename(folder / "colors.tsv")
    done = redun(folder, "run", "colors.py", "main")
    assert (done.returncode, "'red': 2" in done.stdout, "b'3 colors.tsv" in done.stdout) == (0, True, True)
    assert (folder / "out/ranks.txt").read_text().split()[:2] == ["2", "red"]


def test_lines_of_scripts_stand_above_the_table_that_redraws_itself(folder: Path):
    (folder / "slow.py").write_text(
        "from redun import task\n@task(script=True)\n"
        "def main(): return 'for i in 1 2 3 4 5; do echo line $i >&2; sleep 0.3; done'\n"
    )
    ours, theirs = pty.openpty()
    words = [*COMMAND, "run", "slow.py", "main"]
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # what the end of a terminal is
            while data := os.read(ours, 65536):
                shown += data
    os.close(ours)
    assert process.returncode == 0
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", shown.decode())
    assert "JOB STATUS" in text
    lines = [line.rpartition("[redun] ")[2] for line in text.splitlines() if "| line" in line]
    assert [line.split(" | ")[1] for line in lines] == [f"line {i}" for i in range(1, 6)]
    assert len({line.split(" | ")[0] for line in lines}) == 1


def test_a_dry_run_runs_no_script(folder: Path):
    done = redun(folder, "run", "--dry-run", "s.py", "main")
    assert done.returncode == 1
    assert not (folder / "out").exists()
