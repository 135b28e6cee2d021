"""What the person who runs the bench is told in one line."""

from __future__ import annotations


class Complaint(Exception):
    """The bench cannot go on as asked; the text says why and what to do."""


class Unavailable(Exception):
    """One peer cannot be measured on this machine, or a server refuses what a scenario asks; the bench goes on."""
