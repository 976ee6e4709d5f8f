"""Source text: what is taken for the source of a function or class, and when it is trusted."""

from __future__ import annotations

import ast
import functools
import linecache
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

from redun.core.sources import (
    AMBIGUOUS,
    CHANGED,
    NO_SOURCE,
    NOT_PYTHON,
    Capture,
    capture,
    capture_class,
    module_source,
    register_source,
    same_code,
)
from tests.core.projects import Project
from tests.core.test_normal_form import OTHERS, ROOT

MODULE = '''
import functools

def plain(x):
    """Doc."""
    return x  # end
# not this

@functools.lru_cache(
    maxsize=None
)
# about it
@functools.wraps(plain)
async def decorated(
    x,
):
    return x

class Outer:
    """About it."""

    @property
    def prop(self):
        return 1

    @prop.setter
    def prop(self, value):
        self.value = value

    @staticmethod
    def static(): return 2

    class Inner:
        def method(self):
            class Local:
                def deep(self):
                    return __class__
            return Local

def factory(n):
    def made():
        return n
    return made

made = factory(1)
one = lambda x: x + 1
two, three = (lambda: "é"), (lambda: "ü")
long = lambda x: (
    x,
    2,
)
if one:
    def either():
        return "yes"
else:
    def either():
        return "no"
'''


@pytest.fixture
def module(project: Project) -> ModuleType:
    """A module with code of every form."""
    project.write({"forms": MODULE})
    return project.load("forms")


# -- functions --------------------------------------------------------------------------------------------------------


def test_a_functions_source_is_its_def_as_written(module: ModuleType):
    found = capture(module.plain)
    assert found == Capture('def plain(x):\n    """Doc."""\n    return x  # end\n', str(module.__file__), 4, True)


def test_decorators_are_apart_and_the_line_is_that_of_the_def(module: ModuleType):
    found = capture(module.Outer.Inner.method)
    assert found.text.startswith("        def method(self):\n            class Local:")
    found = capture(module.Outer.__dict__["prop"].fset)
    assert (found.text, found.decorators, found.line) == (
        "    def prop(self, value):\n        self.value = value\n",
        "    @prop.setter\n",
        MODULE[: MODULE.index("def prop(self, value)")].count("\n") + 1,
    )
    found = capture(module.Outer.static)
    assert found.text == "    def static(): return 2\n"


def test_of_a_decorated_function_it_is_the_function_that_counts(module: ModuleType):
    # `decorated` says that it wraps `plain`
    assert capture(module.decorated).text.startswith("def plain")
    assert capture(functools.partial(module.plain, 1)).text.startswith("def plain")
    assert capture(module.Outer().prop.__class__).reason == NOT_PYTHON


def test_definitions_of_one_name_are_told_apart(module: ModuleType):
    assert capture(module.Outer.prop.fget).text.endswith("return 1\n")
    assert capture(module.Outer.prop.fset).text.endswith("value = value\n")
    assert capture(module.either).text == '    def either():\n        return "yes"\n'


def test_inner_and_factory_made_functions_are_found(module: ModuleType):
    assert capture(module.made).text == "    def made():\n        return n\n"
    local = module.Outer.Inner().method()
    assert capture(local.deep).text.strip().startswith("def deep(self)")
    assert all(capture(f).verified for f in (module.made, local.deep))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("one", "lambda x: x + 1"),
        ("two", 'lambda: "é"'),
        ("three", 'lambda: "ü"'),
        ("long", "lambda x: (\n    x,\n    2,\n)"),
    ],
)
def test_a_lambdas_source_is_its_expression(module: ModuleType, name: str, text: str):
    found = capture(getattr(module, name))
    assert (found.text, found.verified) == (text, True)


def test_what_is_no_python_function_has_no_source():
    for thing in (len, 3, None, functools.partial(len)):
        assert capture(thing) == Capture("", "", 0, False, NOT_PYTHON)


# -- trust ------------------------------------------------------------------------------------------------------------


def edited(project: Project, old: str, new: str) -> ModuleType:
    """Returns the module as imported before an edit of its file."""
    project.write({"forms": MODULE})
    module = project.load("forms")
    assert old in MODULE
    project.write({"forms": MODULE.replace(old, new)})
    return module


