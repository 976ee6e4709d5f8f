"""How often each word is said in a directory of texts: count every file, then add up."""

import re
from collections import Counter

from redun import Dir, File, task

redun_namespace = "redun.examples.word_count"


@task()
def count(text: File) -> dict[str, int]:
    """Map: the words of one text. In order of the alphabet, so that equal counts are equal values."""
    words = re.findall(r"[a-z']+", text.read().lower())
    return dict(sorted(Counter(words).items()))


@task()
def add(counts: list[dict[str, int]]) -> dict[str, int]:
    """Reduce: the words of all texts."""
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(sorted(total.items()))


@task()
def most_common(counts: dict[str, int], n: int) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:n]


@task()
def main(texts: Dir = Dir("texts"), n: int = 4) -> list[tuple[str, int]]:
    """The words that are said most."""
    return most_common(add([count(text) for text in texts]), n)
