"""The pure core of archives: entries in, segments out. No I/O, no clock, no randomness."""
