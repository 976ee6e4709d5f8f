"""The core of redun: digests, canonical bytes, records, expressions, tasks. Floor 1: imports nothing of ours above it."""
