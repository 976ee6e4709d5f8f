"""Evaluation of expressions. Floor 3: imports the store and the core."""
