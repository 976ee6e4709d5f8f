"""The content-addressed store. Floor 2: imports only the core."""
