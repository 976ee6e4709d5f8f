"""What tests of workflows use: the fixtures and the assertions, in a pytest of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FLOW = """
from redun import task

redun_namespace = "shop"

@task()
def price(name: str) -> int:
    return len(name)

@task()
def main(names: list) -> list:
    return [price(name) for name in names]
"""

TESTS = """
import pytest
from redun import task
from redun.core.errors import UnknownTask
from redun.testing import assert_cached, assert_ran
from shop import main, price

def test_what_ran_first_is_cached_afterwards(redun_scheduler):
    assert redun_scheduler.run(main(["tea", "bread"])) == [3, 5]
    assert_ran(redun_scheduler, price, times=2)
    assert_ran(redun_scheduler, "shop.main")
    redun_scheduler.run(main(["tea", "bread"]))
    assert_cached(redun_scheduler, price, times=2)
    assert_cached(redun_scheduler, main)
    redun_scheduler.run(main(["tea", "milk"]))
    assert_ran(redun_scheduler, price, times=1)

def test_each_test_has_a_store_of_its_own(redun_scheduler):
    redun_scheduler.run(main(["tea"]))
    assert_ran(redun_scheduler, price, times=1)

@pytest.mark.parametrize("n", [1, 2])
def test_tasks_of_a_test_end_with_it(redun_scheduler, n):
    exec(compile("@task(namespace='local')\\ndef step():\\n    return 1\\n", "x", "exec"), {"task": task})
    from redun import get_task_registry
    assert len([task for task in get_task_registry() if task.namespace == "local"]) == 1

def test_a_store_on_disk(redun_store, tmp_path):
    assert redun_store.path == tmp_path / ".redun" / "store"

def test_a_wrong_name_is_told(redun_scheduler):
    redun_scheduler.run(main([]))
    with pytest.raises(UnknownTask, match="shop.prise"):
        assert_ran(redun_scheduler, "shop.prise")

def test_nothing_was_run(redun_scheduler):
    with pytest.raises(ValueError, match="nothing was run"):
        assert_ran(redun_scheduler, price)
"""

FAILING = """
from redun.testing import assert_cached, assert_ran
from shop import main, price

def test_ran(redun_scheduler):
    redun_scheduler.run(main(["tea"]))
    assert_ran(redun_scheduler, price, times=2)

def test_cached(redun_scheduler):
    redun_scheduler.run(main(["tea"]))
    redun_scheduler.run(main(["tea", "milk"]))
    assert_cached(redun_scheduler, price)
"""


def run_pytest(directory: Path, tests: str, *words: str) -> subprocess.CompletedProcess[str]:
    (directory / "shop.py").write_text(FLOW)
    (directory / "test_shop.py").write_text(tests)
    # `-p`: the checkout may be on the path without being installed
    plugin = ["-p", "redun.cli.testing.plugin", "-p", "no:cacheprovider", "-p", "no:redun"]
    command = [sys.executable, "-m", "pytest", "-q", *plugin, *words, "test_shop.py"]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", [[], ["-n", "2"]], ids=["alone", "with xdist"])
def test_fixtures_and_assertions_hold_where_all_is_well(tmp_path: Path, words: list[str]) -> None:
    done = run_pytest(tmp_path, TESTS, *words)
    assert done.returncode == 0, done.stdout
    assert "7 passed" in done.stdout


def test_a_failure_shows_the_jobs_and_why_they_ran(tmp_path: Path) -> None:
    out = run_pytest(tmp_path, FAILING).stdout
    assert "2 failed" in out
    assert "shop.price was to run 2 times; it ran once and was cached never" in out
    assert "shop.price was to be cached; it ran once and was cached once" in out
    assert "args['name']: 'tea' -> 'milk'" in out
    assert "| shop.price " in out
    assert "checks.py" not in out  # the line of the test is shown, not ours


def test_pytest_loads_nothing_of_ours_but_the_plugin(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "import sys\n"
        "def pytest_sessionfinish():\n"
        "    print(sorted(name for name in sys.modules if name.startswith('redun.')))\n"
    )
    done = run_pytest(tmp_path, "def test_nothing(): pass\n", "-s")
    assert "['redun.cli', 'redun.cli.testing', 'redun.cli.testing.plugin']" in done.stdout
