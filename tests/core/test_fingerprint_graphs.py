"""For random programs: an edit changes the fingerprint exactly if the task reaches what was edited."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from tests.core.projects import made_in

COUNT = 6
#: How a function gets at another one of its module, and at one of the other module.
NEAR = [
    "f{n}()",
    "[f{n}][0]()",
    "(lambda: f{n}())()",
    "alias{n}()",
    "partial{n}()",
    "TABLE{n}['k']()",
    "cached{n}()",
    "C{n}().m()",
]
FAR = ["{m}.f{n}()", "getattr({m}, 'f{n}')()", "{m}.alias{n}()", "{m}.TABLE{n}['k']()", "{m}.C{n}().m()", "far{n}()"]
INSIDE = ["{m}.f{n}()", "g{n}()", "sub.f{n}()"]

NODE = """
def f{n}():
    {imports}
    return [{n}_000, {calls}]
alias{n} = f{n}
partial{n} = functools.partial(f{n})
TABLE{n} = {{'k': f{n}}}
class C{n}:
    def m(self):
        return f{n}()
@functools.lru_cache
def cached{n}():
    return f{n}()
"""

Edge = tuple[int, int, int]


@st.composite
def programs(draw: st.DrawFn) -> tuple[list[bool], list[Edge], int]:
    """Draws which functions lie in `a` rather than `b`, what refers to what in which way, and an edit."""
    sides = draw(st.lists(st.booleans(), min_size=COUNT, max_size=COUNT))
    number = st.integers(0, COUNT - 1)
    edges = draw(st.lists(st.tuples(number, number, st.integers(0, 100)), max_size=8))
    return sides, edges, draw(number)


def module(side: bool, sides: list[bool], edges: list[Edge], numbers: list[int]) -> str:
    """Returns the text of one of the two modules; `a` imports `b` at its top, `b` imports `a` inside bodies."""
    other = "b" if side else "a"
    text = "import functools\n"
    if side:
        text += "import b\n" + "".join(f"from b import f{n} as far{n}\n" for n in range(COUNT) if not sides[n])
    for n in range(COUNT):
        if sides[n] != side:
            continue
        imports, calls = ["pass"], []
        for target, way in [(target, way) for source, target, way in edges if source == n]:
            ways = NEAR if sides[target] == side else FAR if side else INSIDE
            calls.append(ways[way % len(ways)].format(n=target, m=other))
            if ways is INSIDE:
                imports += [f"import {other}", f"from {other} import f{target} as g{target}", f"import {other} as sub"]
        body = NODE.format(n=n, imports="; ".join(imports), calls=", ".join(calls))
        text += body.replace(f"{n}_000", str(numbers[n]))
    return text


def reached(edges: list[Edge]) -> set[int]:
    """Returns the functions that the first one leads to, itself included."""
    found, left = {0}, [0]
    while left:
        here = left.pop()
        new = {target for source, target, _ in edges if source == here} - found
        found |= new
        left += new
    return found


@given(programs())
def test_an_edit_counts_exactly_if_the_task_reaches_it(program: tuple[list[bool], list[Edge], int]):
    sides, edges, edited = program
    task = "{}\n@task()\ndef t():\n    return {}()\n".format(
        *(("import a", "a.f0") if sides[0] else ("import b", "b.f0"))
    )
    with TemporaryDirectory() as folder, made_in(Path(folder)) as project:
        numbers = list(range(COUNT))
        digests = []
        for change in (0, 0, 1):
            numbers[edited] += 500 * change
            texts = {name: module(name == "a", sides, edges, numbers) for name in ("a", "b")}
            found = project(task, **texts)
            assert (found.record.code, found.untracked) == ("closure", ())
            digests.append(found.digest)
    assert digests[0] == digests[1]
    assert (digests[2] != digests[0]) == (edited in reached(edges))
