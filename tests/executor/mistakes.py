"""Texts of workflows: with mistakes, each line of which says at its end what is wrong with it, and without any."""

from __future__ import annotations

from typing import Final

#: What all of them begin with.
TASKS: Final = """\
from __future__ import annotations
from redun import File, PartialTask, Task, catch, catch_all, cond, get_context, scheduler_task, task
from redun.functools import as_task, compose, const, flat_map, flatten, fold, map_, seq, starmap, zip_

@task()
def size(word: str, factor: int = 1) -> int:
    return len(word) * factor

@task()
def words(n: int) -> list[str]:
    return ["a"] * n

@task()
def pair() -> tuple[int, str]:
    return 1, "a"

@task()
def recover(error: Exception) -> int:
    return 0

def sized(n):
    return size(str(n))

def both(n):
    return [size(str(n)), size("b")]

TWICE = size.options(memory=2)
LAZY = size("a")

"""

#: Name -> the body of a task with the parameter `n`. `# -> rule` marks what is wrong; a line may have two.
WRONG: Final = {
    "truth": """
        x = size("a")
        if x > 3:  # -> truth
            return 1
        while not x:  # -> truth
            pass
        assert x  # -> truth
        y = 1 if x == 3 else 2  # -> truth
        y = x and 3  # -> truth
        y = not x  # -> truth
        y = [z for z in (1, 2) if x]  # -> truth
        y = 1 < x < 3  # -> truth
        y = x in (1, 2)  # -> truth
        y = bool(x)  # -> truth
        y = max(x, 3)  # -> truth
        match x:  # -> truth
            case 1:
                return y
        if LAZY or sized(n).bit_length():  # -> truth truth
            return 2
        return y
    """,
    "truth_of_members": """
        found = [size("a"), size("b")]
        if any(found):  # -> truth
            return 1
        even = [x for x in found if x % 2 == 0]  # -> truth
        first = sorted(found)  # -> truth
        named = {w: size(w) for w in ("a", "b")}
        for name, number in named.items():
            if number:  # -> truth
                first.append(name)
        kept = []
        for w in ("a", "b"):
            kept.append(size(w))
        return [x for x in kept if x > 1], even, first  # -> truth
    """,
    "loop": """
        for w in words(n):  # -> loop
            pass
        found = [w for w in words(n)]  # -> loop
        found = list(words(n))  # -> loop
        found = sorted(words(n)) + [*words(n)]  # -> loop loop
        found = sum(map_(size, ["a"]))  # -> loop
        for i, w in enumerate(words(n)):  # -> loop
            pass
        for w in map(str, words(n)):  # -> loop
            pass
        found = ",".join(words(n))  # -> loop
        found = 3 in words(n)  # -> loop
        found = dict(a=1, **words(n))  # -> loop
        found = size(*words(n))  # -> loop
        found = []
        found.extend(words(n))  # -> loop
        for w in TWICE("a"):  # -> loop
            pass
        for w in cond(n, words(n), []):  # -> loop
            pass
        return found
    """,
    "unpacking": """
        a, b = words(2)  # -> unpacking
        c, d, e = pair()  # -> unpacking
        f, *g = words(3)  # -> unpacking
        for h, i in [words(1), words(2)]:  # -> unpacking
            pass
        return a, b, c, d, e, f, g, h, i
    """,
    "text": """
        x = size("a")
        s = f"{x}"  # -> text
        s = f"{x:>3} {n}"  # -> text
        s = f"{[x]}"  # -> text
        s = "%s" % x  # -> text
        s = "%s %s" % (n, x)  # -> text
        s = "{} {}".format(n, x)  # -> text
        s = str(x)  # -> text
        s = ",".join([s, x])  # -> text
        print(x)  # -> text
        return s
    """,
    "number": """
        x = len(words(3))  # -> number
        y = int(size("a"))  # -> number
        z = float(size("a"))  # -> number
        return [x, y, z, *range(size("a"))]  # -> number
    """,
    "dropped": """
        size("a")  # -> dropped
        for w in ("a", "b"):
            size(w)  # -> dropped
        [size(w) for w in ("a", "b")]  # -> dropped
        x = size("a")  # -> dropped
        y = [size("a")]  # -> dropped
        sized(n)  # -> dropped
        both(n)  # -> dropped
        TWICE("a")  # -> dropped
        seq([size("a")])  # -> dropped
        size.partial("a")()  # -> dropped
        compose(size, str)(n)  # -> dropped
        if n:
            catch(size("a"), ValueError, recover)  # -> dropped
        return n
    """,
    "inside": """
        def inner(k):
            x = size("a")
            if x:  # -> truth
                size("b")  # -> dropped
            return k
        @task(name="made")
        def made(k: int) -> int:
            return k
        if made(3):  # -> truth
            return inner
        return lambda k: [w for w in words(k)]  # -> loop
    """,
    "branches": """
        try:
            x = size("a")
        except ValueError:
            x = size("b")
        if x:  # -> truth
            return 1
        if n:
            y = size("a")
        else:
            return 2
        if y:  # -> truth
            return 3
        z = size("a") if n else size("b")
        with File("a").open() as stream:
            if z:  # -> truth
                return stream.read()
        total = 0
        total += size("a")
        return 1 if total else 2  # -> truth
    """,
    "code": """
        import importlib
        name = str(n)
        exec("n = 3")  # -> code
        found = eval(name)  # -> code
        found = getattr(importlib, name)  # -> code
        found = importlib.import_module(name)  # -> code
        return globals()[name]  # -> code
    """,
    "environment": """
        import os, sys
        from os import environ, getenv
        import getpass
        return [
            os.environ["A"],  # -> environment
            os.environ.get("A"),  # -> environment
            environ["A"],  # -> environment
            os.getenv("A"),  # -> environment
            getenv("A"),  # -> environment
            os.getcwd(),  # -> environment
            getpass.getuser(),  # -> environment
            sys.argv[1],  # -> environment
        ]
    """,
    "clock": """
        import time
        import datetime as dt
        from datetime import date, datetime
        from time import time as now
        return [
            time.time(),  # -> clock
            now(),  # -> clock
            datetime.now(),  # -> clock
            dt.datetime.now(dt.timezone.utc),  # -> clock
            date.today(),  # -> clock
        ]
    """,
    "random": """
        import os, random, secrets, uuid
        from random import choice
        from uuid import uuid4
        return [
            random.random(),  # -> random
            choice([1, 2]),  # -> random
            random.Random().random(),  # -> random
            secrets.token_hex(),  # -> random
            uuid.uuid4(),  # -> random
            uuid4(),  # -> random
            os.urandom(3),  # -> random
            sorted([1, 2], key=lambda _: random.random()),  # -> random
        ]
    """,
    "files": """
        import glob, os
        from pathlib import Path
        found = open("data.txt").read()  # -> file
        found = open(f"{n}.txt", "rb").read()  # -> file
        found = open(os.path.join("a", "b")).read()  # -> file
        found = Path("data.txt").read_text()  # -> file
        found = (Path("a") / str(n)).read_bytes()  # -> file
        found = os.listdir("data")  # -> directory
        found = glob.glob("*.txt")  # -> directory
        found = list(Path("data").iterdir())  # -> directory
        return found
    """,
}

