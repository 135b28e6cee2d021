"""`make bench` itself."""
