"""What holds for all tests."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Generator

import pytest
from hypothesis import settings

from tests.examples import QUICK, WHOLE

# A shell has what it runs in the background ignore Ctrl-C, and every process that is started here would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Hundreds of servers and commands are started: compiling every module again each time is half of what that costs.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Where these are set, aiohttp reads all authorities as it is imported, twice: a tenth of a second of each of them.
for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
    os.environ.pop(name, None)

# A deadline is a timed assert: it fails where the machine is busy, not where the code is wrong.
settings.register_profile("whole", deadline=None, print_blob=True, max_examples=WHOLE)
settings.register_profile("quick", settings.get_profile("whole"), max_examples=QUICK)


def pytest_configure(config: pytest.Config) -> None:
    """Have a run without the slow cases (``make test``) draw fewer examples."""
    settings.load_profile("quick" if "not slow" in config.option.markexpr else "whole")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Leave what is imported and collected out of garbage collections: modules and thousands of tests, which stay.

    To go through them again and again took a third of the time of collecting, and made tests that collect garbage
    themselves fifty times slower.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        _rest()


@pytest.fixture(scope="module", autouse=True)
def old_objects_at_rest() -> None:
    """The same for what the tests of other modules have left."""
    _rest()


def _rest() -> None:
    gc.collect()
    gc.freeze()
