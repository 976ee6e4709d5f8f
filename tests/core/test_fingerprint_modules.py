"""Code in other modules: attributes of modules, imports inside functions, installed packages, scripts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.core.projects import TASK, Project, use, uses

T = "@task()\ndef t(x=0):\n    return {}\n"


# -- attributes of modules --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("imports", "body", "expected"),
    [
        ("import h", "h.f()", [("function", "h:f")]),
        ("import h as g", "g.f()", [("function", "h:f")]),
        ("import h", "h.K", [("constant", "h:K")]),
        ("import h", "h.C().m()", [("class", "h:C")]),
        ("import h", "getattr(h, 'K')", [("constant", "h:K")]),
        ("from h import f", "f()", [("function", "h:f"), ("function", "w:f")]),
        ("import pkg.sub.deep", "pkg.sub.deep.f()", [("function", "pkg.sub.deep:f")]),
        ("from pkg.sub import deep", "deep.f()", [("function", "pkg.sub.deep:f")]),
        ("from pkg.sub import deep as d", "d.K", [("constant", "pkg.sub.deep:K")]),
        ("import pkg", "pkg.f()", [("function", "pkg.sub.deep:f"), ("function", "pkg:f")]),
    ],
)
def test_what_is_taken_from_an_own_module_counts(project: Project, imports: str, body: str, expected: list[object]):
    code = "K = 1\ndef f():\n    return 1\nclass C:\n    def m(self):\n        return 1\n"
    project.write(
        {"pkg/__init__.py": "from pkg.sub.deep import f\n", "pkg/sub/__init__.py": "", "pkg/sub/deep.py": code}
    )
    text = imports + "\n" + T.format(body)
    found = project(text, h=code)
    assert uses(found) == expected
    changed = code.replace("1", "2")
    project.write({"pkg/sub/deep.py": changed})
    assert project(text, h=changed).digest != found.digest


def test_a_module_that_answers_by_code_is_followed(project: Project):
    lazy = "def __getattr__(name):\n    import deep\n    return getattr(deep, name)\n"
    text = "import h\n" + T.format("h.f()")
    found = project(text, h=lazy, deep="def f():\n    return 1\n")
    assert uses(found) == [("function", "deep:f"), ("function", "h:f")]
    assert project(text, h=lazy, deep="def f():\n    return 2\n").digest != found.digest


def test_a_module_used_as_a_value_is_reported(project: Project):
    found = project("import h\n" + T.format("vars(h)"), h="")
    assert found.untracked == ("w:h: is module h, used as a value",)


def test_a_name_that_a_module_does_not_have_is_reported(project: Project):
    assert project("import h\n" + T.format("h.gone"), h="").untracked == ("w:h: gone is not defined in h",)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("nowhere", "w:t: the name nowhere is not defined"),
        ("eval('1')", "w:t: calls eval()"),
        ("exec('1')", "w:t: calls exec()"),
        ("getattr(x, x)", "w:t: calls getattr() with a computed name"),
        ("globals()", "w:t: calls globals()"),
        ("__import__('os')", "w:t: calls __import__()"),
        ("importlib.import_module(x)", "w:t: calls import_module()"),
    ],
)
def test_what_cannot_be_resolved_is_reported_and_in_the_record(project: Project, body: str, line: str):
    found = project("import importlib\n" + T.format(body))
    assert found.untracked == (line,)
    assert uses(found) == [("untracked", "w:t")]


def test_what_a_helper_cannot_resolve_is_reported_by_the_helpers_name(project: Project):
    found = project("def h():\n    return eval('1')\n" + T.format("h()"))
    assert found.untracked == ("w:h: calls eval()",)


def test_a_sum_of_a_thousand_terms_is_read(project: Project):
    assert uses(project("K = 1\n" + T.format(" + ".join(["K"] * 1000)))) == [("constant", "w:K")]


# -- imports inside functions -----------------------------------------------------------------------------------------

DEEP = """
import os
from pkg import consts
from .consts import K as L
from . import consts as c
N = 1
def g():
    return N
def f():
    from .more import m
    return g() + consts.K + L + c.K + m(os.sep)
class C(Exception):
    def m(self):
        return N
