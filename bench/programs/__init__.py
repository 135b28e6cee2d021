"""Clients, run as processes of their own by path, of the standard library alone. Each prints one JSON document."""
