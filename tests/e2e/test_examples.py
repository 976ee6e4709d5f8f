"""Every example runs as its README says, with the real command, in a directory of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
REDUN = Path(sys.executable).with_name("redun")


def redun(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs the command as a user would."""
    return subprocess.run([REDUN, *words], cwd=cwd, capture_output=True, text=True, check=False)


def copy_of(name: str, directory: Path) -> Path:
    """Copies an example, without what running it there has left."""
    ignored = shutil.ignore_patterns(".redun", "__pycache__")
    return Path(shutil.copytree(EXAMPLES / name, directory / name, ignore=ignored))


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    """A copy of the example."""
    return copy_of("hello_world", tmp_path)


def test_every_example_has_a_readme_is_listed_and_has_a_test_here():
    here = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    listed = (EXAMPLES / "README.md").read_text()
    for folder in EXAMPLES.iterdir():
        if folder.is_dir() and not folder.name.startswith((".", "__")):
            assert (folder / "README.md").is_file()
            assert f'"{folder.name}"' in here
            assert f"]({folder.name}/README.md)" in listed


def test_hello_world_says_hello_and_then_remembers(hello: Path):
    first = redun("run", "hello_world.py", "main", cwd=hello)
    again = redun("run", "hello_world.py", "main", cwd=hello)
    assert (first.returncode, first.stdout) == (0, "'Hello, World!'\n")
    assert (again.returncode, again.stdout) == (0, "'Hello, World!'\n")
    assert first.stderr.count("Run    Job") == 3
    assert again.stderr.count("Cached Job") == 3


def test_hello_world_takes_its_argument_and_runs_only_what_depends_on_it(hello: Path):
    redun("run", "hello_world.py", "main", cwd=hello)
    done = redun("run", "hello_world.py", "main", "--greet", "Hi", cwd=hello)
    assert done.stdout == "'Hi, World!'\n"
    assert done.stderr.count("Run    Job") == 2
    assert done.stderr.count("Cached Job") == 1


def test_hello_world_notices_that_its_code_has_changed_and_that_a_comment_has_not(hello: Path):
    redun("run", "hello_world.py", "main", cwd=hello)
    program = hello / "hello_world.py"
    program.write_text(program.read_text().replace('"World"', '"Mars"  # red'))
    changed = redun("run", "hello_world.py", "main", cwd=hello)
    assert changed.stdout == "'Hello, Mars!'\n"
    assert changed.stderr.count("Run    Job") == 2
    program.write_text(program.read_text().replace("# red", "# the fourth"))
    assert redun("run", "hello_world.py", "main", cwd=hello).stderr.count("Run    Job") == 0


def test_a_task_of_hello_world_can_be_run_by_itself(hello: Path):
    done = redun("run", "hello_world.py", "greeter", "--greet", "Yo", "--thing", "Venus", cwd=hello)
    assert done.stdout == "'Yo, Venus!'\n"


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    """A copy of the example of control flow."""
    return copy_of("control_flow", tmp_path)


def test_control_flow_recovers_from_a_broken_sensor_and_remembers_that(flow: Path):
    first = redun("run", "control_flow.py", "main", cwd=flow)
    again = redun("run", "control_flow.py", "main", cwd=flow)
    assert (first.returncode, first.stdout) == (0, "['21.8 C', '9.5 C', '0.0 C']\n")
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert "Run    Job" not in again.stderr


def test_control_flow_runs_only_what_asks_for_what_changed_in_the_context(flow: Path):
    redun("run", "control_flow.py", "main", cwd=flow)
    done = redun("run", "--context", "unit=F", "control_flow.py", "main", cwd=flow)
    assert done.stdout == "['71.2 F', '49.1 F', '32.0 F']\n"
    assert done.stderr.count("Run    Job") == done.stderr.count("convert") - 1 == 3
    assert "Run    Job" not in redun("run", "control_flow.py", "main", cwd=flow).stderr


def test_control_flow_sees_that_a_sensor_works_again(flow: Path):
    redun("run", "control_flow.py", "main", cwd=flow)
    program = flow / "control_flow.py"
    program.write_text(program.read_text().replace('"garden": []', '"garden": [3.0]'))
    assert redun("run", "control_flow.py", "main", cwd=flow).stdout == "['21.8 C', '9.5 C', '3.0 C']\n"


def test_the_other_tasks_of_control_flow_do_what_they_say(flow: Path):
    assert redun("run", "control_flow.py", "check", cwd=flow).stdout == "['division by zero']\n"
    assert redun("run", "control_flow.py", "in_order", cwd=flow).stdout == "[9.5, 21.75]\n"
    assert redun("run", "control_flow.py", "largest", cwd=flow).stdout == "'attic: 21.8 C'\n"
    warmer = redun("run", "control_flow.py", "warmer", "--a", "attic", "--b", "cellar", cwd=flow)
    assert warmer.stdout == "'21.8 C'\n"
    assert redun("run", "control_flow.py", "mean", "--sensor", "garden", cwd=flow).returncode == 1
