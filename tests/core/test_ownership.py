"""Whose code a module is, seen from a task."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType

import numpy
import pytest

from redun.core.ownership import Ownership, layers, module_of, principal, set_own_packages
from redun.core.tasks import registry, task
from tests.core.projects import TASK, Project


@pytest.fixture
def site(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site-packages folder on the search path."""
    folder = project.folder / "env" / "site-packages"
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.fixture
def nothing_configured() -> Iterator[None]:
    """Forgets configured packages afterwards."""
    yield
    set_own_packages([])


def of(project: Project, module: str) -> Ownership:
    """Returns ownership as the task `t` of a module sees it."""
    return Ownership.of(project.load(module).t)


WITH_TASK = TASK + "@task()\ndef t():\n    return 1\n"


def test_modules_beside_a_script_are_own(project: Project):
    project.write({"owner_a": WITH_TASK, "beside": "", "sub/__init__.py": "", "sub/inner.py": ""})
    own = of(project, "owner_a")
    for name in ("beside", "sub.inner"):
        __import__(name)
    assert [own.owns_module(name) for name in ("owner_a", "beside", "sub", "sub.inner")] == [True] * 4


def test_the_standard_library_redun_and_installed_libraries_are_not(project: Project):
    project.write({"owner_b": WITH_TASK})
    own = of(project, "owner_b")
    names = (
        "os",
        "json.decoder",
        "builtins",
        "sys",
        "_thread",
        "zipimport",
        "redun",
        "redun.core.tasks",
        "numpy",
        "msgpack",
    )
    for name in names:
        assert not own.owns_module(name), name


def test_functions_classes_and_modules_are_judged_by_where_their_code_is(project: Project):
    project.write({"owner_c": WITH_TASK + "class C:\n    pass\ndef f():\n    pass\n"})
    module = project.load("owner_c")
    own = Ownership.of(module.t)
    assert own.owns(module.C)
    assert own.owns(module.f)
    assert own.owns(module)
    for library in (json.dumps, json.JSONEncoder, json, numpy.ndarray, numpy.linalg.norm, len, int):
        assert not own.owns(library), library


def test_what_wraps_copies_does_not_make_a_librarys_function_own(project: Project):
    project.write({"owner_d": WITH_TASK + "import contextlib\n@contextlib.contextmanager\ndef f():\n    yield\n"})
    module = project.load("owner_d")
    assert module.f.__module__ == "owner_d"
    assert not Ownership.of(module.t).owns(module.f)
    assert Ownership.of(module.t).owns(module.f.__wrapped__)


def test_a_tasks_own_installed_package_is_own_and_others_beside_it_are_not(project: Project, site: Path):
    project.write(
        {
            str(site / "firm/__init__.py"): "",
            str(site / "firm/flow.py"): WITH_TASK,
            str(site / "firm/deep/util.py"): "",
            str(site / "stranger.py"): "",
        }
    )
    own = of(project, "firm.flow")
    assert own.owns_module("firm.deep.util")
    assert not own.owns_module("stranger", str(site / "stranger.py"))


def test_what_was_installed_together_is_own_together(project: Project, site: Path):
    record = "flow_top.py,sha256=x,1\nother_top/__init__.py,,\nflow-1.dist-info/RECORD,,\n"
    project.write(
        {
            str(site / "flow_top.py"): WITH_TASK,
            str(site / "other_top/__init__.py"): "",
            str(site / "third_top/__init__.py"): "",
        }
    )
    for name, text in (("flow-1", record), ("third-1", "third_top/__init__.py,,\n")):
        (site / f"{name}.dist-info").mkdir()
        (site / f"{name}.dist-info" / "RECORD").write_text(text)
    own = of(project, "flow_top")
    assert own.owns_module("other_top", str(site / "other_top/__init__.py"))
    assert not own.owns_module("third_top", str(site / "third_top/__init__.py"))


def test_packages_in_a_shared_namespace_are_told_apart(project: Project, site: Path):
    project.write(
        {
            str(site / "shared/mine/__init__.py"): "",
            str(site / "shared/mine/flow.py"): WITH_TASK,
            str(site / "shared/theirs/__init__.py"): "",
        }
    )
    own = of(project, "shared.mine.flow")
    assert own.root == "shared.mine"
    __import__("shared.theirs")
    assert not own.owns_module("shared.theirs")


