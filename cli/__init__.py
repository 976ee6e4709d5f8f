"""The command line. Floor 4."""
