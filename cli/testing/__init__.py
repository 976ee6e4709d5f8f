"""What tests of workflows use.

checks     a scheduler that remembers its runs, and assertions about what ran and what was cached
plugin     the fixtures, which pytest finds by itself
"""