#: Name -> the body of a task with the parameters `n`, `file: File` and `words_given`, which is right.
RIGHT: Final = {
    "lazy_values_handed_on": """
        x = size("a") + 3
        y = x * 2 > 4
        z = [x, y, -x, x == y, abs(x), round(x)]
        a, b = pair()
        first = words(3)[0]
        upper = first.upper().strip()
        for part in pair():
            z.append(part)
        if x is None or z or n:
            z += [size(w) for w in ("a", "b")]
        if len(z) > 3 and len(pair()) == 2:
            z.append(f"{x!r}")
        return {"z": z, "a": a, "b": b, "upper": upper, "made": sum(z, 3)}
    """,
    "control": """
        chosen = cond(size("a") > 3, size("b"), size("c"))
        caught = catch(chosen, ValueError, recover)
        every = catch_all([size("a"), size("b")])
        mapped = map_(size, map_(str, [1, 2]))
        tried = [const(chosen, size("d")), fold(size, ["a"], 1), flatten([words(1)]), zip_([1], words(1))]
        found = seq([chosen, caught, every, mapped, *tried])
        return found[0]
    """,
    "partials": """
        part = size.partial("a").options(memory=1)
        kept = part
        tasks = {"a": size, "b": kept}
        return [tasks[name]() for name in tasks if tasks[name]], [t for t in (size, part) if t]
    """,
    "values_given": """
        total = 0
        for w in words_given:
            if w and len(w) > 3:
                total += len(w)
        x, y = words_given
        return f"{x} {y} {total}", ",".join(words_given)
    """,
    "either": """
        x = None
        if n:
            x = size("a")
        if x is not None:
            return x
        y = size("a") if n else 3
        result = None
        for w in words_given:
            result = size(w, result) if result else size(w)
        return y, result
    """,
    "helpers": """
        x = sized(n)
        first, second = both(n)
        return [x, first, second, *both(3)]
    """,
    "stored": """
        kept = {}
        kept["a"] = size("a")
        class Box:
            pass
        box = Box()
        box.x = size("b")
        things = []
        things.append(size("c"))
        things = sorted(things, key=id)
        _ = n
        return kept, box.x, things
    """,
    "closure": """
        x = size("a")
        def inner():
            return x
        y: int
        y = size("b")
        global SHARED
        SHARED = size("c")
        return inner(), y
    """,
    "files": """
        import os, tempfile
        from pathlib import Path
        with open(file.path) as stream:
            text = stream.read()
        with file.open() as stream:
            text += stream.read()
        with open("out.txt", "w") as out:
            out.write(text)
        with tempfile.NamedTemporaryFile() as temporary:
            text += open(temporary.name).read()
        scratch = tempfile.mkdtemp()
        return File("out.txt"), os.path.join("a", "b"), Path("a").name, os.path.exists(scratch)
    """,
    "seeded": """
        import random, time, datetime
        numbers = random.Random(n)
        begun = time.perf_counter()
        time.sleep(0)
        when = datetime.datetime(2020, 1, 1), datetime.datetime.fromisoformat("2020-01-01"), time.gmtime(0)
        return numbers.random(), getattr(numbers, "random")(), when, time.perf_counter() - begun > 0
    """,
    "silenced": """
        import time
        size("a")  # redun: ok
        begun = time.time()  # redun: ok[clock]
        return [
            time.time(),  # redun: ok[clock, random] only to be printed
            begun,
        ]
    """,
}
