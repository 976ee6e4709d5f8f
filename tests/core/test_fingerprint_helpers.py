"""Functions and classes that a task uses: each counts with its code, however the task gets at it."""

from __future__ import annotations

import re
import sys

import pytest

from redun.core.objects import TaskRecord
from tests.core.projects import Project, use, uses

T = "@task()\ndef t(x=0):\n    return {}\n"


def differs(project: Project, text: str, old: str, new: str) -> bool:
    """Returns whether an edit changes the fingerprint of `t`."""
    assert old in text
    return project(text).digest != project(text.replace(old, new)).digest


# -- functions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "body"),
    [
        ("def h():\n    return 1\n", "h()"),
        ("def g():\n    return 1\ndef h():\n    return g()\n", "h()"),
        (
            "def g():\n    return 1\ndef h():\n    def i():\n        return [g() for _ in 'ab']\n    return i\n",
            "h()",
        ),
        ("def h():\n    return 1\n", "[h() for _ in range(3)]"),
        ("def h():\n    return 1\n", "(lambda: h())()"),
        ("def h():\n    return 1\n", "map(h, [x])"),
        ("def h():\n    return 1\n", 'f"{h()}"'),
        ("h = lambda: 1\n", "h()"),
        ("def h():\n    return 1\ng = h\n", "g()"),
        ("def make():\n    def h():\n        return 1\n    return h\nh = make()\n", "h()"),
        ("import functools\n@functools.lru_cache(maxsize=None)\ndef h():\n    return 1\n", "h()"),
        ("import functools\n@functools.cache\ndef h():\n    return 1\n", "h()"),
        ("import functools\ndef g(a):\n    return 1\nh = functools.partial(g, a=0)\n", "h()"),
        ("import functools\ndef g(a):\n    return 0\nh = functools.partial(g, a=1)\n", "h()"),
        ("import contextlib\n@contextlib.contextmanager\ndef h():\n    yield 1\n", "h()"),
        ("async def h():\n    return 1\n", "h()"),
        ("def h(a=1):\n    return a\n", "h()"),
        ("K = 1\ndef h(a=K):\n    return a\n", "h()"),
        ("def g():\n    return 1\ndef h(a=g):\n    return a()\n", "h()"),
        ("fs = []\nfor i in [1, 5]:\n    fs.append(lambda i=i: i)\nh = fs[0]\n", "h()"),
        ("OPS = {'a': lambda: 1}\n", "OPS['a']()"),
        ("def h():\n    return 1\nOPS = {'a': h}\n", "OPS['a']()"),
        ("def h():\n    return 1\nOPS = [('a', h)]\n", "OPS[0][1]()"),
        ("def make(n):\n    return lambda: n\nOPS = {}\nOPS['a'] = make(1)\n", "OPS['a']()"),
    ],
)
def test_a_helper_counts(project: Project, code: str, body: str):
    text = code + T.format(body)
    found = project(text)
    assert found.record.code == "closure", found.untracked
    new = text.replace("    return 1", "    return 2").replace("yield 1", "yield 2").replace(": 1", ": 2")
    new = new.replace("=1)", "=2)").replace("[1,", "[2,").replace("K = 1", "K = 2").replace("make(1)", "make(2)")
    assert found.digest != project(new).digest
    comment = re.sub(r"\n( +)return", r"\n\1# why\n\n\1return", text)
    assert found.digest == project(comment).digest


def test_what_is_not_used_does_not_count(project: Project):
    text = "K = 1\ndef h():\n    return K\n" + T.format("1")
    assert not differs(project, text, "K = 1", "K = 2")
    assert uses(project(text)) == []


def test_a_local_name_is_not_the_module_name_of_the_same_spelling(project: Project):
    text = "k = 1\ni = 1\ndef h():\n    return 1\n@task()\ndef t(h):\n    k = 2\n    return [i for i in h(k)]\n"
    assert uses(project(text)) == []


def test_a_parameter_of_an_inner_function_does_not_hide_the_name_outside_it(project: Project):
    text = "k = 1\n@task()\ndef t():\n    def inner(k):\n        return k\n    return inner(k)\n"
    assert uses(project(text)) == [("constant", "w:k")]


