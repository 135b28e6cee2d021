"""Readers: what services return."""
