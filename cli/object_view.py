"""One stored object of any kind as text: values and code as people read them, records by their fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from redun.cli.colors import Paint
from redun.cli.graph import Graph
from redun.cli.parts import call_lines, indented, task_lines, trace_lines
from redun.core.digest import Digest
from redun.core.display import pretty, pretty_expr
from redun.core.forms import printable, printable_lines
from redun.core.frame import KIND_CODES
from redun.core.json_form import record_to_json
from redun.core.objects import CallRecord, SourceRecord, TaskRecord, parse

#: Bytes of a blob that are shown, and in one line.
_PREVIEW: Final = 256
_ROW: Final = 16
#: How the styles of values are coloured.
_ROLES: Final = {"text": "done", "number": "cached", "word": "run", "name": "title", "id": "id"}


def object_view(graph: Graph, kind: str, digest: Digest, paint: Paint) -> Iterator[str]:
    """Yields the lines of an object: its kind and id, and its content."""
    yield f"{kind} {paint(digest.hex(), 'id')}"
    yield ""
    yield from content_lines(graph, kind, digest, paint)


def content_lines(graph: Graph, kind: str, digest: Digest, paint: Paint) -> Iterator[str]:
    """Yields the lines of an object's content."""
    _, payload = graph.store.get(digest)

    def value_paint(text: str, style: str) -> str:
        return paint(text, _ROLES[style])

    if kind == "value" or kind not in KIND_CODES:  # a kind of another tool: plain data and pointers, as a value is
        yield pretty(payload, paint=value_paint)
    elif kind == "expr":
        yield pretty_expr(payload, paint=value_paint)
    elif kind == "blob":
        yield from _blob_lines(memoryview(payload))
    elif kind == "source":
        yield from _source_lines(SourceRecord.parse(payload))
    elif kind == "trace":
        yield from trace_lines(graph, digest)
    elif kind == "task":
        yield from task_lines(graph, digest, graph.source_of(digest), paint)
        yield ""
        record = TaskRecord.parse(payload)
        yield from _field_lines(record_to_json(record), skip=("fullname", "text"))
    elif kind == "call":
        call = CallRecord.parse(payload)
        yield from call_lines(graph, digest, call, paint)
        yield ""
        yield from _field_lines(record_to_json(call))
    else:
        yield from _field_lines(record_to_json(parse(kind, payload)))


def _source_lines(source: SourceRecord) -> Iterator[str]:
    if source.file:
        yield f"{printable(source.file)}, line {source.line}"
        yield ""
    yield from printable_lines(source.text).rstrip("\n").split("\n")


def _blob_lines(payload: memoryview) -> Iterator[str]:
    yield f"{payload.nbytes:,} bytes"
    yield ""
    for start in range(0, min(payload.nbytes, _PREVIEW), _ROW):
        row = bytes(payload[start : start + _ROW])
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        yield f"{start:08x}  {row.hex(' '):<{3 * _ROW - 1}}  {text}"
    if payload.nbytes > _PREVIEW:
        yield f"... {payload.nbytes - _PREVIEW:,} bytes more: --raw writes them all"


def _field_lines(fields: dict[str, Any], skip: tuple[str, ...] = ()) -> Iterator[str]:
    for name, value in fields.items():
        if name in skip:
            continue
        if isinstance(value, list) and value:
            yield f"{name}:"
            yield from indented(_text(item) for item in value)
        elif isinstance(value, list):
            yield f"{name}: none"
        else:
            yield f"{name}: {_text(value)}"


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, dict):
        return "  ".join(f"{name}={_text(item)}" for name, item in value.items())
    if isinstance(value, list):
        return "  ".join(_text(item) for item in value) or "none"
    return printable(str(value))
