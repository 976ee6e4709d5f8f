"""What redun costs: `python -m benchmarks` prints the table, `README.md` says how to read it."""
