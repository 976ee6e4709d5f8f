"""docs/config.md tells every setting, and what it tells is so."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from redun.core.project_files import CONFIG_VARIABLE
from redun.executor.config.config import Config
from redun.executor.config.schema import ANY, KEYS, VARIABLES, Key
from redun.executor.config.showing import key_text, value_text
from tests.house.source_tree import ROOT

PAGE = (ROOT / "docs" / "config.md").read_text()


def row(key: Key) -> str:
    """The row of a setting in the tables of the page."""
    name = ".".join("NAME" if part == ANY else part for part in key.path)
    default = "" if key.default is None else f"`{value_text((), key.default)}`"
    types = f" ({', '.join(key.types)})" if key.types and key.path[-1] != "type" else ""
    return f"| `{name}` | {key.kind.expected} | {default} | {key.meaning}{types} |"


def test_the_tables_are_the_schema():
    told = [line for line in PAGE.splitlines() if re.match(r"\| `[a-z]", line)]
    assert told == [row(key) for key in KEYS]


def test_the_table_of_variables_is_the_one_of_the_schema():
    told = dict(re.findall(r"^\| `(REDUN_\w+)` \| `?([^|`]+)`? \|$", PAGE, re.MULTILINE))
    assert told == {
        **{name: key_text(path) for name, path in VARIABLES.items()},
        CONFIG_VARIABLE: "the file or directory to read",
    }


def test_the_example_is_understood(tmp_path: Path):
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "context.json").write_text("{}")
    tables = {**tomllib.loads(text), "context_file": str(tmp_path / "context.json")}
    assert Config(tables).settings.limits == {"db": 10}


def test_the_program_runs_as_it_stands():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)
    config = names["config"]
    assert isinstance(config, Config)
    assert config.settings.executors["default"].workers == 4
