"""The normal form of source: what it leaves out, what it keeps, and that every Python makes the same one."""

from __future__ import annotations

import ast
import glob
import io
import json
import os
import subprocess
import sys
import sysconfig
import token
import tokenize
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redun.core.normal_form import definition_span, imported_names, logical_lines, normalise

ROOT = Path(__file__).resolve().parents[2]


# -- examples ---------------------------------------------------------------------------------------------------------


def test_it_is_one_logical_line_a_line_with_single_spaces():
    text = "    def f(a,b = 2):  # about\n\n\t    # more\n        if a:\n          return ( a +\n   b )\n"
    assert normalise(text) == "def f ( a , b = 2 ) :\n    if a :\n        return ( a + b )"


def test_tabs_count_up_to_the_next_multiple_of_eight():
    assert normalise("def f():\n        if a:\n\t\tb\n\tc\n") == "def f ( ) :\n    if a :\n        b\n    c"


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ('def f():\n    """Doc."""\n    return 1', "def f ( ) :\n    return 1"),
        ('def f():\n    """Doc."""', "def f ( ) :"),
        ('def f(): "Doc."', "def f ( ) :"),
        ('def f(): "Doc."; return 1', "def f ( ) : return 1"),
        ('def f():\n    "Doc."; return 1', "def f ( ) :\n    return 1"),
        ("def f():\n    'a' \\\n    r'b'\n    return 1", "def f ( ) :\n    return 1"),
        ('async def f():\n    "Doc."\n    await g()', "async def f ( ) :\n    await g ( )"),
        ('class C(B):\n    "Doc."\n    a = 1', "class C ( B ) :\n    a = 1"),
        ('class C: "Doc."', "class C :"),
        (
            'def f():\n    def g():\n        "Doc."\n        return 1\n    return g',
            "def f ( ) :\n    def g ( ) :\n        return 1\n    return g",
        ),
        ('def f(a=lambda: 1) -> "x":\n    "Doc."\n    pass', 'def f ( a = lambda : 1 ) -> "x" :\n    pass'),
        ("def f[T: int](a):\n    'Doc.'\n    pass", "def f [ T : int ] ( a ) :\n    pass"),
    ],
)
def test_docstrings_are_left_out(text: str, normal: str):
    assert normalise(text) == normal


@pytest.mark.parametrize(
    "text",
    [
        'def f ( ) :\n    b"bytes"\n    return 1',
        'def f ( ) :\n    f"formatted"\n    return 1',
        'def f ( ) :\n    "a" . join ( b )',
        'def f ( ) :\n    "a" + b',
        'def f ( ) :\n    a\n    "not first"',
        'if a :\n    "no definition"',
        'def f ( ) :\n    "Doc."\n    return f . __doc__',
        'def f ( ) :\n    "Doc."\n    return inspect . getdoc ( f )',
    ],
)
def test_other_strings_are_kept(text: str):
    assert normalise(text) == text


@pytest.mark.parametrize(
    "string",
    [
        "f'{a}'", "rf'{a}\\\\'", "rf'\\'{a}'", "f'{{}}'", "f'{a!r:>{w}}'", "f'{a:{b}{c}}'", "f'{d[\"k\"]}'",
        "f'''{\n a\n}'''", "f'{a:%H:%M}'", "f'{lambda_}'", "f'\\N{BULLET}'", "f'\\{a}'", "f'{a = }'", "f'{a != b}'",
        "f'{(lambda x: x)(1)}'", "f'{ {1: 2}[1] }'", "f'{f\"{a}\"}'", "f'{a['k']}'", "f'{f'{f'{1}'}'}'", "f'{'}'}'",
        "f'{a:{'>'}10}'", "f'''{'a' # comment }\n}'''", "t'{a}'", "'\\''", "'\\\\'", "r'\\'x'", "'''a'b''c\\''''",
        "b'\\x00'", "Rb'\\''", "u'é'", "'a\\\nb'", '""',
    ],
)  # fmt: skip
def test_a_string_is_one_token_whatever_is_in_it(string: str):
    (line,) = logical_lines(f"x = {string} + y\n")
    assert line.tokens == ["x", "=", string, "+", "y"]


def test_a_name_is_one_token_in_any_script():
    (line,) = logical_lines("größe·1 = 数 if ℘ else ª\n")
    assert line.tokens == ["größe·1", "=", "数", "if", "℘", "else", "ª"]


