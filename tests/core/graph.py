"""A small graph of objects, one of every kind, with real pointers; the golden file holds its bytes.

    python tests/core/graph.py > tests/core/golden/objects.json

writes that file again. Do so only for a new object format: whoever has a store has these bytes.
"""

from __future__ import annotations

import json
import sys

from redun.core.codec import Pointer, pack
from redun.core.digest import OBJECT_FORMATS, Digest, ObjectFormat
from redun.core.frame import object_id
from redun.core.objects import (
    CallRecord,
    ExecRecord,
    ExtRecord,
    Flag,
    HeadRecord,
    How,
    JobRow,
    JobsRecord,
    NoteRecord,
    Outcome,
    SourceRecord,
    Status,
    TaskCount,
    TaskRecord,
    TaskSetRecord,
    TraceFrame,
    TraceRecord,
    TreeRecord,
    Use,
    Why,
)

UUID = bytes(range(16))
STORE = bytes(range(16, 32))


class Graph:
    """Objects by the names that the golden file gives them.

    Attributes:
        objects: name -> (kind, payload).
        ids: name -> id.
    """

    def __init__(self, fmt: ObjectFormat) -> None:
        self._format = fmt
        self.objects: dict[str, tuple[str, bytes]] = {}
        self.ids: dict[str, Digest] = {}
        self._values()
        self._code()
        self._calls()
        self._footprints()
        self._history()

    def _put(self, name: str, kind: str, payload: bytes) -> Digest:
        self.objects[name] = (kind, payload)
        self.ids[name] = object_id(self._format, kind, payload)
        return self.ids[name]

    def _values(self) -> None:
        self._put("value: text", "value", pack("Hello"))
        self._put("value: plain", "value", pack([None, True, -1, 1 << 40, 2.5, "é", b"\0\xff", [], {"b": 1, "a": 2}]))
        self._put("blob", "blob", b"not msgpack at all\n")
        self._put("value: pointers", "value", pack([Pointer(self.ids["value: text"]), Pointer(self.ids["blob"])]))
        self._put("tree", "tree", TreeRecord(0, 9, (self.ids["value: plain"], self.ids["value: text"])).payload())
        self._put("tree: upper", "tree", TreeRecord(1, 9, (self.ids["tree"],)).payload())

    def _code(self) -> None:
        normal = self._put("source: normalised", "source", SourceRecord("def f(x): return x\n").payload())
        self._put("source", "source", SourceRecord("def f(x):\n    return x  # x\n", "w.py", 7).payload())
        self._put("task: version", "task", TaskRecord("a.f", "version", version="2").payload())
        task = TaskRecord(
            "a.f",
            "closure",
            text=normal,
            params=(("x", 1), ("rest", 4)),
            interface=(("nout", "2"),),
            uses=(Use("task", "a.g", detail="g/1"), Use("constant", "a.limit", self.ids["value: text"])),
            includes=(self.ids["value: plain"],),
        )
        self._put("task", "task", task.payload())

    def _calls(self) -> None:
        text, task = self.ids["value: text"], self.ids["task"]
        reduction = self._put("expr", "expr", pack([1, ["a.g"], [[0, 0, [1], {}, {}]], "later"]))
        inner = self._put("call", "call", CallRecord(task, (text,), None, Outcome.VALUE, text).payload())
        self._put("call: partial", "call", CallRecord(task, (text,), reduction, Outcome.PARTIAL, None).payload())
        outer = CallRecord(task, (text, text), reduction, Outcome.RAISED, text, (inner, None), (inner,))
        self._put("call: raised", "call", outer.payload())

    def _footprints(self) -> None:
        value = self.ids["value: text"]
        tasks = TaskSetRecord((("a.f", self.ids["task"], (("x", value),)), ("a.g", self.ids["task: version"], ())))
        self._put("footprint: tasks", "footprint", tasks.payload())
        leaf = self._put("footprint: leaf", "footprint", ExtRecord(own=(value,)).payload())
        ext = self._put("footprint: ext", "footprint", ExtRecord((value,), (leaf,), (("shallow", leaf),)).payload())
        flags = (Flag("volatile", "clock", self.ids["call"]), Flag("unsatisfiable", "a.txt"))
        head = HeadRecord(self.ids["footprint: tasks"], flags, (("a.b", value), ("c", None)), ext)
        self._put("footprint: head", "footprint", head.payload())

    def _history(self) -> None:
        value, call, head = self.ids["value: text"], self.ids["call"], self.ids["footprint: head"]
        cause = self._put("trace: cause", "trace", TraceRecord("KeyError: 'k'").payload())
        frames = (TraceFrame("w.py", 9, "f", "x = 1 / 0"),)
        trace = TraceRecord("ZeroDivisionError: division by zero", frames, ("a note",), cause)
        self._put("trace", "trace", trace.payload())
        rows = (
            JobRow(1, call, 0, Status.DONE, How.RAN, Why.FIRST, 10, 250, head=head),
            JobRow(2, call, 0, Status.DONE, How.WHOLE, Why.NONE, 11, 1, head=head, counts=(("a.f", 3),)),
            JobRow(
                0,
                None,
                -1,
                Status.FAILED,
                How.RAN,
                Why.CODE,
                0,
                -1,
                "dask",
                2,
                call,
                trace=self.ids["trace"],
                remote="r",
            ),
            JobRow(
                3,
                call,
                0,
                Status.DONE,
                How.RAN,
                Why.EXTERNAL,
                12,
                2,
                compared=call,
                stale=((value, call), (value, None)),
            ),
        )
        page = self._put("jobs", "jobs", JobsRecord(UUID, rows).payload())
        first = ExecRecord(UUID, STORE, None, None, Status.INTERRUPTED, 1_700_000_000_000_000, 0, ())
        parent = self._put("exec: first", "exec", first.payload())
        run = ExecRecord(
            UUID,
            STORE,
            parent,
            call,
            Status.FAILED,
            1_700_000_000_000_000,
            1_700_000_001_000_000,
            ("run", "w.py", "main"),
            info=(("host", "h"), ("user", "u")),
            pages=(page,),
            rows=4,
            counts=(TaskCount("a.f", failed=1, cached=1, done=1),),
            sources=((self.ids["task"], self.ids["source"]),),
            trace=self.ids["trace"],
            tags=(("project", "p"),),
        )
        about = self._put("exec", "exec", run.payload())
        self._put("note", "note", NoteRecord("tag", about, "", (("k", "v"),), 1, "u").payload())


def golden() -> dict[str, dict[str, dict[str, str]]]:
    """Returns the content of the golden file as the code of today would write it."""
    return {
        fmt.name: {
            name: {"kind": kind, "id": graph.ids[name].hex(), "payload": payload.hex()}
            for name, (kind, payload) in graph.objects.items()
        }
        for fmt in OBJECT_FORMATS.values()
        for graph in [Graph(fmt)]
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(golden(), indent=1) + "\n")
