"""Pushing a large history to another store, beside `git push` of the same objects."""
