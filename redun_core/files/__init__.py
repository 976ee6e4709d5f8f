"""Files as values: single ones, sets of them, and the filesystems that they lie in."""
