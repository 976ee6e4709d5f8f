"""redun: workflows as plain functions, with caching and provenance."""
