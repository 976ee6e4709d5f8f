"""Workflows that are measured. `jobs.py` runs unchanged under the system of the seed, for a comparison."""
