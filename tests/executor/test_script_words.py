"""Values put into commands: each is taken by the shell for what it is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun.core.errors import TaskError
from redun.core.expressions import Expression
from redun.core.files.file import File
from redun.core.tasks import task
from redun.executor.scheduler import Scheduler
from redun.executor.scripting.command import command_text
from redun.executor.scripting.words import quote, sh
from redun.store import Store


def words_of(text: str) -> list[str]:
    """Returns the words that a shell makes of a text."""
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {text}"], capture_output=True, check=True)
    return done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]


WORDS = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]))


@given(st.lists(WORDS, min_size=1, max_size=4))
def test_every_text_is_one_word_of_a_shell_whatever_is_in_it(texts: list[str]):
    assert words_of(quote(texts)) == texts
    assert (
        words_of(sh(" ".join(f"{{w{i}}}" for i in range(len(texts))), **{f"w{i}": t for i, t in enumerate(texts)}))
        == texts
    )


def test_paths_files_and_numbers_are_words():
    assert quote([Path("a b"), File("c'd"), 3, -1.5]) == "'a b' 'c'\"'\"'d' 3 -1.5"


def test_a_path_that_looks_like_an_option_is_none():
    assert quote(File("-rf")) == "./-rf"
    assert quote("-rf") == "-rf"


def test_braces_of_the_shell_and_of_awk_stand_as_they_are():
    text = "awk '{print $1}' {data} | sed 's/{2,3}//' > ${OUT} {a,b} {}"
    assert sh(text, data="x y") == text.replace("{data}", "'x y'")


def test_the_indentation_of_the_template_goes_and_that_of_values_stays():
    assert sh("\n    cat {a}\n      | wc\n", a="x\n    y") == "cat 'x\n    y'\n  | wc"


@pytest.mark.parametrize(
    ("template", "values", "message"),
    [
        ("cat {data}", {}, "nothing is given for {data}"),
        ("cat data", {"data": 1}, "the command has no {data}"),
        ("cat ${data}", {"data": 1}, "the command has no {data}"),
        ("cat {data}", {"data": None}, "NoneType is no word"),
        ("cat {data}", {"data": True}, "bool is no word"),
        ("cat {data}", {"data": {"a": 1}}, "dict is no word"),
        ("cat {data}", {"data": "a\0b"}, "can hold a NUL"),
    ],
)
def test_what_cannot_be_meant_is_said(template: str, values: dict[str, object], message: str):
    with pytest.raises(TaskError, match=message):
        sh(template, **values)


@task(namespace="test_script_words")
def name() -> str:
    return "it's"


def test_of_lazy_values_the_command_is_lazy(store: Store):
    command = sh("echo {name} {more}", name=name(), more=["a b"])
    assert isinstance(command, Expression)
    assert Scheduler(store).run(command) == "echo 'it'\"'\"'s' 'a b'"
    assert Scheduler(store).run(quote(name())) == "'it'\"'\"'s'"


def test_a_command_is_text_without_common_indentation_or_quoted_words():
    assert command_text("\n\n    a\n      b\n\n") == "a\n  b"
    assert command_text(["echo", "a b", Path("c d"), 3]) == "echo 'a b' 'c d' 3"


@pytest.mark.parametrize("command", ["", "  \n ", [], None, 3, b"ls", "a\0b", {"a"}])
def test_what_is_no_command_is_said(command: object):
    with pytest.raises(TaskError, match="command"):
        command_text(command)
