"""Operations on a folder as a machine: real services on a real directory, beside a tree of dictionaries.

The model says what each request comes to; what is refused must change nothing, and the folder has to be the model's
tree after every step.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pannier.dto.files import DeleteRequest, ListRequest, MkdirRequest, MoveRequest, RenameRequest
from pannier.errors import OperationRefused, PathOutside, TargetExists
from pannier.services.files import Files
from pannier.services.places import Places
from pannier.services.quotas import Quotas
from pannier.streams.workers import Workers
from pannier.volumes.posix import SingleFolderVolume
from tests.api.live import FOLDER
from tests.examples import examples

NAMES = ("a", "b", "c", "한")
Tree = dict[str, Any]
"""Names to contents: bytes of a file, a tree of a directory."""

names = st.sampled_from(NAMES)
parts = st.lists(names, max_size=3).map(tuple)
odd = st.sampled_from(["{}", "./{}", "{}/", "{}/.", "a/../{}", "{}//"])
"""Ways to write the same path."""


def spelled(path: tuple[str, ...], form: str) -> str:
    return form.format("/".join(path) or ".").replace("//.", "/.")


class Folder(RuleBasedStateMachine):
    """One folder, and what it has to hold."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.root = Path(tempfile.mkdtemp())
        self.volume = SingleFolderVolume("m", self.root, FOLDER)
        self.workers = Workers("machine", 2)
        places = Places({"m": self.volume})
        self.quotas = Quotas(places, self.workers)
        self.files = Files(places, self.workers, self.quotas, 0)
        self.tree: Tree = {}

    def teardown(self) -> None:
        self.runner.run(self.quotas.close())
        self.runner.run(self.workers.close())
        self.runner.close()
        self.volume.close()
        shutil.rmtree(self.root)

    def ask(self, what: Coroutine[Any, Any, Any]) -> bool:
        """Whether it was done."""
        try:
            self.runner.run(what)
        except (OperationRefused, TargetExists, PathOutside):
            return False
        return True

    # -- the model

    def at(self, path: tuple[str, ...]) -> Tree | bytes | None:
        found: Tree | bytes | None = self.tree
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        return found

    def directory(self, path: tuple[str, ...]) -> Tree | None:
        found = self.at(path)
        return found if isinstance(found, dict) else None

    # -- what happens

    @rule(path=parts.filter(bool), content=st.binary(max_size=3))
    def others_write(self, path: tuple[str, ...], content: bytes) -> None:
        """Who mounts the folder makes a file."""
        above = self.directory(path[:-1])
        if above is None or isinstance(above.get(path[-1]), dict):
            return
        self.root.joinpath(*path).write_bytes(content)
        above[path[-1]] = content

    @rule(path=parts, form=odd, parents=st.booleans(), exist_ok=st.booleans())
    def make_directory(self, path: tuple[str, ...], form: str, parents: bool, exist_ok: bool) -> None:
        request = MkdirRequest(volume="m", vfid=FOLDER, relpath=spelled(path, form), parents=parents, exist_ok=exist_ok)
        reply = self.runner.run(self.files.make_directories(request))
        made = not reply.results.failed
        assert made == self._made(path, parents=parents, exist_ok=exist_ok)

    def _made(self, path: tuple[str, ...], *, parents: bool, exist_ok: bool) -> bool:
        if not path:
            return exist_ok
        if any(isinstance(self.at(path[:depth]), bytes) for depth in range(1, len(path))):
            return False
        if self.directory(path[:-1]) is None and not parents:
            return False
        there = self.at(path)
        if there is not None:
            return exist_ok and isinstance(there, dict)
        tree = self.tree
        for name in path:
            tree = tree.setdefault(name, {})
        return True

    @rule(path=parts, form=odd, name=names)
    def rename(self, path: tuple[str, ...], form: str, name: str) -> None:
        request = RenameRequest(volume="m", vfid=FOLDER, relpath=spelled(path, form), new_name=name)
        done = self.ask(self.files.rename(request))
        above = self.directory(path[:-1]) if path else None
        assert done == (above is not None and path[-1] in above and name not in above)
        if done:
            assert above is not None
            above[name] = above.pop(path[-1])

    @rule(source=parts, goal=parts, form=odd)
    def move(self, source: tuple[str, ...], goal: tuple[str, ...], form: str) -> None:
        request = MoveRequest(
            volume="m", vfid=FOLDER, src_relpath=spelled(source, form), dst_relpath=spelled(goal, form)
        )
        done = self.ask(self.files.move(request))
        assert done == self._moved(source, goal)

    def _moved(self, source: tuple[str, ...], target: tuple[str, ...]) -> bool:
        thing = self.at(source)
        if not source or thing is None:
            return False
        into = self.directory(target)
        if into is not None:
            place = (*target, source[-1])
            if place == source:
                return True
            if source[-1] in into or place[: len(source)] == source:
                return False
        else:
            place = target
            above = self.directory(target[:-1])
            if above is None or place[: len(source)] == source != place:
                return False
            if isinstance(thing, dict) and target[-1] in above:
                return False  # a directory takes no file's place
            into = above
        taken = self.directory(source[:-1])
        assert taken is not None
        del taken[source[-1]]
        into[place[-1]] = thing
        return True

    @rule(paths=st.lists(parts, min_size=1, max_size=3), form=odd, recursive=st.booleans())
    def delete(self, paths: list[tuple[str, ...]], form: str, recursive: bool) -> None:
        texts = tuple(spelled(path, form) for path in paths)
        request = DeleteRequest(volume="m", vfid=FOLDER, relpaths=texts, recursive=recursive)
        done = self.ask(self.files.delete(request))
        assert done == (recursive or not any(isinstance(self.at(path), dict) for path in paths))
        for path in paths if done else ():
            above = self.directory(path[:-1]) if path else None
            if not path:
                self.tree.clear()
            elif above is not None:
                above.pop(path[-1], None)

    # -- what is always true

    @invariant()
    def the_folder_is_the_tree(self) -> None:
        assert read(self.root) == self.tree, "also: nothing of ours stays"

    @invariant()
    def listings_say_so(self) -> None:
        request = ListRequest(volume="m", vfid=FOLDER, relpath=".")
        items = self.runner.run(self.files.list(request)).items
        assert [item.name for item in items] == sorted(self.tree, key=os.fsencode)


def read(directory: Path) -> Tree:
    return {each.name: read(each) if each.is_dir() else each.read_bytes() for each in directory.iterdir()}


TestFolder = Folder.TestCase
TestFolder.settings = settings(max_examples=examples(25), stateful_step_count=25, deadline=None)
