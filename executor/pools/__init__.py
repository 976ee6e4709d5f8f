"""Pools: what runs the bodies of jobs."""