def test_configured_packages_are_own(project: Project, site: Path, nothing_configured: None):
    project.write({"owner_e": WITH_TASK, str(site / "lib_e/__init__.py"): "", str(site / "lib_e/sub.py"): ""})
    assert not of(project, "owner_e").owns_module("lib_e.sub", str(site / "lib_e/sub.py"))
    set_own_packages(["lib_e"])
    own = of(project, "owner_e")
    assert own.owns_module("lib_e.sub", str(site / "lib_e/sub.py"))
    assert not own.owns_module("lib_e_other", str(site / "lib_e_other.py"))


def test_an_environment_inside_the_project_is_not_own(project: Project):
    inside = project.folder / ".venv" / "lib" / "python3.11" / "site-packages" / "dep.py"
    project.write({"owner_f": WITH_TASK})
    assert not of(project, "owner_f").owns_module("dep", str(inside))
    assert not of(project, "owner_f").owns_module("debian_dep", "/usr/lib/python3/dist-packages/debian_dep.py")


def test_a_project_below_the_environments_prefix_is_own():
    own = Ownership("work")
    assert own.owns_module("beside_work", os.path.join(sys.prefix, "src", "app", "beside_work.py"))
    assert not own.owns_module(
        "some_stdlib_module", os.path.join(os.path.dirname(os.__file__), "some_stdlib_module.py")
    )


def test_modules_made_by_hand_and_cells_are_own(project: Project):
    module = ModuleType("made_by_hand")
    sys.modules["made_by_hand"] = module
    try:
        assert Ownership("work").owns_module("made_by_hand")
        assert Ownership("work").owns(module)
    finally:
        del sys.modules["made_by_hand"]
    assert not Ownership("work").owns_module("")
    assert not Ownership("work").owns_module("generated_namespace")


def test_a_library_is_not_own_even_to_itself_unless_a_task_is_in_it():
    assert not Ownership.of(numpy.ndarray).owns(numpy.ndarray)
    assert not Ownership.of(len).owns(len)
    assert not Ownership.of(json.dumps).owns(json.dumps)
    assert Ownership.of(test_a_library_is_not_own_even_to_itself_unless_a_task_is_in_it).owns(Ownership_like)


class Ownership_like:  # noqa: N801
    """A class of this module."""


def test_equal_ownerships_are_one_object(project: Project):
    project.write(
        {"pack/__init__.py": "", "pack/one.py": WITH_TASK, "pack/two.py": WITH_TASK.replace("def t", "def u")}
    )
    one = project.load("pack.one").t
    two = __import__("pack.two", fromlist=["u"]).u
    assert Ownership.of(one) is Ownership.of(two)
    assert Ownership.of(one).root == "pack"


# -- decorated functions ----------------------------------------------------------------------------------------------


def plain() -> int:
    """A function of this module."""
    return 1


def test_the_layers_of_a_callable_come_outermost_first():
    class Holder:
        method = plain

    assert list(layers(plain)) == [plain]
    partly = functools.partial(functools.lru_cache(plain), 1)
    assert [type(layer) for layer in layers(partly)] == [functools.partial, functools._lru_cache_wrapper, FunctionType]
    assert list(layers(Holder().method))[-1] is plain
    assert list(layers(staticmethod(plain)))[-1] is plain
    assert list(layers(3)) == [3]


def test_layers_that_lead_back_to_themselves_end():
    def one() -> None: ...
    def two() -> None: ...

    one.__wrapped__, two.__wrapped__ = two, one  # type: ignore[attr-defined]
    assert list(layers(one)) == [one, two]


def test_the_principal_of_a_decorated_function_is_the_function():
    @functools.wraps(plain)
    def wrapper() -> int:
        return plain()

    assert principal(wrapper) is plain
    assert principal(plain) is plain
    assert principal(len) is None
    assert principal(functools.lru_cache(plain)) is plain


def test_the_principal_of_a_function_dressed_up_as_a_librarys_is_the_users():
    @functools.wraps(numpy.mean)
    def mean() -> int:
        return 1

    assert principal(mean) is mean
    assert module_of(mean) == __name__


def test_a_task_registered_here_owns_this_module():
    tasks = dict(registry._tasks)
    made = task(name="owner_of_this_module")(plain)
    registry._tasks.clear()
    registry._tasks.update(tasks)
    assert Ownership.of(made).owns(plain)
