"""A descriptor is given back once, and not while somebody uses it."""

from __future__ import annotations

import os

import pytest

from pannier.volumes.descriptors import Descriptor
from tests.volumes.process import no_descriptor_kept


def test_it_stays_open_for_whoever_uses_it_when_it_is_closed() -> None:
    with no_descriptor_kept():
        descriptor = Descriptor(os.open(os.devnull, os.O_RDONLY))
        with descriptor.use() as number:
            with descriptor.use():
                descriptor.close()
            os.fstat(number)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(number)


def test_closing_twice_does_not_close_what_got_the_number_since() -> None:
    descriptor = Descriptor(os.open(os.devnull, os.O_RDONLY))
    number = descriptor.number()
    descriptor.close()
    again = os.open(os.devnull, os.O_RDONLY)
    assert again == number
    descriptor.close()
    del descriptor
    os.fstat(again)
    os.close(again)


def test_it_cannot_be_used_after_it_was_closed() -> None:
    descriptor = Descriptor(os.open(os.devnull, os.O_RDONLY))
    descriptor.close()
    with pytest.raises(ValueError, match="closed"):
        descriptor.number()
    with pytest.raises(ValueError, match="closed"), descriptor.use():
        pass


def test_what_is_forgotten_is_closed() -> None:
    with no_descriptor_kept():
        Descriptor(os.open(os.devnull, os.O_RDONLY))