"""


def inside(project: Project, statement: str, body: str) -> str:
    """Writes a package and returns a task in it that imports in its body."""
    project.write({"pkg/__init__.py": "", "pkg/consts.py": "K = 1\n", "pkg/deep.py": DEEP})
    project.write({"pkg/more.py": "def m(x):\n    return x\n"})
    return f"{TASK}@task()\ndef t():\n    {statement}\n    return {body}\n"


def of_package(project: Project, text: str) -> object:
    """Returns the fingerprint of the task `t` of `pkg.w`."""
    project.write({"pkg/w.py": text})
    return project.of(project.load("pkg.w").t)


GENERIC = """
import functools
@functools.singledispatch
def ALL(x):
    pass
@ALL.register
def _(x: int):
    return 1
@ALL.register
def _(x: str):
    return 0
"""
BOTH = "import k\ndef both():\n    return k.f() + k.g()\n"
EVERYTHING = [
    ("function", "pkg.deep:f"),
    ("function", "pkg.deep:g"),
    ("text", "pkg.deep:N"),
    ("text", "pkg.consts:K"),
    ("function", "pkg.more:m"),
]


@pytest.mark.parametrize(
    ("statement", "body"),
    [
        ("from .deep import f", "f()"),
        ("from pkg.deep import f as h", "h()"),
        ("from . import deep", "deep.f()"),
        ("import pkg.deep", "pkg.deep.f()"),
        ("import pkg.deep as d", "d.f()"),
    ],
)
def test_imports_inside_a_body_are_followed_without_importing(project: Project, statement: str, body: str):
    text = inside(project, statement, body)
    found = of_package(project, text)
    assert sorted(uses(found)) == sorted(EVERYTHING)
    assert found.untracked == ()
    assert not {"pkg.deep", "pkg.consts", "pkg.more"} & set(sys.modules)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("deep", "return N", "return N + 1"),
        ("deep", "N = 1", "N = 2"),
        ("consts", "K = 1", "K = 2"),
        ("more", "return x", "return -x"),
    ],
)
def test_an_edit_of_what_they_lead_to_counts(project: Project, file: str, old: str, new: str):
    text = inside(project, "from .deep import f", "f()")
    before = of_package(project, text)
    path = project.folder / "pkg" / f"{file}.py"
    path.write_text("# moved\n" + path.read_text())
    assert of_package(project, text).digest == before.digest
    path.write_text(path.read_text().replace(old, new))
    assert of_package(project, text).digest != before.digest


def test_it_is_no_matter_whether_the_module_happens_to_be_imported(project: Project):
    text = inside(project, "from .deep import f, C", "f(), C().m()")
    before = of_package(project, text)
    module = sys.modules["pkg.w"]
    __import__("pkg.deep")
    assert project.of(module.t).digest == before.digest


def test_an_imported_module_whose_text_was_edited_makes_the_code_unknown(project: Project):
    text = inside(project, "from .deep import f", "f()")
    of_package(project, text)
    module = sys.modules["pkg.w"]
    __import__("pkg.deep")
    path = project.folder / "pkg" / "deep.py"
    path.write_text(DEEP.replace("return N", "return N + 1"))
    assert project.of(module.t).record.code == "unknown"


def test_a_task_imported_inside_a_body_counts_by_its_interface(project: Project):
    other = TASK + "@task(nout=2, memory=1)\ndef u(a, *, b=1):\n    return 1\n"
    text = "@task()\ndef t():\n    from other import u\n    return u(1)\n"
    found = project(text, other=other)
    assert uses(found) == [("task", "other:u")]
    assert use(found, "other:u").detail == "(a, *, b) nout='2'"
    assert project(text, other=other.replace("return 1", "return 2")).digest == found.digest
    assert project(text, other=other.replace("memory=1", "memory=2")).digest == found.digest
    assert project(text, other=other.replace("nout=2", "nout=3")).digest != found.digest
    code = text.replace("u(1)", "u.func(1)")
    assert project(code, other=other).digest != project(code, other=other.replace("return 1", "return 2")).digest


def test_builtins_and_names_of_the_module_itself_are_nothing_there_either(project: Project):
    text = "import abc\nfrom collections import deque\n"
    text += "def f(x):\n    return len(x), __name__, __file__, ValueError, abc, deque\n"
    found = project("@task()\ndef t():\n    from h import f\n    return f(1)\n", h=text)
    assert uses(found) == [("import", "h:deque"), ("function", "h:f")]
    assert found.untracked == ()


def test_names_that_a_star_brings_are_found(project: Project):
    found = project(
        "@task()\ndef t():\n    import h\n    return h.f()\n", h="from g import *\n", g="def f():\n    return 1\n"
    )
    assert uses(found) == [("function", "g:f")]


def test_all_that_is_taken_of_one_imported_module_counts(project: Project):
    text = "def f():\n    return 1\ndef g():\n    return 2\n"
    found = project("@task()\ndef t():\n    import h\n    return h.both()\n", h=BOTH, k=text)
    assert uses(found) == [("function", "h:both"), ("function", "k:f"), ("function", "k:g")]


@pytest.mark.parametrize(
    "text",
    [
        "ALL = {}\ndef f():\n    return 1\nALL['a'] = f\n",
        "ALL = []\ndef f():\n    return 1\nALL.append(f)\n",
        "ALL = []\nfor i in range(2):\n    ALL.append(lambda: 1)\n",
        "ALL = {}\ndef add(f):\n    ALL[f.__name__] = f\n@add\ndef f():\n    return 1\n",
        "ALL = {}\ndef add(n):\n    def to(f):\n        ALL[n] = f\n    return to\n@add('a')\ndef f():\n    return 1\n",
        GENERIC,
        "if len('a'):\n    def ALL():\n        return 1\nelse:\n    def ALL():\n        return 0\n",
    ],
)
def test_what_such_a_module_adds_to_an_object_counts(project: Project, text: str):
    task = "@task()\ndef t(x=0):\n    import h\n    return h.ALL\n"
    found = project(task, h=text)
    assert (
        project(task, h=text.replace("return 1", "return 2").replace("lambda: 1", "lambda: 2")).digest != found.digest
    )
    assert project(task, h=text + "def unused():\n    return ALL\nother = ALL\n").digest == found.digest


def test_imports_of_libraries_inside_a_body_are_nothing(project: Project):
    found = project(
        "@task()\ndef t():\n    import numpy, os.path\n    from json import loads\n    return numpy.pi, loads\n"
    )
    assert (uses(found), found.untracked) == ([], ())


def test_an_import_of_what_is_not_here_is_told_but_not_recorded(project: Project):
    found = project("@task()\ndef t():\n    import not_installed_here\n    return not_installed_here.f()\n")
    assert uses(found) == []
    assert found.untracked == ("w:t: module not_installed_here is not found here",)


def test_either_of_two_imports_counts(project: Project):
    text = "@task()\ndef t():\n    try:\n        from a import f\n    except ImportError:\n        from b import f\n"
    text += "    return f()\n"
    files = {"a": "def f():\n    return 1\n", "b": "def f():\n    return 2\n"}
    assert uses(project(text, **files)) == [("function", "a:f"), ("function", "b:f")]


# -- whose code -------------------------------------------------------------------------------------------------------


def installed(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns a site-packages folder on the search path."""
    site = project.folder / "venv" / "lib" / "site-packages"
    site.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(site))
    return site


