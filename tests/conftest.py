"""What holds for all tests."""

from __future__ import annotations

import os
import sys

from hypothesis import settings

# Hundreds of servers and commands are started: compiling every module again each time is half of what that costs.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A deadline is a timed assert: it fails where the machine is busy, not where the code is wrong.
settings.register_profile("pannier", deadline=None, print_blob=True)
settings.load_profile("pannier")