def test_windows_and_old_mac_newlines_are_newlines():
    text = "def f():\n    '''a\n    b''' + c\n    return 1\n"
    assert normalise(text.replace("\n", "\r\n")) == normalise(text.replace("\n", "\r")) == normalise(text)


@pytest.mark.parametrize(
    "text", ["", "\n", "'", "'''a", "f'{", "f'{a:", "(", ")", "\\", "f'\\N{", "$", "\x00", "def", "if 1:\n\t"]
)
def test_text_that_is_no_python_does_not_fail(text: str):
    assert normalise(text) is not None
    definition_span(text, 0)


def test_the_span_of_a_definition_ends_with_its_last_statement():
    text = "@a(\n 1)\n@b\n# about\ndef f(\n):\n    x\n\n    y  # last\n  # comment\n\nz = 1\n"
    assert definition_span(text, 0) == (text.index("def"), text.index("  # comment"))
    assert definition_span(text, text.index("z =")) is None
    assert definition_span("def f(): return {1:\n 2}\nx", 0) == (0, len("def f(): return {1:\n 2}\n"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import a", "a=a"),
        ("import a.b", "a=a"),
        ("import a.b as c, d", "c=a.b d=d"),
        ("from a.b import c, d as e", "c=a.b:c e=a.b:d"),
        ("from ..a import (b as c, # why\n d,)", "c=..a:b d=..a:d"),
        ("from . import a; import b", "a=.:a b=b"),
        ("from ... import a", "a=...:a"),
        ("from a import *", "*=a:*"),
        ("import_ = 1", ""),
        ("from_(a)", ""),
        ("import", ""),
        ("from a", ""),
    ],
)
def test_what_import_statements_bind(text: str, expected: str):
    (line,) = logical_lines(text)
    assert " ".join(f"{name}={target}" for name, target in imported_names(line.tokens)) == expected


# -- against Python's own tokenizer -----------------------------------------------------------------------------------


def own_files() -> list[Path]:
    """Returns files of ours and a sample of the standard library."""
    library = sorted(glob.glob(os.path.join(sysconfig.get_path("stdlib"), "*.py")))
    hard = [
        Path(sysconfig.get_path("stdlib"), "test", f"test_{name}.py") for name in ("fstring", "tokenize", "grammar")
    ]
    return [*sorted(ROOT.glob("redun_core/*.py")), *map(Path, library[::4]), *(path for path in hard if path.exists())]


def pythons_tokens(text: str) -> list[tuple[int, list[str]]]:
    """Returns (level, tokens) of each logical line as `tokenize` has them, f-strings put together again."""
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    lines: list[tuple[int, list[str]]] = []
    current: list[str] = []
    level = fstrings = begin = 0
    for found in tokenize.generate_tokens(io.StringIO(text).readline):
        name = token.tok_name[found.type]
        start, end = (starts[row - 1] + column for row, column in (found.start, found.end))
        if name == "FSTRING_START":
            begin = start if not fstrings else begin
            fstrings += 1
        elif name == "FSTRING_END":
            fstrings -= 1
            if not fstrings:
                current.append(text[begin:end])
        elif fstrings or name in ("COMMENT", "NL", "ENDMARKER"):
            continue
        elif name in ("INDENT", "DEDENT"):
            level += 1 if name == "INDENT" else -1
        elif name == "NEWLINE":
            lines.append((level, current))
            current = []
        else:
            current.append(found.string)
    return lines


def our_tokens(text: str) -> list[tuple[int, list[str]]]:
    """Returns (level, tokens) of each logical line as we have them."""
    lines = []
    blocks = [0]
    for line in logical_lines(text):
        while line.indent < blocks[-1]:
            blocks.pop()
        if line.indent > blocks[-1]:
            blocks.append(line.indent)
        lines.append((len(blocks) - 1, line.tokens))
    return lines


@pytest.mark.parametrize("path", own_files(), ids=lambda path: path.stem)
def test_tokens_are_those_of_pythons_tokenizer(path: Path):
    with tokenize.open(path) as stream:
        text = stream.read()
    assert our_tokens(text) == pythons_tokens(text)


# -- every Python makes the same one ----------------------------------------------------------------------------------

