"""Repair: what fsck finds is mended, what cannot be mended is taken out and named, and nothing is thrown away."""
