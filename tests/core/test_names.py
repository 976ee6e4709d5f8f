"""Which names of a function come from outside it."""

from __future__ import annotations

import ast
import builtins
import glob
import os
import symtable
import sysconfig
import tokenize
from pathlib import Path
from typing import Any

import pytest

from redun.core.names import Imported, Names, bound_names, names_in, names_in_function, top_level


def of(body: str, head: str = "def f(a, *b, c=1, **d)") -> Names:
    """Returns the names of a function with that body."""
    indented = "".join(f"    {line}\n" for line in body.split("\n"))
    node = ast.parse(f"{head}:\n{indented}").body[0]
    assert isinstance(node, ast.FunctionDef)
    return names_in_function(node)


def outside(names: Names) -> list[str]:
    """Returns names with the attributes taken of them, dotted."""
    return sorted({".".join((found.name, *found.chain)) for found in names.references})


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return a, b, c, d, e", "e"),
        ("x = 1\nreturn x", ""),
        ("return x\nx = 1", ""),
        ("for x in y: z = x\nreturn z", "y"),
        ("with x as (y, [z]): return y, z", "x"),
        ("try: pass\nexcept E as e: return e", "E"),
        ("import x, y.z as w\nreturn x, w", "w x"),
        ("return [x for x in y]", "y"),
        ("return [x for x in x]", "x"),
        ("return [y for x in z for y in x if w]", "w z"),
        ("return {k: v for k, v in z}, {x for x in z}, (x for x in z), x", "x z"),
        ("return [x := y for y in z], x", "z"),
        ("return lambda x, y=z: (x, y, w)", "w z"),
        ("def g(x, y=z):\n    return x, y, w, a\nreturn g", "w z"),
        ("def g():\n    nonlocal a\n    a = 1\nreturn g", ""),
        ("def g():\n    global a\n    return a\nreturn g", "a"),
        ("global x\nx = 1\nreturn x", "x"),
        ("def g():\n    return g()\nreturn g", ""),
        ("@x\ndef g(): pass", "x"),
        ("def g(p: x) -> y: pass", ""),
        ("x: y = z", "z"),
        ("class C(x, k=y):\n    z: w = v\n    def m(self): return z, __class__, C", "v w x y z"),
        ("class C:\n    x = x\n    y = x", "x"),
        ("class C:\n    x = 1\n    def m(self): return x", "x"),
        ("class C:\n    x = 1\n    y = [x for _ in x]", "x"),
        ("del x", ""),
        ("x += 1", ""),
        ("x[0] = y", "x y"),
        ("x.y.z = w", "w x.y.z"),
        ("return x.y.z(w.v)[u].t", "u w.v x.y.z"),
        ("return x().y", "x"),
        ("return getattr(x, 'y'), getattr(x.y, 'z', w)", "w x.y x.y.z"),
        ("return f'{x.y:{z}}'", "x.y z"),
        ("match x:\n    case C(p=y, q=z.w): return y\n    case [*m] | {'k': n, **o}: return m, n, o", "C x z.w"),
        ("match x:\n    case None as y: return y\n    case [(z, *_), {**w}]: return z, w, _", "_ x"),
        ("async def g():\n    async for x in y: await x\n    async with z as w: return [v async for v in w]", "y z"),
        ("return (yield x), (yield from y)", "x y"),
        ("assert x, y\nraise z from w", "w x y z"),
    ],
)
def test_names_from_outside_are_found(body: str, expected: str):
    assert " ".join(outside(of(body))) == expected


def test_decorators_defaults_and_annotations_of_the_function_itself_are_left_out():
    assert outside(of("pass", "@x\ndef f(a: y = z, *, b=w) -> v")) == []
    (node,) = ast.parse("@x\ndef f(a: y = z, *, b=w) -> v: return u").body
    assert outside(names_in([node])) == ["u", "w", "x", "z"]


def test_imports_inside_say_where_the_name_comes_from():
    names = of("import a.b\nimport a.b as c\nfrom .d import e as g\nfrom .. import h\na.b.x; c.y; g(); h.z")
    assert {(found.imported, found.chain) for found in names.references} == {
        (Imported("a", "", 0), ("b", "x")),
        (Imported("a.b", "", 0), ("y",)),
        (Imported("d", "e", 1), ()),
        (Imported("", "h", 2), ("z",)),
    }


def test_attributes_that_are_assigned_are_marked():
    names = of("x.y = 1\ndel x.z\nx.w += 1\nreturn x.v")
    assert {(found.chain[0], found.assigned) for found in names.references} == {
        ("y", True),
        ("z", True),
        ("w", True),
        ("v", False),
    }


def test_names_that_a_class_body_reads_may_be_missing_and_those_of_its_methods_may_not():
    names = of("class C:\n    x = y\n    def m(self): return z")
    assert {(found.name, found.quiet) for found in names.references} == {("y", True), ("z", False)}


@pytest.mark.parametrize(
    ("body", "remarks"),
    [
        ("eval(x)", ["calls eval()"]),
        ("exec(x); globals()", ["calls exec()", "calls globals()"]),
        ("importlib.import_module(x)", ["calls import_module()"]),
        ("getattr(x, y)", ["calls getattr() with a computed name"]),
        ("getattr(x, 'y'); x.eval(); x.getattr(y, z)", []),
        ("eval = x\neval(y)", []),
    ],
)
def test_what_cannot_be_read_is_remarked_upon(body: str, remarks: list[str]):
    assert list(of(body).remarks) == remarks


def test_a_deep_tree_is_read():
    assert outside(of("return " + " + ".join(["x"] * 900))) == ["x"]
    assert outside(of("return x" + ".y" * 900)) == ["x" + ".y" * 900]


def test_statements_inside_others_bind_names_of_the_module():
    tree = ast.parse(
        "if a:\n    b = 1\nelse:\n    try:\n        import c\n    except E as e:\n        def d(): f = 1\n"
    )
    assert [name for statement in top_level(tree.body) for name in bound_names(statement)] == ["b", "e", "c", "d"]


# -- against Python's own symbol tables -------------------------------------------------------------------------------


def library() -> list[str]:
    """Returns a sample of the standard library."""
    return sorted(glob.glob(os.path.join(sysconfig.get_path("stdlib"), "*.py")))[::5]


def pythons_names(table: Any) -> set[str]:
    """Returns the names that a function and what is inside it take from outside, as the compiler sees it."""
    found = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global() and symbol.is_referenced()}
    return found.union(*(pythons_names(child) for child in table.get_children()))


@pytest.mark.parametrize("path", library(), ids=lambda path: Path(path).stem)
def test_names_are_those_that_the_compiler_takes_from_the_module(path: str):
    with tokenize.open(path) as stream:
        text = stream.read()
    nodes = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    for table in symtable.symtable(text, path, "exec").get_children():
        node = nodes.get(table.get_name())
        if node is None or node.lineno != table.get_lineno() or node.decorator_list or table.get_type() != "function":
            continue
        ours = {found.name for found in names_in_function(node).references if found.imported is None}
        theirs = pythons_names(table)
        # annotations of inner functions are not read, `getattr` with a literal is an attribute
        assert ours - theirs <= {"__class__"}, node.name
        assert {name for name in theirs - ours if not hasattr(builtins, name)} <= annotated(node), node.name


def annotated(node: ast.AST) -> set[str]:
    """Returns names in annotations."""
    parts = [getattr(inner, field, None) for inner in ast.walk(node) for field in ("annotation", "returns")]
    return {inner.id for part in parts if part is not None for inner in ast.walk(part) if isinstance(inner, ast.Name)}