@pytest.mark.parametrize("new", ["return  x", "return (x)", "return x  # other end"])
def test_source_that_compiles_to_the_same_is_trusted(project: Project, new: str):
    assert capture(edited(project, "return x  # end", new).plain).verified


def test_a_function_that_only_moved_is_trusted(project: Project):
    found = capture(edited(project, "import functools\n", "import functools\n\nmore = 1\n").plain)
    assert (found.verified, found.line) == (True, 6)


@pytest.mark.parametrize("new", ["return -x", "return 1", "return y", "return x, x", "yield x", "return x + 1.0"])
def test_source_that_compiles_to_something_else_is_not(project: Project, new: str):
    found = capture(edited(project, "return x  # end", new).plain)
    assert (found.verified, found.reason) == (False, CHANGED)
    assert found.text.startswith("def plain(x):")


def test_a_function_that_is_gone_from_its_file_is_not_trusted(project: Project):
    found = capture(edited(project, "def plain(x)", "def renamed(x)").plain)
    assert (found.text, found.verified, found.reason) == ("", False, CHANGED)


def test_a_file_that_does_not_compile_any_more_is_not_trusted(project: Project):
    assert capture(edited(project, "def plain(x):", "def plain(x:").plain).reason == CHANGED


def test_a_function_whose_code_was_replaced_is_not_trusted(module: ModuleType):
    module.plain.__code__ = module.one.__code__.replace(co_name="plain", co_qualname="plain")
    assert not capture(module.plain).verified


def test_constants_are_compared_with_their_types():
    def code(text: str) -> object:
        return compile(text, "f", "exec")

    pairs = [("a = 1", "a = 1.0"), ("a = 1", "a = True"), ("a = 0.0", "a = -0.0"), ("a = (1, 2)", "a = (1, 2.0)")]
    pairs += [("a in {1, 2}", "a in {True, 2}"), ("f = lambda: 1", "f = lambda: 2"), ("a = 1j", "a = -1j")]
    for one, other in pairs:
        assert same_code(code(one), code(one))  # type: ignore[arg-type]
        assert not same_code(code(one), code(other)), (one, other)  # type: ignore[arg-type]
    assert same_code(
        code("a = 1e999 - 1e999; b in {'x', 'y', 'z'}"), code("\n\na = 1e999 - 1e999; b in {'x', 'y', 'z'}")
    )  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("one, two = (lambda: 1), (lambda: 2)\n", ""),
        ("one, two = (lambda: 1), (lambda:  1)\n", ""),
        ("one, two = (lambda: 2), (lambda: 1 + 1)\n", AMBIGUOUS),
    ],
)
def test_without_columns_lambdas_on_one_line_are_told_apart_by_what_they_do(project: Project, text: str, reason: str):
    project.write({"pair": text})
    code = "import pair; from redun.core.sources import *; print(capture(pair.one).reason)"
    env = {**os.environ, "PYTHONPATH": f"{project.folder}{os.pathsep}{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-X", "no_debug_ranges", "-c", code]
    assert subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout == f"{reason}\n"


# -- where text comes from --------------------------------------------------------------------------------------------


def made(text: str, file: str) -> FunctionType:
    """Returns the function `f` of a text compiled under a file name."""
    scope: dict[str, FunctionType] = {}
    exec(compile(text, file, "exec"), scope)
    return scope["f"]


def test_registered_text_needs_no_file():
    text = "def f():\n    return 1\n"
    code = compile(text, "<given>", "exec")
    scope: dict[str, FunctionType] = {}
    exec(code, scope)
    assert capture(scope["f"]).reason == NO_SOURCE
    register_source("<given>", text, code)
    assert capture(scope["f"]) == Capture(text, "<given>", 1, True)


def test_registered_text_wins_over_an_edited_file_and_the_file_over_outdated_text(tmp_path: Path):
    file = tmp_path / "given.py"
    text = "def f():\n    return 1\n"
    file.write_text(text.replace("1", "2"))
    register_source(str(file), text, compile(text, str(file), "exec"))
    assert capture(made(text, str(file))).verified
    assert capture(made(file.read_text(), str(file))).text.endswith("return 2\n")
    assert not capture(made("def f():\n    return 3\n", str(file))).verified


