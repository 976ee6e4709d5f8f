"""The core of redun: digests, canonical bytes, records, expressions, tasks. Floor 1: nothing of ours above it."""
