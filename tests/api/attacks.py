"""Values that lead out of a folder, or to what is reserved in it, for every kind of thing that a request may name."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from pannier.volumes.base import RESERVED
from tests.api.canary import Canary
from tests.api.host import OWNER, Host
from tests.dto.examples import FOLDER_TEXT

FOLDER = f"user:{OWNER}/ce8c69557b414ba09b0ea1b8b0b5d89d"
LINKED = f"user:{OWNER}/11116955000000000000000000000001"
"""A folder whose place is a link to outside."""
LINKED_SCOPE = "user:00000000-0000-0000-0000-00000000000a"
"""A quota scope whose place is one."""
MADE_SCOPE = "user:00000000-0000-0000-0000-00000000000b"
OTHER = f"user:{OWNER}/22226955000000000000000000000002"
NEW = f"user:{OWNER}/33336955000000000000000000000003"
OUT = "out"
"""The link of the folder that leads to the canary."""


@dataclass
class Stage:
    """A server, a folder that holds every way out we know, and what lies outside."""

    host: Host
    outside: Canary
    neighbour: Canary
    """Beside the folder, its name beginning with the folder's."""
    _laid: list[tuple[str, int, int]] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.host.where(FOLDER)

    @classmethod
    def build(cls, host: Host, place: Path) -> Stage:
        root = host.where(FOLDER)
        neighbour = Canary(root.with_name(f"{root.name}-neighbour"))
        stage = cls(host, Canary(place / "outside"), neighbour)
        stage.lay()
        return stage

    def lay(self) -> None:
        """Lay everything inside as it was before an attack, if that changed anything."""
        if self._look() == self._laid:
            return
        root = self.root
        for folder in (FOLDER, NEW, OTHER, LINKED):
            place = self.host.where(folder)
            if place.is_symlink():
                place.unlink()
            else:
                shutil.rmtree(place, ignore_errors=True)
        (root / "dir" / "deep").mkdir(parents=True)
        (root / "nest").mkdir()
        for name in ("a", "dir/b", "dir/deep/c"):
            (root / name).write_text(f"content of {name}")
        up = os.path.relpath(self.outside.root, root)
        for name, target in {
            OUT: up,
            "file-out": f"{up}/secret",
            "absolute": str(self.outside.root),
            "chain": OUT,
            "through": "dir/../out/inner",
            "dangling-out": f"{up}/made",
            "climb": "..",
            "nest/climb": "../..",
            "beside": f"../{self.neighbour.root.name}",
            "slash": "/",
            "hidden": ".upload",
            "inside": "dir",
            "loop": "loop",
            "proc": "/proc/self/root",
        }.items():
            (root / name).symlink_to(target)
        other, linked = self.host.where(OTHER), self.host.where(LINKED)
        other.mkdir(parents=True)
        (other / "other").write_text("other")
        linked.parent.mkdir(parents=True, exist_ok=True)
        linked.symlink_to(self.outside.root)
        made = self.host.root / MADE_SCOPE.partition(":")[2].replace("-", "")
        shutil.rmtree(made, ignore_errors=True)
        scope = self.host.root / LINKED_SCOPE.partition(":")[2].replace("-", "")
        if not scope.is_symlink():
            scope.symlink_to(self.outside.root)
        self._laid = self._look()

    def _look(self) -> list[tuple[str, int, int]]:
        """What is inside, so that any change shows; the canary beside the folder is not looked at."""
        found = []
        for above, directories, files in os.walk(self.host.root):
            for name in (*directories, *files):
                path = os.path.join(above, name)
                status = os.lstat(path)
                found.append((path, status.st_ino, status.st_ctime_ns))
            if self.neighbour.root.name in directories:
                directories.remove(self.neighbour.root.name)
        return found

    def way_out(self, link: Path) -> None:
        """Make a link to the canary."""
        link.symlink_to(os.path.relpath(self.outside.root, link.parent))

    def paths(self) -> list[str]:
        """Paths of the folder that lead out of it, or to what is reserved, or that nothing can be at."""
        up = os.path.relpath(self.outside.root, self.root)
        aim, reserved = f"{up}/secret", os.fsdecode(RESERVED)
        return [
            up,
            aim,
            "..",
            "../",
            "../..",
            f"dir/../{up}",
            f"dir/deep/../../{aim}",
            f"./{aim}",
            f".//.//{aim}",
            f"nothing/../{aim}",
            f"{OUT}/../{up}",
            "/",
            str(self.outside.root),
            f"{self.outside.root}/secret",
            f"/{self.outside.root}",
            f"../{self.neighbour.root.name}",
            f"../{self.neighbour.root.name}/secret",
            aim.replace("/", "\\"),
            "..\\..\\secret",
            aim.replace("..", "%2e%2e").replace("/", "%2f"),
            aim.replace("..", "\uff0e\uff0e"),
            aim.replace("..", "\udcc0\udcae\udcc0\udcae"),
            aim.replace("..", "..\0"),
            f"a\0/{aim}",
            "a\0",
            f"a\n{aim}",
            f"a\r\nX-Injected: {aim}",
            f"file://{self.outside.root}/secret",
            "~root",
            OUT,
            f"{OUT}/",
            f"{OUT}/secret",
            f"{OUT}/inner/secret",
            f"{OUT}/empty",
            f"{OUT}/made",
            f"{OUT}/made/below",
            "file-out",
            "file-out/",
            "absolute/secret",
            "chain/secret",
            "chain/made",
            "through/secret",
            "dangling-out",
            "dangling-out/below",
            "climb",
            f"climb/{self.neighbour.root.name}/secret",
            f"nest/climb/{self.neighbour.root.name}/secret",
            "beside/secret",
            f"slash{self.outside.root}/secret",
            f"proc{self.outside.root}/secret",
            f"inside/../{OUT}/secret",
            "loop",
            "loop/below",
            reserved,
            f"{reserved}/x",
            f"dir/../{reserved}/x",
            f"./{reserved}",
            "hidden",
            "hidden/x",
            "n" * 300,
            "d/" * 30 + "x",
            "../" * 3000 + "etc/passwd",
            "x" * 20_000,
        ]

    def plainest(self) -> list[str]:
        """One of each kind of ``paths``: a climb, an absolute path, a link of each kind, what is reserved."""
        up = os.path.relpath(self.outside.root, self.root)
        return [
            f"{up}/secret",
            "..",
            f"dir/../{up}",
            f"{self.outside.root}/secret",
            OUT,
            f"{OUT}/secret",
            f"{OUT}/made",
            "file-out",
            "through/secret",
            "dangling-out",
            f"climb/{self.neighbour.root.name}/secret",
            f"{os.fsdecode(RESERVED)}/x",
            "hidden/x",
        ]

    def names(self) -> list[str]:
        """One name in a directory that is none, or leads elsewhere."""
        return [*self.paths(), "", ".", "..", "a/b", "dir/b", "/", "\0", "a\0b", "x\ny"]

    def volumes(self) -> list[str]:
        """Names of volumes that are none."""
        root = str(self.host.root)
        return [
            "",
            ".",
            "..",
            "/",
            root,
            "m/",
            "m/../m",
            "../m",
            "m\0",
            "M",
            "outside",
            str(self.outside.root),
            "\udcff",
        ]

    def folders(self) -> list[str]:
        """Names of folders that are none, and one whose place is a link to outside."""
        return [
            LINKED,
            f"{LINKED_SCOPE}/ce8c69557b414ba09b0ea1b8b0b5d89d",
            "",
            "..",
            "/",
            f"{FOLDER}/..",
            f"{FOLDER}/../{self.neighbour.root.name}",
            f"{FOLDER}-neighbour",
            f"user:../{FOLDER_TEXT.rpartition('/')[2]}",
            f"user:{OWNER}/../../outside",
            f"user:{OWNER}/{'../' * 12}",
            f"{{{OWNER}}}",
            f"urn:uuid:{OWNER}",
            f"group:{OWNER}/ce8c69557b414ba09b0ea1b8b0b5d89d",
            str(self.outside.root),
            f"{FOLDER}\0",
            f"{FOLDER}\n",
            "\uff10" * 32,
        ]

    def scopes(self) -> list[str]:
        """Quota scopes that are none, and one whose place is a link to outside."""
        cut = [each.rpartition("/")[0] or each for each in self.folders()[2:]]
        return [LINKED_SCOPE, "user:..", "user:", *(each for each in cut if each != f"user:{OWNER}")]

    def texts(self) -> list[str]:
        """Texts where no path belongs."""
        return [*self.paths()[:40], *(each.encode("utf-8", "surrogateescape").hex() for each in self.paths()[:12])]