NEWER = """
def f(d):
    return f'{d['k']}' + f'{f'{1}'}' + f'''{
        d  # comment
    }'''
"""
COMPARE = """
import json, sys, hashlib
from redun.core.sources import normalise
print(json.dumps([hashlib.sha256(normalise(text).encode()).hexdigest() for text in json.load(sys.stdin)]))
"""


def other_pythons() -> dict[str, str]:
    """Returns interpreters of other versions that we support and that are on this machine, by version."""
    candidates = glob.glob(str(Path.home() / ".pyenv/versions/3.1[1-9].*/bin/python"))
    candidates += [str(Path(folder, f"python3.{minor}")) for folder in os.get_exec_path() for minor in range(11, 20)]
    found: dict[str, str] = {}
    for python in filter(os.path.exists, candidates):
        command = [python, "-c", "import sys; print(*sys.version_info[:3])"]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        if not told.returncode:
            found.setdefault(".".join(told.stdout.split()), python)
    found.pop(".".join(map(str, sys.version_info[:3])), None)
    return found


OTHERS = other_pythons()


@pytest.mark.parametrize("version", OTHERS)
def test_the_normal_form_is_the_same_under(version: str):
    texts = [NEWER]
    for path in own_files():
        with tokenize.open(path) as stream:
            texts.append(stream.read())
    run = subprocess.run(
        [OTHERS[version], "-B", "-c", COMPARE],
        input=json.dumps(texts),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    here = subprocess.run(
        [sys.executable, "-c", COMPARE], input=json.dumps(texts), capture_output=True, text=True, check=True
    )
    assert json.loads(run.stdout) == json.loads(here.stdout)


# -- properties -------------------------------------------------------------------------------------------------------


def definitions() -> list[str]:
    """Returns texts of functions and classes to play with."""
    texts = []
    for path in own_files():
        with tokenize.open(path) as stream:
            text = stream.read()
        lines = text.split("\n")
        nodes = [node for node in ast.parse(text).body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
        spans = [(node.lineno - 1, node.end_lineno or node.lineno) for node in nodes]
        texts += ["\n".join(lines[start:end]) + "\n" for start, end in spans if end - start < 60]
    return sorted(texts, key=len)


DEFINITIONS = definitions()
COMMENTS = st.sampled_from(["", "# comment", "#", "    # 'quoted'", "\t# x = (", "   ", "\f", "  # été"])
TRAILING = st.sampled_from(["", "  # said", "  ", "\t", " \\\n"])
UNITS = st.sampled_from([" ", "  ", "   ", "    ", "\t", "      "])
SPACES = st.sampled_from([" ", "  ", "\t", " \\\n  "])


@given(st.sampled_from(DEFINITIONS), st.data())
def test_layout_never_changes_it(text: str, data: st.DataObject):
    written = []
    unit = data.draw(UNITS)
    base = data.draw(st.sampled_from(["", "    ", "\t"]))
    for level, tokens in pythons_tokens(text):
        written += data.draw(st.lists(COMMENTS, max_size=2))
        line = tokens[0] + "".join(data.draw(SPACES) + each for each in tokens[1:])
        written.append(base + unit * level + line + data.draw(st.sampled_from(["", "  # said", "  ", "\t"])))
    again = "\n".join(written) + data.draw(st.sampled_from(["", "\n", "\n\n# end\n"]))
    assert normalise(again) == normalise(text)


@given(st.sampled_from(DEFINITIONS))
def test_it_is_its_own_normal_form(text: str):
    assert normalise(normalise(text)) == normalise(text)


@given(st.sampled_from(DEFINITIONS), st.data())
def test_changing_any_token_changes_it(text: str, data: st.DataObject):
    lines = our_tokens(normalise(text))
    number = data.draw(st.integers(0, len(lines) - 1))
    level, tokens = lines[number]
    place = data.draw(st.integers(0, len(tokens) - 1))
    change = data.draw(st.sampled_from(["replace", "remove", "insert", "indent"]))
    other = data.draw(st.sampled_from(["x", "+", "0", "("]).filter(lambda new: new != tokens[place]))
    if change == "replace":
        tokens[place] = other
    elif change == "insert":
        tokens.insert(place, other)
    elif change == "remove":
        del tokens[place]
    elif number and lines[number - 1][0] == level:
        lines[number] = (level + 1, tokens)  # a block of its own
    else:
        tokens.append(other)
    edited = "\n".join("    " * level + " ".join(tokens) for level, tokens in lines)
    assert normalise(edited) != normalise(text)
