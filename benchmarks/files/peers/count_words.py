"""Counts the words of a text: `count_words.py TEXT COUNTS`; adds up: `count_words.py --add TOP COUNTS...`."""

import json
import re
import sys
from collections import Counter


def count(text, counts):
    with open(text, encoding="utf-8") as source, open(counts, "w") as target:
        json.dump(Counter(re.findall(r"[a-z']+", source.read().lower())), target)


def add(top, counts):
    total = Counter()
    for path in sorted(counts):
        with open(path) as source:
            total.update(json.load(source))
    common = sorted(total.items(), key=lambda pair: (-pair[1], pair[0]))[:4]
    with open(top, "w") as target:
        target.write(f"{common}\n")


if __name__ == "__main__":
    if sys.argv[1] == "--add":
        add(sys.argv[2], sys.argv[3:])
    else:
        count(*sys.argv[1:])
