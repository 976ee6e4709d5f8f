"""What a job costs under control flow, beside the same job in a plain list."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.measure import CONTROL_FLOW, Bench, Figure, execute, timed

_FORMS = {
    "plain": "in a plain list",
    "mapped": "by map_",
    "mapped_twice": "by map_ of map_",
    "in_sequence": "by seq",
    "caught": "each in catch, none fails",
    "recovering": "in catch, half fail and half recover",
    "chosen": "each chosen by cond",
    "awaited": "awaited one by one in an async task",
}


def control_flow(bench: Bench) -> Iterator[Figure]:
    """Jobs of a trivial task under each form, cold and step by step, with processor time."""
    n = bench.size(5_000, 500)
    for name, told in _FORMS.items():
        cold, step = [], []
        for _ in range(bench.repeat):
            with bench.fresh() as directory:
                cold += execute(directory / "store", CONTROL_FLOW, name, n).samples
                step += execute(directory / "store", CONTROL_FLOW, name, n, replay="step").samples
        yield timed(f"control.cold.{name}", f"{n:,} jobs {told}, cold", "us/job", cold, by=n)
        yield timed(f"control.step.{name}", f"{n:,} jobs {told}, warm, step by step", "us/job", step, by=n)