def test_a_library_is_nothing_and_its_edit_does_not_count(project: Project, monkeypatch: pytest.MonkeyPatch):
    site = installed(project, monkeypatch)
    (site / "somelib.py").write_text("K = 1\ndef f():\n    return 1\nclass C:\n    pass\n")
    text = "import somelib\nfrom somelib import f, C\n" + T.format("f(), C(), somelib.f()")
    found = project(text)
    assert (uses(found), found.untracked) == ([("import", "w:C"), ("import", "w:f")], ())
    (site / "somelib.py").write_text("K = 1\ndef f():\n    return 2\nclass C:\n    pass\n")
    assert project(text).digest == found.digest


SINE = "import math\ndef make(g):\n    return lambda: g\nf = make(math.sin)"
BASE = "import functools\nf = functools.partial(int, base=2)"


@pytest.mark.parametrize(
    ("one", "other", "body"),
    [
        ("from math import sin", "from numpy import sin", "sin(x)"),
        ("from math import sin as f", "from math import cos as f", "f(x)"),
        ("import math as m", "import cmath as m", "m.sin(x)"),
        ("import os.path as m", "import math as m", "m"),
        ("from math import *", "from cmath import *", "sin(x)"),
        ("import math\nf = math.sin", "import math\nf = math.cos", "f(x)"),
        ("import math\nfs = [math.sin, lambda: 1]", "import math\nfs = [math.cos, lambda: 1]", "fs"),
        (BASE, BASE.replace("int", "str"), "f"),
        (SINE, SINE.replace("sin", "cos"), "f"),
        ("from h import sin", "from k import sin", "sin(x)"),
        ("import h", "import k as h", "h.sin(x)"),
        ("if x:\n    from math import (sin as f, cos)", "if x:\n    from math import (tan as f, cos)", "f(x)"),
        ("from redun.core.files.file import File", "from h import File", "File(x)"),
    ],
)
def test_which_thing_of_a_library_a_name_stands_for_counts(project: Project, one: str, other: str, body: str):
    files = {"h": "from math import sin\nFile = None\n", "k": "from cmath import sin\n"}
    texts = [f"x = 1\n{text}\ndef f_(x):\n    return {body}\n" for text in (one, other)]
    prints = [project(text + T.format(body), **files) for text in texts]
    assert prints[0].digest != prints[1].digest
    assert prints[0].untracked == ()
    inside = "@task()\ndef t(x):\n    import g\n    return g.f_\n"
    if "*" not in one:
        assert project(inside, g=texts[0], **files).digest != project(inside, g=texts[1], **files).digest


