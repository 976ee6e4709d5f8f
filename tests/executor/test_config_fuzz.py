"""Whatever stands in a file of settings: it is understood, or it is a ConfigError."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from redun.core.errors import ConfigError
from redun.executor.config.config import Config
from redun.executor.config.listing import rows
from redun.executor.config.resolve import load_settings
from redun.executor.config.schema import KEYS
from redun.executor.config.showing import key_text, masked, place_text, value_text

TOML = b"""
context_file = "c.json"
[store]
path = "x"
[executors.default]
type = "processes"
workers = 3
options = { memory = 4 }
[executors."a b"]
type = "alias"
target = "default"
[limits]
db = 1
[context.a]
b = [1, { c = 2 }]
[tags]
x = true
[gc]
max_size = "1GB"
"""
INI = b"""
[DEFAULT]
d = 1
[backend]
db_uri = sqlite:///redun.db
[executors.default]
type = local
mode = process
max_workers = ${d}
[executors.x]
type = alias
target = default
[scheduler]
context = {"a": 1}
[limits]
db = 1
"""
NAMES = st.one_of(st.sampled_from(sorted({part for key in KEYS for part in key.path})), st.text(max_size=3))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=12,
)
CHANGES = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3), st.binary(max_size=3)), min_size=1, max_size=3)


def shown(load: Any) -> None:
    """Loads settings, and shows all of them where they make sense."""
    with suppress(ConfigError):
        settings = load()
        for row in rows(settings):
            assert key_text(row.path)
            assert value_text(row.path, row.value)
            assert masked(row.path, row.value) is not NotImplemented
            assert place_text(row.origin)


def changed(data: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """Returns data with bytes taken out and put in at some places."""
    for at, gone, new in changes:
        place = at % (len(data) + 1)
        data = data[:place] + new + data[place + gone :]
    return data


@given(st.dictionaries(NAMES, VALUES, max_size=4))
@example({"executors": {"default": {"type": ["threads"]}}})
@example({"executors": {"default": {"type": "local", "mode": ["thread"]}}})
@example({"executors": {"default": {"type": "local", "mode": {}}}})
@example({"executors": {"x": {"type": "alias", "target": []}}})
@example({"scheduler": {"context": [1]}})
@example({"scheduler": {"context": "NaN"}})
@example({"tags": {"x": float("nan")}})
@example({"store": {"durability": []}})
def test_tables_of_a_program(tables: dict[str, Any]):
    shown(lambda: Config(tables).settings)


@given(CHANGES)
def test_a_redun_toml_with_a_slip(changes: list[tuple[int, int, bytes]]):
    with tempfile.TemporaryDirectory() as place:
        Path(place, "c.json").write_text("{}")
        Path(place, "redun.toml").write_bytes(changed(TOML, changes))
        shown(lambda: load_settings(place))


@given(CHANGES)
def test_a_redun_ini_with_a_slip(changes: list[tuple[int, int, bytes]]):
    with tempfile.TemporaryDirectory() as place:
        Path(place, ".redun").mkdir()
        Path(place, ".redun", "redun.ini").write_bytes(changed(INI, changes))
        shown(lambda: load_settings(place, environ={"d": "${d}"}))
