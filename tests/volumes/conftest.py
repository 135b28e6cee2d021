"""What all tests of volumes share."""

import gc
import os
from collections.abc import Iterator

import pytest

# its assertions tell what they compared, though its name does not start with test_
pytest.register_assert_rewrite("tests.volumes.contract")


@pytest.fixture(autouse=True)
def ordinary_umask() -> Iterator[None]:
    """Let others read what a test makes, whatever the machine's habit."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(scope="module", autouse=True)
def old_objects_at_rest() -> Iterator[None]:
    """Keep what earlier tests of this process left out of collections.

    ``no_descriptor_kept`` collects garbage, in some tests hundreds of times: among the objects of thousands of tests
    that came before, each time takes a second.
    """
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