def test_cells_of_notebooks_are_read_where_python_shows_them():
    text = "def f(x: int):\n    return 1\nif 0:\n    await f(1)\n"
    name = "<ipython-input-7-abc>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    scope: dict[str, FunctionType] = {}
    try:
        code = compile(text, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        scope["f"] = FunctionType(next(found for found in code.co_consts if hasattr(found, "co_code")), scope)
        assert capture(scope["f"]).text == "def f(x: int):\n    return 1\n"
    finally:
        del linecache.cache[name]


def test_a_cell_that_inherits_a_future_is_compiled_under_it():
    text = "def f(x: int):\n    def g(y: undefined): pass\n    return g\n"
    name = "<cell>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    scope: dict[str, FunctionType] = {}
    try:
        exec(compile(text, name, "exec", flags=0x1000000, dont_inherit=True), scope)
        assert capture(scope["f"]).verified
    finally:
        del linecache.cache[name]


def test_modules_in_a_zip_file_are_read_through_their_loader(project: Project):
    with zipfile.ZipFile(project.folder / "code.zip", "w") as archive:
        archive.writestr("zipped_module.py", "def f():\n    return 1\n")
    sys.path.insert(0, str(project.folder / "code.zip"))
    import zipped_module  # type: ignore[import-not-found]

    assert capture(zipped_module.f).text == "def f():\n    return 1\n"
    del sys.modules["zipped_module"]


@pytest.mark.parametrize(
    ("head", "encoding"),
    [("", "utf-8"), ("", "utf-8-sig"), ("# -*- coding: latin-1 -*-\n", "latin-1"), ("# coding: cp1252\n", "cp1252")],
)
def test_declared_encodings_and_byte_order_marks_are_read(project: Project, head: str, encoding: str):
    path = project.folder / "encoded.py"
    path.write_bytes((head + "def f():\n    return 'é'\n").encode(encoding))
    assert capture(project.load("encoded").f).text == "def f():\n    return 'é'\n"


def test_windows_newlines_are_read_as_python_reads_them(project: Project):
    (project.folder / "windows.py").write_bytes(b"def f():\r\n    return '''a\r\nb'''\r\n")
    found = capture(project.load("windows").f)
    assert (found.verified, found.text) == (True, "def f():\n    return '''a\nb'''\n")


def test_a_form_feed_begins_no_line(project: Project):
    project.write({"fed": "\x0c\ndef g(): 'a\x0cb'\n\x0cdef f():\n    return 1\n"})
    assert capture(project.load("fed").f).text == "\x0cdef f():\n    return 1\n"


def test_an_edited_file_is_read_again(project: Project):
    texts = []
    for number in range(3):
        project.write({"again": f"def f():\n    return {number}\n"})
        texts.append(capture(project.load("again").f).text[-2])
    assert texts == ["0", "1", "2"]


def test_a_warning_in_the_source_is_not_shown_again(project: Project, recwarn: pytest.WarningsRecorder):
    project.write({"warns": "def f():\n    return 1\ndef g():\n    return 1 is 1\n"})
    with pytest.warns(SyntaxWarning):
        module = project.load("warns")
    assert capture(module.f).verified
    assert list(recwarn) == []


# -- modules ----------------------------------------------------------------------------------------------------------


def test_the_statements_that_bind_a_name_are_found(project: Project):
    text = "import a.b, c as d\nx = y = 1\nif x:\n    x: int = 2\nelse:\n    (x, *z) = 3, 4\n"
    text += "for i, (j, k) in []:\n    x += 1\n"
    text += "try:\n    pass\nexcept E as e:\n    q = [w for w in (v := [])]\nwith o as p: pass\n"
    text += "match x:\n    case [m, *n]: pass\n    case {'a': r, **s}: pass\ndef f(): x = 9\nclass C: x = 9\n"
    (project.folder / "binds.py").write_text(text)
    source = module_source(str(project.folder / "binds.py"))
    assert source is not None
    assert [source.segment(each) for each in source.bindings("x")] == [
        "x = y = 1",
        "x: int = 2",
        "(x, *z) = 3, 4",
        "x += 1",
    ]
    for name in "adyzijkeqvpmnrsfC":
        assert len(source.bindings(name)) == 1, name
    assert not source.bindings("w")
    assert not source.bindings("c")


def test_a_name_assigned_through_global_is_known(project: Project):
    (project.folder / "globals_.py").write_text(
        "def f():\n    def g():\n        global a, b\n        a = 1\n# global c\n"
    )
    source = module_source(str(project.folder / "globals_.py"))
    assert source is not None
    assert source.rebound == {"a", "b"}


def test_there_is_no_source_of_what_is_no_file(tmp_path: Path):
    assert module_source(str(tmp_path / "gone.py")) is None
    assert module_source("<stdin>") is None
    assert module_source("") is None
    (tmp_path / "bytes.py").write_bytes(b"\xff\xfe\x00")
    assert module_source(str(tmp_path / "bytes.py")) is None


# -- classes ----------------------------------------------------------------------------------------------------------


def test_a_classs_source_is_its_statement(module: ModuleType):
    found = capture_class(module.Outer)
    assert found.verified
    assert found.text == MODULE[MODULE.index("class Outer") : MODULE.index("\ndef factory")].rstrip() + "\n"
    assert capture_class(module.Outer.Inner).text.startswith("    class Inner:\n")
    assert capture_class(module.Outer.Inner().method()).text.strip().startswith("class Local:")


def test_a_class_whose_method_was_edited_is_not_trusted(project: Project):
    found = capture_class(edited(project, "def static(): return 2", "def static(): return 3").Outer)
    assert (found.verified, found.reason) == (False, CHANGED)


def test_of_two_classes_of_one_name_it_is_the_later_or_the_one_that_fits(project: Project):
    text = "class C:\n    def m(self): return 1\nOld = C\nclass C:\n    def m(self): return 2\n"
    project.write({"twice": text + "class D:\n    k = 1\nclass D:\n    k = 2\n"})
    module = project.load("twice")
    assert capture_class(module.Old).text.endswith("return 1\n")
    assert capture_class(module.C).text.endswith("return 2\n")
    assert capture_class(module.D).text.endswith("k = 2\n")


def test_a_class_made_by_a_call_has_no_source(module: ModuleType):
    assert capture_class(type("Made", (), {"__module__": "forms"})).reason == NO_SOURCE
    assert capture_class(int).reason == NO_SOURCE


# -- every Python -----------------------------------------------------------------------------------------------------

TELL = """
import json, sys
import forms
from redun.core.sources import capture, capture_class
local = forms.Outer.Inner().method()
functions = [forms.plain, forms.decorated, forms.made, forms.one, forms.two, forms.three, forms.long, forms.either]
functions += [forms.Outer.prop.fget, forms.Outer.prop.fset, forms.Outer.static, local.deep]
found = [*map(capture, functions), *map(capture_class, [forms.Outer, forms.Outer.Inner, local])]
print(json.dumps([[c.text, c.line, c.verified, c.decorators] for c in found]))
"""


@pytest.mark.parametrize("version", OTHERS)
def test_sources_are_found_and_verified_alike_under(version: str, project: Project):
    project.write({"forms": MODULE})
    told = []
    for python in (sys.executable, OTHERS[version]):
        env = {**os.environ, "PYTHONPATH": f"{project.folder}{os.pathsep}{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
        told.append(subprocess.run([python, "-c", TELL], env=env, capture_output=True, text=True, check=True).stdout)
    assert told[0] == told[1]
    assert told[0].count("true") == 15


def test_a_class_of_a_cell_is_found_in_the_cell_that_ran_last() -> None:
    cells = {"<cell 1>": "class Place:\n    planets = 8\n", "<cell 2>": "class Place:\n    planets = 9\n"}
    book = ModuleType("book")
    sys.modules["book"] = book
    for name, text in cells.items():
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    try:
        for order in (["<cell 1>", "<cell 2>"], ["<cell 2>", "<cell 1>"]):
            book.__dict__["_ih"] = ["", *(cells[name] for name in order)]  # as IPython keeps what it ran
            exec(compile(cells[order[-1]], order[-1], "exec"), book.__dict__)
            found = capture_class(book.Place)
            assert (found.verified, found.file, found.text) == (True, order[-1], cells[order[-1]])
    finally:
        del sys.modules["book"]
        for name in cells:
            del linecache.cache[name]
