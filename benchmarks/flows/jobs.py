"""The tasks that the benchmarks run. Both systems load this file, so it uses nothing that only one of them has."""

import time

from redun import File, task

redun_namespace = "bench"


@task()
def step(x: int) -> int:
    return x + 1


@task()
def fan_out(n: int) -> list[int]:
    return [step(i) for i in range(n)]


@task()
def chain(n: int) -> int:
    x = 0
    for _ in range(n):
        x = step(x)
    return x


@task()
def add(a: int, b: int) -> int:
    return a + b


@task()
def fib(n: int) -> int:
    return n if n < 2 else add(fib(n - 1), fib(n - 2))


@task()
def add_apart(a: int, b: int, path: str) -> int:
    return a + b


@task()
def fib_apart(n: int, path: str) -> int:
    """As `fib`, with arguments that make every call another one, so that none is shared."""
    return n if n < 2 else add_apart(fib_apart(n - 1, path + "a"), fib_apart(n - 2, path + "b"), path)


@task()
def nap(i: int, seconds: float) -> int:
    time.sleep(seconds)
    return i


@task()
def naps(n: int, seconds: float) -> list[int]:
    return [nap(i, seconds) for i in range(n)]


@task()
def make(i: int, size: int) -> bytes:
    return i.to_bytes(8, "big") * (size // 8)


@task()
def size_of(data: bytes) -> int:
    return len(data)


@task()
def last_byte(data: bytes) -> int:
    return data[-1]


@task()
def total(numbers: list[int]) -> int:
    return sum(numbers)


@task()
def large(n: int, size: int) -> int:
    return total([size_of(make(i, size)) for i in range(n)])


@task()
def large_again(n: int, size: int) -> int:
    """Reads all the values of `large` with another task, so that each is loaded once."""
    return total([last_byte(make(i, size)) for i in range(n)])


@task()
def written(directory: str, i: int) -> File:
    file = File(f"{directory}/{i}")
    with file.open("w") as stream:
        stream.write(str(i))
    return file


@task()
def count(files: list[File]) -> int:
    return len(files)


@task()
def files(directory: str, n: int) -> int:
    return count([written(directory, i) for i in range(n)])
