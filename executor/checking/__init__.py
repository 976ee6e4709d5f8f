"""Mistakes in workflows that can be seen without running them."""