def test_helpers_that_call_each_other_are_each_listed_once(project: Project):
    text = "def a(n):\n    return n and b(n - 1)\ndef b(n):\n    return n and a(n - 1)\n" + T.format("a(x)")
    assert uses(project(text)) == [("function", "w:a"), ("function", "w:b")]
    assert differs(project, text, "b(n - 1)", "b(n - 2)")
    assert differs(project, text, "a(n - 1)", "a(n - 2)")


def test_a_long_chain_of_helpers_is_followed_to_its_end(project: Project):
    lines = [f"def h{i}():\n    return h{i + 1}()\n" for i in range(1500)]
    text = "".join(lines) + "def h1500():\n    return 1\n" + T.format("h0()")
    assert len(project(text).record.uses) == 1501


def test_a_closure_that_holds_itself_ends(project: Project):
    text = "def make(k):\n    def f(n):\n        return f(n - 1) if n else k\n    return f\nh = make(3)\n" + T.format(
        "h(x)"
    )
    found = project(text)
    assert uses(found) == [
        ("function", "w:h"),
        ("function", "w:h.<locals>.f"),
        ("constant", "w:h.<locals>.k"),
    ]
    assert use(found, "w:h.<locals>.f").detail == "w:h"


def test_two_names_that_swap_what_they_are_bound_to_are_told_apart(project: Project):
    text = "def make(k):\n    return lambda: k\nf, g = make(1), make(2)\n" + T.format("f() - g()")
    assert differs(project, text, "make(1), make(2)", "make(2), make(1)")


def test_two_modules_that_swap_what_they_import_are_told_apart(project: Project):
    files = {"a": "def f():\n    return 1\n", "b": "def f():\n    return 2\n"}
    text = "from a import f\nfrom b import f as g\n" + T.format("f() - g()")
    swapped = text.replace("from a", "from c").replace("from b", "from a").replace("from c", "from b")
    assert project(text, **files).digest != project(swapped, **files).digest


def test_an_alias_says_where_it_leads(project: Project):
    found = project("from a import f as g\n" + T.format("g()"), a="def f():\n    return 1\n")
    assert uses(found) == [("function", "a:f"), ("function", "w:g")]
    assert use(found, "w:g").detail == "a:f"


# -- decorators -------------------------------------------------------------------------------------------------------

WRAPPING = """
import functools
def times(n):
    def decorate(f):
        @functools.wraps(f)
        def wrapper(*args):
            return f(*args) * n
        return wrapper
    return decorate
"""


KEEPING = """
import functools
def keep(number, handler):
    def decorate(f):
        @functools.wraps(f)
        def call(*args):
            return f(*args) or handler() or number
        return call
    return decorate
"""


def test_a_helpers_decorator_counts_with_its_arguments(project: Project):
    text = WRAPPING + "N = 3\n@times(N)\ndef h():\n    return 1\n" + T.format("h()")
    found = project(text)
    assert [name for _, name in uses(found)] == [
        "w:N",
        "w:h",
        "w:h@0:w:times.<locals>.decorate.<locals>.wrapper",
        "w:h@0:w:times.<locals>.decorate.<locals>.wrapper.<locals>.f",
        "w:h@0:w:times.<locals>.decorate.<locals>.wrapper.<locals>.n",
        "w:times",
    ]
    assert differs(project, text, "N = 3", "N = 4")
    assert differs(project, text, "* n", "+ n")
    assert differs(project, text, "return 1", "return 2")


def test_a_decorator_below_task_counts_and_the_source_shown_is_the_function(project: Project):
    text = WRAPPING + "@task(memory=1)\n@times(3)\ndef t():\n    return 1\n"
    found = project(text)
    assert project.text(found.source) == "def t():\n    return 1\n"
    assert differs(project, text, "times(3)", "times(4)")
    assert differs(project, text, "* n", "+ n")
    assert differs(project, text, "return 1", "return 2")
    assert not differs(project, text, "memory=1", "memory=2")


