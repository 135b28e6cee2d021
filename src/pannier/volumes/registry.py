"""The backends by name. To add one, write its file and its line here."""

from __future__ import annotations

from collections.abc import Callable

from pannier.volumes import memory, posix
from pannier.volumes.base import Volume
from pannier.volumes.specs import VolumeSpec

__all__ = ["BACKENDS", "VolumeSpec", "open_volume"]

BACKENDS: dict[str, Callable[[VolumeSpec], Volume]] = {
    "memory": memory.from_spec,
    "posix": posix.from_spec,
    "vfs": posix.from_spec,  # what upstream calls it
}

_OF_THE_REFERENCE = frozenset(
    {"cephfs", "dellemc-onefs", "exascaler", "gpfs", "hammerspace", "netapp", "noop", "purestorage", "spectrumscale"}
    | {"vast", "weka", "xfs"}
)


def open_volume(spec: VolumeSpec) -> Volume:
    """Open the volume that the settings describe. Blocks (it looks at the volume's root).

    Raises:
        ConfigInvalid: It cannot be opened as asked; names the key, the value and the way out.
    """
    try:
        backend = BACKENDS[spec.backend]
    except KeyError:
        if spec.backend in _OF_THE_REFERENCE:
            reason = f"{spec.backend!r} is a backend of the reference storage proxy that Pannier has not"
            way_out = 'mount it, and serve its mount point as "posix": quotas are then kept by Pannier, by counting'
            raise spec.invalid("backend", reason, way_out) from None
        known = ", ".join(sorted(BACKENDS))
        raise spec.invalid("backend", f"{spec.backend!r} is not a backend", f"choose one of {known}") from None
    return backend(spec)