def test_a_librarys_module_under_its_own_name_is_nothing(project: Project):
    found = project("import numpy, os.path, json.decoder\n" + T.format("numpy.pi, os.path.join, json.decoder.loads"))
    assert (uses(found), found.untracked) == ([], ())


def test_a_helper_in_the_tasks_own_installed_package_counts(project: Project, monkeypatch: pytest.MonkeyPatch):
    site = installed(project, monkeypatch)
    digests = []
    for number in (1, 2):
        project.write(
            {
                str(site / "acme/__init__.py"): "",
                str(site / "acme/util.py"): f"def f():\n    return {number}\n",
                str(site / "acme/flow.py"): TASK + "from acme.util import f\n" + T.format("f()"),
            }
        )
        digests.append(project.of(project.load("acme.flow").t).digest)
    assert digests[0] != digests[1]


def test_a_checkout_and_its_installation_have_one_fingerprint(project: Project, monkeypatch: pytest.MonkeyPatch):
    files = {
        "__init__.py": "",
        "util.py": "K = 3\ndef f():\n    return K\n",
        "flow.py": TASK + "from acme import util\nfrom acme.util import f\n" + T.format("f() + util.K"),
    }
    project.write({f"acme/{name}": text for name, text in files.items()})
    checkout = project.of(project.load("acme.flow").t)
    for path in (project.folder / "acme").iterdir():
        path.unlink()
    (project.folder / "acme").rmdir()
    site = installed(project, monkeypatch)
    project.write({str(site / "acme" / name): text for name, text in files.items()})
    assert project.of(project.load("acme.flow").t).digest == checkout.digest


SCRIPT = """
import sys
from redun.core.tasks import task
from redun.core.digest import XXH3_128
from redun.core.fingerprint import fingerprint
from redun.core.values import Encoder
import redun.core.classes
import sibling
K = 3
class C:
    pass
def helper():
    return K, C()
@task()
def t():
    return helper(), sibling.f()
if len(sys.argv) > 1:
    print(fingerprint(t, Encoder(XXH3_128)).record)
"""


def test_a_script_and_its_module_have_one_fingerprint(project: Project):
    project.write({"script": SCRIPT, "sibling": "def f():\n    return 1\n"})
    module = project.load("script")
    run = subprocess.run(
        [sys.executable, "script.py", "show"],
        cwd=project.folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = project.of(module.t)
    assert run.stdout == f"{found.record}\n"
    assert {name.partition(":")[0] for _, name in uses(found)} == {"script", "sibling"}