def test_a_decorator_without_wraps_counts_too(project: Project):
    text = "def twice(f):\n    def wrapper():\n        return f() * 2\n    return wrapper\n"
    text += "@task(name='t')\n@twice\ndef t():\n    return 1\n"
    assert differs(project, text, "return 1", "return 5")
    assert differs(project, text, "* 2", "* 3")


def test_the_arguments_of_a_librarys_decorator_count(project: Project, tmp_path):
    library = "def retry(n):\n    def decorate(f):\n        def call(*a):\n            return f(*a)\n"
    library += "        call.__wrapped__ = f\n        return call\n    return decorate\n"
    project.write({"lib/site-packages/relib.py": library})
    sys.path.insert(0, str(tmp_path / "lib/site-packages"))
    text = "from relib import retry\n@task()\n@retry(3)\ndef t():\n    return 1\n"
    assert differs(project, text, "retry(3)", "retry(4)")
    helper = "from relib import retry\n@retry(3)\ndef h():\n    return 1\n" + T.format("h()")
    assert differs(project, helper, "retry(3)", "retry(4)")
    assert differs(project, helper, "return 1", "return 2")


def test_own_code_in_a_librarys_closure_counts(project: Project, tmp_path):
    library = "def quiet(f):\n    def call(*a):\n        return f(*a)\n    return call\n"
    project.write({"lib/site-packages/quietlib.py": library})
    sys.path.insert(0, str(tmp_path / "lib/site-packages"))
    text = "from quietlib import quiet\n@quiet\ndef h():\n    return 1\n" + T.format("h()")
    found = project(text)
    assert uses(found) == [("text", "w:h"), ("function", "w:h.<locals>.f"), ("import", "w:quiet")]
    assert differs(project, text, "return 1", "return 2")


def test_one_decorator_put_on_twice_counts_twice(project: Project):
    text = WRAPPING + "@times(3)\n@times(4)\ndef h():\n    return 1\n" + T.format("h()")
    assert differs(project, text, "@times(3)\n@times(4)", "@times(4)\n@times(3)")
    made = WRAPPING + "def g():\n    return 1\nh = times({})(times({})(g))\n" + T.format("h()")
    assert project(made.format(3, 4)).digest != project(made.format(4, 3)).digest


def test_what_a_librarys_decorator_is_given_counts(project: Project):
    project.write({"lib/site-packages/keeplib.py": KEEPING})
    sys.path.insert(0, str(project.folder / "lib/site-packages"))
    text = "import keeplib\nN = 1\ndef handler():\n    return 5\n"
    text += "@task()\n@keeplib.keep(N, handler)\ndef t():\n    return 1\n"
    assert differs(project, text, "N = 1", "N = 2")
    assert differs(project, text, "return 5", "return 6")
    helper = "import keeplib\ndef handler():\n    return 5\ndef g():\n    return 1\nh = keeplib.keep(0, handler)(g)\n"
    assert differs(project, helper + T.format("h()"), "return 5", "return 6")
    assert differs(project, helper + T.format("h()"), "keep(0", "keep(1")


def test_among_several_decorators_that_of_the_engine_does_not_count(project: Project):
    text = "def same(*given):\n    return lambda f: f\n@same\ndef nothing(): pass\n"
    text += "@task(memory=1)\n@same('b')\n@same(\n    f'{1}',  # c\n)\ndef t():\n    return 1\n"
    found = project(text)
    assert project.text(use(found, "w:t.<decorators>").target) == "@ same ( 'b' )\n@ same ( f'{1}' , )"
    assert not differs(project, text, "memory=1", "memory=2")
    assert differs(project, text, "'b'", "'c'")


def test_implementations_of_a_generic_function_count(project: Project):
    text = "import functools\n@functools.singledispatch\ndef h(a):\n    return 1\n"
    text += "@h.register\ndef _(a: int):\n    return 2\n" + T.format("h(x)")
    assert differs(project, text, "return 1", "return 3")
    assert differs(project, text, "return 2", "return 3")


