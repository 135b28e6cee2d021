"""Where things stand that nobody is to see: on their way out, or not whole yet. Named by who put them there.

Such a place is a directory of its own, which is made when it is needed and goes when it is empty: ``.upload`` in a
folder, ``.pannier`` beside folders. What is renamed between it and its surroundings vanishes or appears at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pannier.volumes.removal import GoOn, remove_tree

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def place_aside(directory: int, name: bytes) -> Iterator[int]:
    """Open the place ``name`` of an open directory, made if need be; it goes again when nothing is in it.

    Others may take it away while nothing is in it: to put something in may raise ``FileNotFoundError``.

    Raises:
        OSError: It cannot be made or opened; something else has its name.
    """
    while True:
        try:
            os.mkdir(name, 0o700, dir_fd=directory)
        except FileExistsError:
            pass
        try:
            opened = os.open(name, _DIRECTORY, dir_fd=directory)
            break
        except FileNotFoundError:
            continue  # somebody who finished has taken it away
    try:
        yield opened
    finally:
        os.close(opened)
        try:
            os.rmdir(name, dir_fd=directory)
        except OSError:  # something is in it
            pass


@contextmanager
def take_in(directory: int, name: bytes, aside: bytes) -> Iterator[int]:
    """Open the directory ``aside`` in the place ``name``, made if need be, to put things in; durable with the block.

    Raises:
        OSError: As of `place_aside`.
    """
    while True:
        with place_aside(directory, name) as place:
            try:
                os.mkdir(aside, 0o700, dir_fd=place)
            except FileExistsError:
                pass
            except FileNotFoundError:
                continue  # somebody who finished has taken the place away under us
            opened = os.open(aside, _DIRECTORY, dir_fd=place)
            try:
                yield opened
            finally:
                os.fsync(opened)
                os.close(opened)
            return


def clear(directory: int, name: bytes, aside: bytes, go_on: GoOn) -> bool:
    """Remove what stands aside under the name ``aside``, if anything does; return whether all of it is gone.

    Raises:
        OSError: Something cannot be removed.
    """
    try:
        place = os.open(name, _DIRECTORY, dir_fd=directory)
    except FileNotFoundError:
        return True
    try:
        if not remove_tree(place, aside, go_on, counted=False):
            return False
    finally:
        os.close(place)
    try:
        os.rmdir(name, dir_fd=directory)
    except OSError:  # other things are in it
        pass
    return True
