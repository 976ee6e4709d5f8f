"""The example `word_count` for doit."""

import glob
import os

from count_words import add, count

DOIT_CONFIG = {"default_tasks": ["add"], "verbosity": 0}


def _all():
    return {text: f"counts/{os.path.basename(text)}.json" for text in sorted(glob.glob("texts/*.txt"))}


def task_count():
    os.makedirs("counts", exist_ok=True)
    for text, counts in _all().items():
        yield {"name": text, "actions": [(count, [text, counts])], "file_dep": [text], "targets": [counts]}


def task_add():
    counts = list(_all().values())
    return {"actions": [(add, ["top.txt", counts])], "file_dep": counts, "targets": ["top.txt"]}
