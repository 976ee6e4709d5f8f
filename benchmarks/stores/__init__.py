"""The store beside others: `python -m benchmarks.stores`. Imports nothing: its child runs in environments of others."""
