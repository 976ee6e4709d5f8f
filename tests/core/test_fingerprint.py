"""The fingerprint of a task: what of its own code counts, and what does not."""

from __future__ import annotations

import sys

import pytest

from redun.core.errors import CannotEncode
from redun.core.objects import SourceRecord, TaskRecord
from tests.core.projects import TASK, Project, use, uses

PLAIN = "@task()\ndef t(x, y=2):\n    z = x + y\n    return z * 3\n"


# -- its own text -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "same",
    [
        "\n\n# moved down\n" + PLAIN,
        PLAIN.replace("    z", "    # why\n\n    z"),
        PLAIN.replace("    ", "  "),
        PLAIN.replace("    ", "\t"),
        PLAIN.replace("x + y", "x  +  y  # sum"),
        PLAIN.replace("x + y", "x + \\\n        y"),
        PLAIN.replace("(x, y=2)", "(\n    x,  # first\n    y=2\n)"),
        PLAIN.replace("    z", '    """What it does."""\n    z', 1),
        PLAIN.replace("    z", "    '''What it does.''' 'Still.'\n    z", 1),
        PLAIN.replace("@task()", "@task"),
        PLAIN.replace("@task()", '@task(cache=False, check_valid="shallow", executor="big")'),
        PLAIN.replace("@task()", "# about it\n@task(\n)  # so"),
        "def other():\n    return 1\n\n" + PLAIN,
        "UNUSED = 3\n" + PLAIN,
    ],
)
def test_layout_comments_docstrings_and_options_do_not_count(project: Project, same: str):
    assert project(PLAIN).digest == project(same).digest


@pytest.mark.parametrize(
    "other",
    [
        PLAIN.replace("* 3", "* 4"),
        PLAIN.replace("y=2", "y=5"),
        PLAIN.replace("x, y", "y, x"),
        PLAIN.replace("return z", "return x"),
        PLAIN.replace("(x, y=2)", "(x, /, y=2)"),
        PLAIN.replace("(x, y=2)", "(x: int, y=2)"),
        PLAIN.replace("def t", "async def t"),
        PLAIN.replace("    return", "    if z:\n        return"),
        PLAIN.replace("    z =", "    'not the docstring' if x else 1\n    z ="),
    ],
)
def test_every_token_of_the_function_counts(project: Project, other: str):
    assert project(PLAIN).digest != project(other).digest


def test_a_docstring_counts_where_the_code_reads_it(project: Project):
    text = '@task()\ndef t():\n    """One."""\n    return t.__doc__\n'
    assert project(text).digest != project(text.replace("One", "Two")).digest


def test_an_async_task_counts_from_its_first_line_on(project: Project):
    text = "@task(cache=True)\nasync def t():\n    y = 1\n    def inner():\n        return y\n    return inner()\n"
    found = project(text)
    assert found.digest != project(text.replace("y = 1", "y = 2")).digest
    assert found.digest == project(text.replace("cache=True", "cache=False")).digest


def test_the_name_of_the_file_and_its_folder_do_not_count(project: Project):
    one = project(PLAIN, pkg__a=TASK + PLAIN)
    (project.folder / "elsewhere").mkdir()
    project.write({"elsewhere/w.py": "\n\n" + TASK + PLAIN})
    (project.folder / "w.py").unlink()
    sys.path.insert(0, str(project.folder / "elsewhere"))
    assert project.of(project.load("w").t).digest == one.digest


def test_the_full_name_counts(project: Project):
    assert project(PLAIN).digest != project('redun_namespace = "a"\n' + PLAIN).digest


def test_the_record_tells_the_whole_and_reads_back(project: Project):
    found = project(
        "K = 3\ndef helper(x):\n    return x * K\n@task(nout=2)\ndef t(a, *b, c=1):\n    return helper(a)\n"
    )
    record = found.record
    assert (record.fullname, record.code, record.version) == ("t", "closure", None)
    assert record.params == (("a", 1), ("b", 2), ("c", 3))
    assert record.interface == (("nout", "2"),)
    assert uses(found) == [("constant", "w:K"), ("function", "w:helper")]
    assert project.text(record.text) == "def t ( a , * b , c = 1 ) :\n    return helper ( a )"
    assert project.text(use(found, "w:helper").target) == "def helper ( x ) :\n    return x * K"
    assert found.untracked == ()
    kind, payload = project.encoder.objects[found.digest]
    assert kind == "task"
    assert TaskRecord.parse(payload, strict=True) == record


def test_the_exact_source_is_kept_beside_it(project: Project):
    text = "@task(cache=True)\ndef t(x):  # exactly\n\n    # so\n    return  x\n# not this\n"
    found = project(text)
    record = SourceRecord.parse(project.encoder.objects[found.source][1])
    assert record.text == "def t(x):  # exactly\n\n    # so\n    return  x\n"
    assert (record.file, record.line) == (str(project.folder / "w.py"), 3)


def test_fingerprints_are_equal_each_time_they_are_made(project: Project):
    project("K = [1]\n@task()\ndef t():\n    return K\n")
    module = project.load("w")
    assert project.of(module.t) == project.of(module.t)


# -- how much counts --------------------------------------------------------------------------------------------------

HELPED = "def helper():\n    return 1\n@task({})\ndef t():\n    return helper()\n"


