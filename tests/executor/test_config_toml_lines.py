"""The lines of keys in a TOML document."""

from __future__ import annotations

import json
import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from redun.executor.config.toml_lines import key_lines

DOCUMENT = '''# a comment with [brackets] = "and" 'quotes'
top = 1

[a]
b.c = "text with ] and # and \\" quotes" # comment ' "
"quoted key" . 'other' = [ # a list [
  1, "]", # "
  { x = 2 },
]
long = """
[not.a.table]
"quotes" inside \\""" """
literal = \'\'\'
x = 1\'\'\'\'
[ a . d ]
inline = { x = { y = 1 } }
[[rows]]
n = 1
[[rows]]
n = 2
["\\u0061.b"]
last = 1979-05-27 07:32:00'''


def test_each_key_stands_where_it_was_written():
    assert key_lines(DOCUMENT) == {
        ("top",): 2,
        ("a",): 4,
        ("a", "b"): 5,
        ("a", "b", "c"): 5,
        ("a", "quoted key"): 6,
        ("a", "quoted key", "other"): 6,
        ("a", "long"): 10,
        ("a", "literal"): 13,
        ("a", "d"): 15,
        ("a", "d", "inline"): 16,
        ("rows",): 17,
        ("rows", "n"): 18,
        ("a.b",): 21,
        ("a.b", "last"): 22,
    }


def test_windows_line_ends_count_once():
    assert key_lines("a = 1\r\n\r\n[b]\r\nc = 2\r\n") == {("a",): 1, ("b",): 3, ("b", "c"): 4}


def test_an_empty_document_has_no_keys():
    assert key_lines("") == key_lines("# x") == key_lines("\n \t\n") == {}


KEYS = st.one_of(
    st.from_regex(r"[A-Za-z0-9_-]{1,6}", fullmatch=True),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=5).map(
        lambda text: json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
    ),
)
VALUES = st.sampled_from(
    [
        "1",
        "true",
        "''",
        '"\\"#["',
        "'''\n[x]\n'''",
        '"""\n] # = \\""""',
        "[\n 1, # ]\n [2]]",
        "{ a = ']', b = [1] }",
        "1.5e3",
    ]
)


@given(st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=4), max_size=4))
def test_every_key_that_python_reads_is_found_where_its_text_is(tables: dict[str, dict[str, str]]):
    lines = [
        f"[{table}] # x\n" + "".join(f"{key} = {value} # y\n" for key, value in keys.items())
        for table, keys in tables.items()
    ]
    text = "\n".join(lines)
    try:
        read: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # two ways to write one key
    found = key_lines(text)
    expected = {(table,) for table in read} | {(table, key) for table in read for key in read[table]}
    assert set(found) == expected
    for path, line in found.items():
        written = text.split("\n")[line - 1].lstrip("[").replace("]", " ")
        assert tomllib.loads(
            f"{written.split(' # ')[0].strip()} = 0" if len(path) == 1 else f"{written.split(' = ')[0]} = 0"
        ) == {path[-1]: 0}
