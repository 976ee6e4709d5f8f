"""Constants that a task uses: by value, or by the text that makes them, with the code that is in them."""

from __future__ import annotations

import pytest

from redun.core import keys  # noqa: F401  it registers what can be stored, as in every run
from tests.core.projects import TASK, Project, use, uses

T = "@task()\ndef t(x=0):\n    return {}\n"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("K = 1", "K = 2"),
        ("K = 1", "K = 1.0"),
        ("K = 1", "K = True"),
        ("K = 'a'", "K = b'a'"),
        ("K = None", "K = 0"),
        ("K = [1, 2]", "K = [2, 1]"),
        ("K = [1, 2]", "K = (1, 2)"),
        ("K = {'a': 1}", "K = {'a': 2}"),
        ("K = {1, 2}", "K = {1, 3}"),
        ("J = 1\nK = J", "J = 2\nK = J"),
        ("from pathlib import Path\nK = Path('a')", "from pathlib import Path\nK = Path('b')"),
        ("import numpy\nK = numpy.arange(3)", "import numpy\nK = numpy.arange(4)"),
        ("import threading\nK = threading.Semaphore(1)", "import threading\nK = threading.Semaphore(2)"),
        ("import re\nK = re.compile('a')", "import re\nK = re.compile('b')"),
        ("if True:\n    K = object()", "if True:\n    K = object( )()if False else object()"),
    ],
)
def test_a_constant_counts_by_what_it_is(project: Project, one: str, other: str):
    assert project(one + "\n" + T.format("K")).digest != project(other + "\n" + T.format("K")).digest


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("K = 2", "K = 1 + 1"),
        ("K = 'ab'", "K = 'a' 'b'"),
        ("K = {1, 2}", "K = {2, 1}"),
        ("K = [1]", "def make():\n    return [1]\nK = make()"),
        ("import threading\nK = threading.Lock()", "import threading\n\nK  =  threading.Lock()  # one"),
    ],
)
def test_how_a_constant_came_about_does_not_count(project: Project, one: str, other: str):
    assert project(one + "\n" + T.format("K")).digest == project(other + "\n" + T.format("K")).digest


def test_a_constant_read_from_a_file_counts_by_its_content(project: Project):
    text = "from pathlib import Path\nK = Path(__file__).with_name('k.txt').read_text()\n" + T.format("K")
    digests = []
    for content in ("a", "b", "a"):
        (project.folder / "k.txt").write_text(content)
        digests.append(project(text).digest)
    assert digests[0] == digests[2] != digests[1]


def test_constants_are_listed_under_the_module_that_binds_them(project: Project):
    found = project("import h\nfrom h import K as L\n" + T.format("h.K + L"), h="K = 3\n")
    assert uses(found) == [("constant", "h:K"), ("constant", "w:L")]
    assert use(found, "h:K").target == use(found, "w:L").target == project.encoder.value(3)


def test_a_constant_that_code_fills_while_it_runs_keeps_its_first_value(project: Project):
    project.write({"w": TASK + "SEEN = {'a': [1]}\n" + T.format("SEEN")})
    module = project.load("w")
    before = project.of(module.t)
    module.SEEN["a"].append(2)
    module.SEEN["b"] = 3
    assert project.of(module.t).digest == before.digest
    module.SEEN = {"a": [1, 2], "b": 3}
    assert project.of(module.t).digest != before.digest


def test_what_another_tasks_body_fills_counts_as_it_was_before(project: Project):
    text = "SEEN = {}\n@task()\ndef u():\n    SEEN[1] = 2\n@task(version=1)\ndef v():\n    SEEN[1] = 2\n" + T.format(
        "SEEN"
    )
    expected = project(text)
    for other in ("u", "v"):
        module = project.load("w")
        project.of(getattr(module, other))
        getattr(module, other).func()
        assert project.of(module.t).digest == expected.digest


def test_a_table_of_lambdas_counts_by_value_and_by_their_code(project: Project):
    text = (
        "def make(n):\n    return lambda: n\nN = 3\nT = {'a': lambda x: x + 1, 'b': (make(4), N), 'c': [{}]}\n"
        + T.format("T")
    )
    found = project(text)
    assert found.untracked == ()
    assert uses(found) == [
        ("constant", "w:T"),
        ("function", "w:T['a']"),
        ("function", "w:T['b'][0]"),
        ("constant", "w:T['b'][0].<locals>.n"),
    ]
    for old, new in [("x + 1", "x + 2"), ("make(4)", "make(5)"), ("N = 3", "N = 4"), ("'a'", "'z'")]:
        assert project(text.replace(old, new)).digest != found.digest


def test_a_logger_counts_by_its_text_without_a_line(project: Project):
    found = project("import logging\nlog = logging.getLogger(__name__)\n" + T.format("log"))
    assert (uses(found), found.untracked) == ([("text", "w:log")], ())


def test_an_instance_counts_by_value_and_by_the_code_of_its_class(project: Project):
    text = "class Scaler:\n    def __init__(self, by):\n        self.by = by\n"
    text += "    def scale(self, x):\n        return x * self.by\n"
    text += "S = Scaler(3)\n" + T.format("S.scale(x)")
    found = project(text)
    assert uses(found) == [("constant", "w:S"), ("class", "w:Scaler")]
    assert found.untracked == ()
    assert project(text.replace("Scaler(3)", "Scaler(4)")).digest != found.digest
    assert project(text.replace("x * self.by", "x + self.by")).digest != found.digest


