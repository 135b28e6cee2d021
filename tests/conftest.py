"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# A deadline is a timed assert: it fails where the machine is busy, not where the code is wrong.
settings.register_profile("pannier", deadline=None, print_blob=True)
settings.load_profile("pannier")
