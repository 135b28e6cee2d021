"""Pydantic models of what crosses a process."""
