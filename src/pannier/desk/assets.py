"""Style, scripts and icons: files of the package, read once at the start and answered from memory.

No path of a request is ever looked up on a disk: what was not read at the start is not there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from posixpath import dirname, join, normpath

from aiohttp import web
from pydantic import BaseModel

from pannier.api.handlers import Answered, PathParam, api_handler
from pannier.api.requests import Context
from pannier.api.routes import Route

_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
    "png": "image/png",
    "ico": "image/x-icon",
    "woff2": "font/woff2",
    "txt": "text/plain; charset=utf-8",
}
_IMPORT = re.compile(rb"""(?:\bfrom|^import) *["'](\.[^"']+\.js)["']""", re.MULTILINE)
"""Where a module names another one, by a path relative to its own."""


class AssetPath(BaseModel):
    """The variable part of ``/static/{name}``."""

    name: str


@dataclass(frozen=True, slots=True)
class Asset:
    """A file: an ``ApiStreamResponse``."""

    content: bytes
    media_type: str
    etag: str

    async def send(self, context: Context) -> web.StreamResponse:
        headers = {
            "ETag": self.etag,
            "Cache-Control": "no-cache",
            "X-Content-Type-Options": "nosniff",
            "Content-Type": self.media_type,
            "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        if context.request.headers.get("If-None-Match") == self.etag:
            return web.Response(status=304, headers=headers)
        response = web.Response(body=self.content, headers=headers)
        if len(self.content) > 1_000 and not self.media_type.startswith(("image/png", "font/")):
            response.enable_compression()
        return response


class Assets:
    """The handler of ``/static``; ``prefix`` is the path below which everything stands."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._files = dict(_read(files("pannier.desk") / "static"))

    def __contains__(self, name: object) -> bool:
        return name in self._files

    def url(self, name: str) -> str:
        """Return the address of a file."""
        return f"{self._prefix}/static/{name}"

    def modules(self, name: str) -> list[str]:
        """Return what a module imports, and that in turn; without itself, and what it imports while it runs.

        A browser that is told of them asks for all at once, and not for each level of them after the one before.
        """
        found = [name]
        for each in found:
            for imported in _IMPORT.findall(self._files[each].content):
                below = normpath(join(dirname(each), imported.decode()))
                if below in self._files and below not in found:
                    found.append(below)
        return found[1:]

    def routes(self) -> Iterable[Route]:
        return [Route("GET", "/static/{name:.*}", self.get, {200: tuple(_TYPES.values()), 304: None}, head=True)]

    @api_handler
    async def get(self, path: PathParam[AssetPath]) -> Answered:
        """``GET /static/{name}``: style, scripts and icons of the pages."""
        found = self._files.get(path.parsed.name)
        if found is None:
            raise web.HTTPNotFound
        return found


def _read(directory: Traversable, above: str = "") -> Iterator[tuple[str, Asset]]:
    for each in directory.iterdir():
        if each.is_dir():
            yield from _read(each, f"{above}{each.name}/")
        elif (media_type := _TYPES.get(each.name.rpartition(".")[2])) is not None:
            content = each.read_bytes()
            yield above + each.name, Asset(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