def test_functions_that_registered_themselves_count(project: Project):
    text = "ALL = {}\ndef register(name):\n    def add(f):\n        ALL[name] = f\n        return f\n    return add\n"
    text += "@register('a')\ndef f():\n    return 1\n" + T.format("ALL['a']()")
    assert differs(project, text, "return 1", "return 2")
    assert differs(project, text, "('a')", "('b')")


def test_subclasses_that_registered_themselves_count(project: Project):
    text = "class B:\n    all = {}\n    def __init_subclass__(cls):\n        B.all[cls.__name__] = cls\n"
    text += "class C(B):\n    def m(self):\n        return 1\n" + T.format("B.all['C']().m()")
    assert differs(project, text, "return 1", "return 2")


def test_a_decorator_that_is_an_object_counts(project: Project):
    text = "class memo:\n    def __init__(self, f):\n        self.f = f\n"
    text += "    def __call__(self):\n        return self.f()\n"
    text += "@memo\ndef h():\n    return 1\n" + T.format("h()")
    assert differs(project, text, "return 1", "return 2")
    assert differs(project, text, "return self.f()", "return self.f() + 1")


# -- classes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "body"),
    [
        ("class C:\n    def m(self):\n        return 1\n", "C().m()"),
        ("class C:\n    @property\n    def m(self):\n        return 1\n", "C().m"),
        ("class C:\n    @staticmethod\n    def m():\n        return 1\n", "C.m()"),
        ("class C:\n    @classmethod\n    def m(cls):\n        return 1\n", "C.m()"),
        ("class C:\n    m = lambda self: 1\n", "C().m()"),
        ("class C:\n    k = 1\n", "C.k"),
        ("class C:\n    class D:\n        k = 1\n", "C.D.k"),
        ("class B:\n    def m(self):\n        return 1\nclass C(B):\n    pass\n", "C().m()"),
        ("def h():\n    return 1\nclass C:\n    def m(self):\n        return h()\n", "C().m()"),
        ("K = 1\nclass C:\n    def m(self, k=K):\n        return k\n", "C().m()"),
        ("def h():\n    return 1\nclass C:\n    k = h()\n", "C.k"),
        ("def h(c):\n    c.k = 1\n    return c\n@h\nclass C:\n    pass\n", "C.k"),
        ("class M(type):\n    def m(cls):\n        return 1\nclass C(metaclass=M):\n    pass\n", "C.m()"),
        ("import enum\nclass C(enum.Enum):\n    A = 1\n", "C.A"),
        ("from dataclasses import dataclass\n@dataclass\nclass C:\n    k: int = 1\n", "C().k"),
        ("from typing import NamedTuple\nclass C(NamedTuple):\n    k: int = 1\n", "C().k"),
        ("from collections import namedtuple\nC = namedtuple('C', 'a', defaults=[1])\n", "C()"),
        ("class C(Exception):\n    k = 1\n", "isinstance(x, C)"),
        (
            "def make(n):\n    class C:\n        def m(self):\n            return n\n    return C\nC = make(1)\n",
            "C().m()",
        ),
        ("def make(n):\n    class C:\n        k = n\n    return C\nC = make(1)\n", "C.k"),
        ("class C:\n    def m(self):\n        return 0\ndef m(self):\n    return 1\nC.m = m\n", "C().m()"),
        ("class C:\n    def m(self):\n        return 1\nc = C()\n", "c.m()"),
        ("class C:\n    def m(self):\n        return 1\nm = C().m\n", "m()"),
        ("class C:\n    def __init__(self):\n        self.k = 1\nc = C()\n", "c.k"),
        ("class C:\n    def m(self):\n        return 1\ncs = {'a': [C()]}\n", "cs['a'][0].m()"),
    ],
)
def test_a_class_counts(project: Project, code: str, body: str):
    text = code + T.format(body)
    found = project(text)
    assert found.record.code == "closure", found.untracked
    new = text.replace("return 1", "return 2").replace("= 1", "= 2").replace(": 1", ": 2")
    new = new.replace("make(1)", "make(2)").replace("[1]", "[2]")
    assert found.digest != project(new).digest


