"""Settings of a project: where they stand, what they may be, and which one holds."""
