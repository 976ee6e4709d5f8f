"""Readings of sensors, of which some are broken: choosing, failing, recovering, asking the context, waiting."""

from redun import catch, catch_all, cond, get_context, task
from redun.functools import map_, seq

redun_namespace = "redun.examples.control_flow"

READINGS = {"attic": [21.5, 22.0], "cellar": [9.0, 9.5, 10.0], "garden": []}


@task()
def sensors() -> list[str]:
    return sorted(READINGS)


@task()
def mean(sensor: str) -> float:
    values = READINGS[sensor]
    return sum(values) / len(values)


@task()
def unknown(error: Exception) -> float:
    """What a broken sensor is taken to have measured."""
    return 0.0


@task()
def convert(celsius: float, unit: str = get_context("unit", "C")) -> str:
    return f"{celsius * 9 / 5 + 32:.1f} F" if unit == "F" else f"{celsius:.1f} C"


@task()
def careful_mean(sensor: str) -> float:
    return catch(mean(sensor), ZeroDivisionError, unknown)


@task()
def main() -> list[str]:
    """Every sensor's mean, in the unit of the context."""
    return map_(convert, map_(careful_mean, sensors()))


@task()
def broken(values: list) -> list[str]:
    return [str(value) for value in values if isinstance(value, Exception)]


@task()
def check() -> list:
    """What is wrong with the sensors; nothing, if nothing is."""
    return catch_all([mean("attic"), mean("cellar"), mean("garden")], ZeroDivisionError, broken)


@task()
def warmer(a: str, b: str) -> str:
    """Which of two sensors is the warmer: only the answer that is wanted is made."""
    return cond(mean(a) > mean(b), convert(mean(a)), convert(mean(b)))


@task()
def in_order() -> list[float]:
    """One after the other, where that matters."""
    return seq([mean("cellar"), mean("attic")])


@task()
async def largest() -> str:
    """An async task awaits what it needs to decide with."""
    best, name = -273.15, "none"
    for sensor in await sensors():
        value = await careful_mean(sensor)
        if value > best:
            best, name = value, sensor
    return f"{name}: {await convert(best)}"
