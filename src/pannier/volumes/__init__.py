"""Backends that hold virtual folders."""
