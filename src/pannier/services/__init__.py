"""Use cases; no HTTP."""
