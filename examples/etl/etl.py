"""Sales of a shop, from CSV files into an SQLite database, and a report from there."""

import csv
import sqlite3

from redun import File, Handle, merge_handles, task

redun_namespace = "redun.examples.etl"

MONTHS = ["march", "april", "may"]


class Database(Handle):
    """A state of a database. A method that is not found here is that of `instance`."""

    def __init__(self, name: str, path: str) -> None:
        self.instance = sqlite3.connect(
            path, timeout=60
        )  # months are loaded beside each other, and wait for each other

    def is_valid(self) -> bool:
        """Whether there is such a table: without it, nothing that was loaded is there."""
        return bool(self.execute("select 1 from sqlite_master where name = 'sales'").fetchall())


@task()
def create(db: Database) -> Database:
    """Begins with empty tables."""
    with db.instance:
        db.execute("drop table if exists sales")
        db.execute("create table sales (month text, item text, quantity integer, price real)")
    return db


@task()
def extract(sales: File) -> list[dict[str, str]]:
    with sales.open() as stream:
        return list(csv.DictReader(stream))


@task()
def transform(rows: list[dict[str, str]]) -> list[tuple[str, int, float]]:
    """Names in one spelling, numbers as numbers, and only what was sold."""
    return [(row["item"].strip().lower(), int(row["quantity"]), float(row["price"])) for row in rows if row["quantity"]]


@task()
def load(db: Database, month: str, rows: list[tuple[str, int, float]]) -> Database:
    """Puts a month in the place of what was there of it: a task that changes something must be able to do so again."""
    with db.instance:
        db.execute("delete from sales where month = ?", [month])
        db.executemany("insert into sales values (?, ?, ?, ?)", [(month, *row) for row in rows])
    return db


@task()
def report(db: Database) -> list[tuple[str, float]]:
    """What each item has brought in."""
    return db.execute(
        "select item, round(sum(quantity * price), 2) from sales group by item order by 2 desc"
    ).fetchall()


@task()
def main() -> list[tuple[str, float]]:
    empty = create(Database("shop", "shop.db"))
    loaded = [load(empty, month, transform(extract(File(f"sales/{month}.csv")))) for month in MONTHS]
    return report(merge_handles(loaded))