def test_code_function_counts_its_own_text_only(project: Project):
    text = HELPED.format('code="function"')
    found = project(text)
    assert found.record.code == "function"
    assert found.record.uses == ()
    assert found.digest == project(text.replace("return 1", "return 2")).digest
    assert found.digest != project(text.replace("return helper()", "return helper() + 1")).digest


def test_a_version_stands_for_all_code(project: Project):
    text = HELPED.format('version="1"')
    found = project(text)
    assert (found.record.code, found.record.version, found.record.text) == ("version", "1", None)
    assert found.record.uses == ()
    assert found.digest == project(text.replace("return helper()", "return 5")).digest
    assert found.digest != project(text.replace('"1"', '"2"')).digest


def test_a_version_does_not_stand_for_hash_includes_and_parameters(project: Project):
    text = 'K = 1\n@task(version="1", hash_includes=[K])\ndef t(x):\n    return K\n'
    found = project(text)
    assert len(found.record.includes) == 1
    assert found.digest != project(text.replace("K = 1", "K = 2")).digest
    assert found.digest != project(text.replace("t(x)", "t(x, y)")).digest


def test_hash_includes_count_in_any_order(project: Project):
    text = '@task(hash_includes=["a", "b"])\ndef t():\n    return 1\n'
    assert project(text).digest == project(text.replace('"a", "b"', '"b", "a"')).digest
    assert project(text).digest != project(text.replace('"b"', '"c"')).digest


def test_a_helper_in_hash_includes_counts_with_its_code(project: Project):
    text = 'def h():\n    return 1\n@task(version="1", hash_includes=[h])\ndef t():\n    return h()\n'
    assert project(text).digest != project(text.replace("return 1", "return 2")).digest
    assert project(text).digest == project(text.replace("    return 1", "    # one\n    return 1")).digest


def test_a_task_in_hash_includes_counts_with_its_code(project: Project):
    text = '@task()\ndef u():\n    return 1\n@task(version="1", hash_includes=[u])\ndef t():\n    return u()\n'
    assert project(text).digest != project(text.replace("return 1", "return 2")).digest


def test_what_hash_includes_cannot_encode_is_an_error_that_names_the_task(project: Project):
    with pytest.raises(CannotEncode, match=r"hash_includes of task t: .*lock"):
        project("import threading\n@task(hash_includes=[threading.Lock()])\ndef t():\n    return 1\n")


@pytest.mark.parametrize("options", ["", 'code="function", ', 'version="1", '])
def test_versions_of_distributions_count_when_asked_for(project: Project, options: str):
    found = project(f'@task({options}track_versions=["numpy", "no-such-thing"])\ndef t():\n    return 1\n')
    assert uses(found) == [("untracked", "no-such-thing"), ("distribution", "numpy")]
    assert use(found, "numpy").detail.count(".") >= 1
    assert found.untracked == ("no-such-thing: is not installed",)


# -- code that cannot be trusted --------------------------------------------------------------------------------------


def test_a_file_edited_after_the_import_and_before_the_capture_makes_the_code_unknown(project: Project):
    text = """
from pathlib import Path
Path(__file__).write_text(Path(__file__).read_text().replace("return 1", "return 2"))
@task()
def t():
    return 1
"""
    found = project(text)
    assert found.record.code == "unknown"
    assert found.record.text is None
    assert found.untracked == ("t: source does not compile to this code (edited after import?)",)


def test_a_file_edited_after_the_capture_changes_nothing(project: Project):
    before = project(PLAIN)
    module = project.load("w")
    project.write({"w": TASK + PLAIN.replace("* 3", "* 4")})
    assert project.of(module.t).digest == before.digest


def test_a_helper_edited_after_the_import_makes_the_code_unknown(project: Project):
    text = "import h\n@task()\ndef t():\n    return h.f()\n"
    project(text, h="def f():\n    return 1\n")
    module = project.load("w")
    project.write({"h": "def f():\n    return 2\n"})
    found = project.of(module.t)
    assert (found.record.code, found.record.text) == ("unknown", None)
    assert found.untracked == ("h:f: source does not compile to this code (edited after import?)",)


def test_another_function_put_in_a_tasks_place_counts(project: Project):
    project.write({"w": TASK + "def fake():\n    return 2\n@task()\ndef t():\n    return 1\n"})
    module = project.load("w")
    before = project.of(module.t)
    module.t.func = module.fake
    after = project.of(module.t)
    assert before.digest != after.digest
    assert project.text(after.source) == "def fake():\n    return 2\n"


def test_code_without_source_is_unknown_unless_it_has_a_version(project: Project):
    scope: dict[str, object] = {"__name__": "made"}
    exec(TASK + "@task()\ndef t():\n    return 1\n@task(version=1)\ndef v():\n    return 1\n", scope)
    found = project.of(scope["t"])
    assert (found.record.code, found.untracked) == ("unknown", ("t: no source",))
    assert project.of(scope["v"]).record.code == "version"


# -- factories --------------------------------------------------------------------------------------------------------


def test_tasks_made_by_a_factory_differ_by_what_they_close_over(project: Project):
    project.write({"w": TASK + "def make(n):\n    @task()\n    def t():\n        return n\n    return t\n"})
    module = project.load("w")
    one, two, again = project.of(module.make(1)), project.of(module.make(2)), project.of(module.make(1))
    assert one.record.text == two.record.text
    assert one.digest != two.digest
    assert one.digest == again.digest
    assert uses(one) == [("constant", "w:make.<locals>.t.<locals>.n")]