def test_ten_thousand_instances_list_their_class_once(project: Project):
    text = "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\nPS = [P(i) for i in range(10_000)]\n"
    assert uses(project(text + T.format("PS"))) == [("class", "w:P"), ("constant", "w:PS"), ("import", "w:dataclass")]


# -- what has no encoding ---------------------------------------------------------------------------------------------


def test_what_has_no_encoding_counts_by_its_assignment_and_is_reported(project: Project):
    found = project("import threading\nLOCK = threading.Lock()\n" + T.format("LOCK"))
    assert uses(found) == [("text", "w:LOCK")]
    assert project.text(use(found, "w:LOCK").target) == "LOCK = threading . Lock ( )"
    (line,) = found.untracked
    assert line.startswith("w:LOCK: has no encoding and counts by the text that makes it: ")


def test_what_the_assignment_uses_counts_too(project: Project):
    text = "import threading\nN = 1\ndef make(n):\n    return threading.Semaphore(n + 1)\nS = make(N)\n" + T.format("S")
    found = project(text)
    assert uses(found) == [("constant", "w:N"), ("text", "w:S"), ("function", "w:make")]
    assert project(text.replace("N = 1", "N = 2")).digest != found.digest
    assert project(text.replace("n + 1", "n + 2")).digest != found.digest


def test_all_assignments_of_a_name_count(project: Project):
    text = "S = object()\nif S:\n    S = object() or 1\n" + T.format("S")
    assert project.text(use(project(text), "w:S").target) == "S = object ( )\nS = object ( ) or 1"


def test_an_unencodable_constant_of_another_module_counts_by_the_text_there(project: Project):
    text = "from h import S\n" + T.format("S")
    found = project(text, h="N = 1\nS = [object() for _ in range(N)]\n")
    assert uses(found) == [("text", "h:N"), ("text", "h:S"), ("import", "w:S")]
    assert project(text, h="N = 2\nS = [object() for _ in range(N)]\n").digest != found.digest


def test_of_an_object_of_a_library_only_its_import_counts(project: Project):
    found = project("from sys import stderr\n" + T.format("stderr"))
    assert uses(found) == [("import", "w:stderr")]
    assert use(found, "w:stderr").detail == "sys:stderr"
    assert found.untracked == ()


def test_a_function_of_numpy_is_a_value_with_a_name(project: Project):
    found = project("from numpy import sin as f\n" + T.format("f"))
    assert uses(found) == [("constant", "w:f")]
    assert project("from numpy import cos as f\n" + T.format("f")).digest != found.digest


def test_an_unencodable_cell_counts_by_the_text_of_the_function_that_made_it(project: Project):
    text = "def make(n):\n    lock = object() if n else None\n    def h():\n        return lock\n    return h\n"
    text += "h = make(1)\n"
    found = project(text + T.format("h()"))
    assert ("text", "w:h.<locals>.lock") in uses(found)
    assert project((text + T.format("h()")).replace("if n", "if not not n")).digest != found.digest


def test_an_object_whose_state_fails_is_no_exception(project: Project):
    text = "class C:\n    def __getstate__(self):\n        raise ValueError('no state')\nS = C()\n"
    found = project(text + T.format("S"))
    assert uses(found) == [("class", "w:C"), ("text", "w:S")]
    assert "no state" in found.untracked[0]


def test_a_constant_that_contains_itself_is_no_exception(project: Project):
    found = project("L = []\nL.append(L)\n" + T.format("L"))
    assert uses(found) == [("text", "w:L")]


def test_nothing_in_the_record_differs_from_run_to_run(project: Project):
    text = "class C:\n    __reduce_ex__ = None\nS = C()\nL = [C(), lambda: S]\n" + T.format("S, L")
    assert project(text).digest == project(text).digest


# -- names that change ------------------------------------------------------------------------------------------------


def test_a_name_assigned_through_global_is_reported_and_not_tracked(project: Project):
    text = "K = 1\ndef set_k(k):\n    global K\n    K = k\n" + T.format("K")
    found = project(text)
    assert uses(found) == [("untracked", "w:K")]
    assert found.untracked == ("w:K: is assigned through `global`",)
    assert project(text.replace("K = 1\n", "K = 2\n")).digest == found.digest


def test_a_name_of_another_module_assigned_through_global_there_is_reported(project: Project):
    found = project("import h\n" + T.format("h.K"), h="K = 1\ndef f():\n    global K\n    K = 2\n")
    assert found.untracked == ("h:K: is assigned through `global`",)


def test_assigning_to_a_module_is_reported(project: Project):
    found = project("import h\n@task()\ndef t():\n    h.K = 2\n", h="K = 1\n")
    assert found.untracked == ("h:K: is assigned while tasks run",)


def test_names_of_the_module_itself_are_nothing(project: Project):
    assert uses(project(T.format("(__name__, __file__, __doc__)"))) == []


# -- lazy expressions as constants ------------------------------------------------------------------------------------


def test_an_expression_counts_by_its_structure(project: Project):
    text = "@task()\ndef u(a):\n    return a\nE = u(1) + [u(2)][0]\n" + T.format("E")
    found = project(text)
    assert uses(found) == [("task", "u"), ("constant", "w:E")]
    assert project(text.replace("u(2)", "u(3)")).digest != found.digest
    assert project(text.replace("return a", "return a + 1")).digest == found.digest
