"""The contract's stages: memory, and a directory of the real file system."""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractContextManager
from pathlib import Path

from pannier.volumes.folders import folder_path
from pannier.volumes.memory import MemoryVolume
from pannier.volumes.posix import PosixVolume
from tests.volumes.contract import FOLDER, Stage
from tests.volumes.process import unprivileged


class MemoryStage(Stage):
    def __init__(self) -> None:
        self._volume = MemoryVolume("stage")
        self._volume.make_folder(FOLDER)

    @property
    def volume(self) -> MemoryVolume:
        return self._volume

    def again(self) -> MemoryVolume:
        return MemoryVolume("stage")

    def write(self, path: bytes, data: bytes, *, mtime_ns: int | None = None, mode: int | None = None) -> None:
        self._volume.write(FOLDER, path, data, mtime_ns=mtime_ns, mode=mode)

    def replace(self, path: bytes, data: bytes, *, mtime_ns: int | None = None) -> None:
        self._volume.replace(FOLDER, path, data, mtime_ns=mtime_ns)

    def mkdir(self, path: bytes) -> None:
        self._volume.mkdir(FOLDER, path)

    def symlink(self, path: bytes, target: bytes) -> None:
        self._volume.symlink(FOLDER, path, target)

    def special(self, path: bytes) -> None:
        self._volume.special(FOLDER, path)

    def remove(self, path: bytes) -> None:
        self._volume.remove(FOLDER, path)

    def deny(self, path: bytes) -> None:
        self._volume.deny(FOLDER, path)


class PosixStage(Stage):
    def __init__(self, base: Path) -> None:
        self.base = base
        self.root = os.path.join(os.fsencode(base), folder_path(FOLDER))
        os.makedirs(self.root)
        self._volume = PosixVolume("stage", base)

    @property
    def volume(self) -> PosixVolume:
        return self._volume

    def again(self) -> PosixVolume:
        return PosixVolume("stage", self.base)

    def at(self, path: bytes) -> bytes:
        """Return where a path of the folder really is; the directory that holds it is made."""
        place = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        return place

    def write(self, path: bytes, data: bytes, *, mtime_ns: int | None = None, mode: int | None = None) -> None:
        with open(self.at(path), "wb") as file:
            file.write(data)
            if mode is not None:
                os.fchmod(file.fileno(), mode)
        if mtime_ns is not None:
            os.utime(self.at(path), ns=(mtime_ns, mtime_ns))

    def replace(self, path: bytes, data: bytes, *, mtime_ns: int | None = None) -> None:
        self.write(path + b".new", data, mtime_ns=mtime_ns)
        os.replace(self.at(path + b".new"), self.at(path))

    def mkdir(self, path: bytes) -> None:
        os.makedirs(self.at(path), exist_ok=True)

    def symlink(self, path: bytes, target: bytes) -> None:
        os.symlink(target, self.at(path))

    def special(self, path: bytes) -> None:
        os.mkfifo(self.at(path))

    def remove(self, path: bytes) -> None:
        place = self.at(path)
        if os.path.isdir(place) and not os.path.islink(place):
            shutil.rmtree(place)
        else:
            os.unlink(place)

    def deny(self, path: bytes) -> None:
        os.chmod(self.at(path), 0)

    def ordinary(self) -> AbstractContextManager[None]:
        return unprivileged()
