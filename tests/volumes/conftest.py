"""What all tests of volumes share."""

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
