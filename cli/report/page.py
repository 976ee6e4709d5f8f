"""The page: one file that asks nobody for anything.

The data stands in it as JSON of which no part can end the element that it stands in; the script writes text, never
markup, and the page's own policy forbids every connection.
"""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from typing import Final

from redun.cli.report.facts import Report

#: What could end the element of the data, or be taken for its beginning or for a comment.
_ESCAPES: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def page(report: Report) -> str:
    """Returns the text of the page."""
    script, style = _part("page.js"), _part("page.css")
    policy = f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:"
    parts = {"POLICY": policy, "STYLE": style, "SCRIPT": script, "DATA": _data(report)}
    text = _part("page.html")
    before, *rest = text.split("{{")
    # Not `replace` one after the other: what stands in the data is no place to put something.
    return before + "".join(parts[name] + after for name, _, after in (piece.partition("}}") for piece in rest))


def _part(name: str) -> str:
    return files("redun.cli.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _data(report: Report) -> str:
    text = json.dumps(report.document(), separators=(",", ":"))
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return text
