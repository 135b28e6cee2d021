"""Routes as values, listed by the handlers that answer them; OpenAPI is made from the same lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web
from pydantic import BaseModel

from pannier.api.handlers import Handler
from pannier.errors import PannierError

Content = type[BaseModel] | str
"""What a body is: a model as JSON, or something of a media type."""
Reply = Content | tuple[Content, ...] | None
"""What a success is: one content, one of several, or nothing."""


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path.

    Attributes:
        path: As aiohttp writes it, ``{name}`` for what varies.
        handler: Made by ``api_handler``; its parameters are the route's.
        replies: What each success status carries; problems are not listed here. Who may reply with 206 knows ranges and
            conditional requests.
        errors: What the route may refuse with, beyond what every route may.
        head: Whether ``HEAD`` is answered too, by the same handler.
        takes: The media type of a body that the handler reads itself; what ``BodyParam`` reads is known without it.
        problems: Problems that stand for no class of errors, by status: when they are told.
    """

    method: str
    path: str
    handler: Handler
    replies: Mapping[int, Reply] = field(default_factory=lambda: {200: None})
    errors: tuple[type[PannierError], ...] = ()
    head: bool = False
    takes: str | None = None
    problems: Mapping[int, str] = field(default_factory=dict)


class Group(Protocol):
    """Handlers that belong together."""

    def routes(self) -> Iterable[Route]:
        """List what they answer."""


def add(app: web.Application, groups: Iterable[Group], prefix: str = "") -> None:
    """Have an application answer the routes of some groups, below a path prefix."""
    for group in groups:
        for route in group.routes():
            app.router.add_route(route.method, prefix + route.path, route.handler)
            if route.head:
                app.router.add_route("HEAD", prefix + route.path, route.handler)
