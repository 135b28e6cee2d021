"""What an encoder is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pannier.archive.plan import Shape
from pannier.streams.base import StreamReader
from pannier.streams.hashing import Hashing, Place
from pannier.streams.helpers import Helpers
from pannier.streams.workers import Workers


@dataclass(frozen=True, slots=True)
class Work:
    """One archive that is to be encoded, for one client.

    Attributes:
        readers: Threads that wait for storage.
        packers: Threads that pack: as many as there are processors.
        ahead: Most blocks in work, or packed and waiting for the client.
        helpers: Processes that read and pack small files, too.
        hashing: Where checksums that are learnt on the way go.
        place: Where the files are.
        shape: The archive before it is encoded.
        stored: Makes a reader of that.
    """

    readers: Workers
    packers: Workers
    ahead: int
    helpers: Helpers
    hashing: Hashing
    place: Place
    shape: Shape
    stored: Callable[[], StreamReader]
