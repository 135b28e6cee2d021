"""The rules of HTTP and tus as values: text of headers in, decisions out.

Nothing in this package reads a file, a socket or a clock, and nothing knows a framework; it imports the standard
library, ``pannier.window`` and ``pannier.errors``. Its tests are tables.
"""