def test_a_class_is_listed_with_its_bases_and_what_its_methods_use(project: Project):
    text = """
K = 1
class Base:
    def m(self):
        return K
class C(Base):
    def n(self):
        return super().m()
"""
    assert uses(project(text + T.format("C().n()"))) == [("class", "w:Base"), ("class", "w:C"), ("constant", "w:K")]


def test_an_enum_is_listed_by_its_text_alone(project: Project):
    text = "import enum\nclass C(enum.Enum):\n    A = 1\n    B = enum.auto()\n" + T.format("C.A")
    assert uses(project(text)) == [("class", "w:C")]


def test_docstrings_and_layout_of_a_class_do_not_count(project: Project):
    text = 'class C:\n    """One."""\n    k = 1\n    def m(self):\n        "Two."\n        return 1\n' + T.format(
        "C().m()"
    )
    assert not differs(project, text, "One", "Other")
    assert not differs(project, text, "Two", "Other")
    assert not differs(project, text, "    k = 1\n", "\n    k  =  1  # so\n")


def test_super_reaches_the_class_that_is_in_a_cell_only(project: Project):
    text = "class B:\n    def m(self):\n        return 1\n"
    text += "class C(B):\n    def m(self):\n        return super().m()\nf = C.m\n"
    assert differs(project, text + T.format("f(x)"), "return 1", "return 2")


def test_a_dataclass_with_its_generated_methods_is_trusted(project: Project):
    text = "from dataclasses import dataclass\n@dataclass(frozen=True, slots=True, order=True)\nclass C:\n    a: int\n"
    found = project(text + T.format("C(1)"))
    assert uses(found) == [("class", "w:C"), ("import", "w:dataclass")]
    assert found.untracked == ()
    assert differs(project, text + T.format("C(1)"), "order=True", "order=False")


def test_the_types_of_fields_count(project: Project):
    text = "from dataclasses import dataclass\nclass A:\n    k = 1\n@dataclass\nclass C:\n    a: A\n" + T.format(
        "C(None)"
    )
    assert differs(project, text, "k = 1", "k = 2")


def test_a_class_attribute_edited_after_the_import_is_noticed(project: Project):
    text = "import h\n" + T.format("h.C.k")
    before = project(text, h="class C:\n    k = 1\n")
    module = project.load("w")
    project.write({"h": "class C:\n    k = 2\n"})
    mixed = project.of(module.t)
    after = project.of(project.load("w").t)
    assert len({before.digest, mixed.digest, after.digest}) == 3


def test_a_method_edited_after_the_import_makes_the_code_unknown(project: Project):
    text = "import h\n" + T.format("h.C().m()")
    project(text, h="class C:\n    def m(self):\n        return 1\n")
    module = project.load("w")
    project.write({"h": "class C:\n    def m(self):\n        return 2\n"})
    assert project.of(module.t).record.code == "unknown"


# -- classes and functions found in arguments and results -------------------------------------------------------------


def test_the_fingerprint_of_a_class_is_a_task_object_of_its_qualified_name(project: Project):
    project.write({"w": "K = 1\nclass C:\n    def m(self):\n        return K\n"})
    digest = project.code(project.load("w").C)
    kind, payload = project.encoder.objects[digest]
    record = TaskRecord.parse(payload, strict=True)
    assert (kind, record.fullname, record.code) == ("task", "w:C", "closure")
    assert project.text(record.text).startswith("class C :")
    assert [(each.how, each.name) for each in record.uses] == [("constant", "w:K")]


def test_the_fingerprint_of_a_function_follows_its_code(project: Project):
    digests = []
    for number in (1, 1, 2):
        project.write({"w": f"def g():\n    return {number}\ndef f():\n    return g()\n"})
        digests.append(project.code(project.load("w").f))
    assert digests[0] == digests[1] != digests[2]


def test_the_fingerprint_of_a_class_that_cannot_be_verified_is_never_the_same(project: Project):
    project.write({"w": "class C:\n    def m(self):\n        return 1\n"})
    kind = project.load("w").C
    project.write({"w": "class C:\n    def m(self):\n        return 2\n"})
    assert project.code(kind) != project.code(kind)
