"""What is measured: how many values of which size, and who takes part."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True)
class Case:
    """Values of one size.

    Attributes:
        name: stays the same from version to version.
        what: for people.
        least, most: size of a value in bytes; sizes between them are equally frequent.
        count, quick_count: how many values.
        batch: values of one transaction; with 1 each value is safe by itself when its put returns.
        reads: how many of the values are read again, in random order.
        warm: whether they are read once before the clock starts.
        unit: of the table.
        who: contestant -> the most values that it is given (None: all of them).
    """

    name: str
    what: str
    least: int
    most: int
    count: int
    quick_count: int
    batch: int
    reads: int
    warm: bool
    unit: str
    who: dict[str, int | None]

    def values(self, contestant: str, *, quick: bool) -> int:
        """Returns how many values a contestant is given."""
        count, most = self.quick_count if quick else self.count, self.who[contestant]
        return count if most is None else min(count, most)

    def only(self, names: Collection[str]) -> Case:
        """Returns the case with those of its contestants that are named."""
        return replace(self, who={who: most for who, most in self.who.items() if who in names})


CASES: Final = (
    Case(
        "small",
        "values of 20 to 200 bytes, 10,000 a transaction",
        least=20,
        most=200,
        count=1_000_000,
        quick_count=30_000,
        batch=10_000,
        reads=100_000,
        warm=True,
        unit="us",
        who={
            "lmdb": None,
            "ours": None,
            "diskcache": None,
            "sqlite": 300_000,
            "diskcache-each": 20_000,
            "files": 20_000,
            "joblib": 5_000,
            "git": 10_000,
        },
    ),
    Case(
        "commits",
        "values of 20 to 200 bytes, 1,000 a transaction, as a run commits",
        least=20,
        most=200,
        count=200_000,
        quick_count=20_000,
        batch=1_000,
        reads=10_000,
        warm=True,
        unit="us",
        who={
            "lmdb": None,
            "ours": None,
            "diskcache": None,
            "sqlite": None,
            "lmdb-full": None,
            "ours-durable": None,
            "sqlite-full": None,
        },
    ),
    Case(
        "medium",
        "values of 100 kB, 100 a transaction",
        least=100_000,
        most=100_000,
        count=10_000,
        quick_count=200,
        batch=100,
        reads=10_000,
        warm=True,
        unit="us",
        who={
            "lmdb": None,
            "ours": None,
            "diskcache": None,
            "sqlite": None,
            "lmdb-full": 2_000,
            "ours-durable": 2_000,
            "sqlite-full": 2_000,
            "files": None,
            "files-synced": 1_000,
            "joblib": 2_000,
            "git": 500,
        },
    ),
    Case(
        "large",
        "values of 10 MB, each by itself",
        least=10_000_000,
        most=10_000_000,
        count=100,
        quick_count=8,
        batch=1,
        reads=100,
        warm=False,
        unit="ms",
        who={
            "files-synced": None,
            "ours": None,
            "ours-durable": None,
            "lmdb": None,
            "sqlite-full": None,
            "diskcache": None,
            "joblib": None,
            "git": 5,
        },
    ),
)

#: Contestant -> what the table calls it, and what is on the disk for sure when a put returns.
TITLES: Final = {
    "ours": "redun-core (pages)",
    "ours-durable": "redun-core durable (all)",
    "lmdb": "lmdb metasync=False (pages)",
    "lmdb-full": "lmdb (all)",
    "sqlite": "sqlite WAL NORMAL (checkpoints)",
    "sqlite-full": "sqlite WAL FULL (all)",
    "diskcache": "diskcache transact() (checkpoints)",
    "diskcache-each": "diskcache, set by set (checkpoints)",
    "files": "plain files (nothing)",
    "files-synced": "plain files with fsync (all but names)",
    "joblib": "joblib Memory's backend (nothing)",
    "git": "git loose objects by pygit2 (nothing)",
}
#: Contestants whose libraries live in an environment of their own -> the package that brings them.
PEERS: Final = {
    "diskcache": "diskcache==5.6.3",
    "diskcache-each": "diskcache==5.6.3",
    "joblib": "joblib==1.6.0",
    "git": "pygit2==1.21.0",
}
