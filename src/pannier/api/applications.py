"""The listeners: groups of routes behind what every request of that listener passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Middleware

from pannier.api.metrics import Metrics
from pannier.api.middlewares import STATUS_PATHS, Cors, Drain, draining, manager_secret, outermost, sign
from pannier.api.openapi import Described, Face
from pannier.api.requests import Network
from pannier.api.routes import Group, add
from pannier.api.status import ClientStatus, ServerStatus
from pannier.services.readiness import NOTHING_NEEDED, Readiness


@dataclass(frozen=True, slots=True)
class ClientFace:
    """How the client-facing listener is reached: below which path, through which proxies, by which pages."""

    path_prefix: str = ""
    trusted_proxies: Sequence[Network] = ()
    cors_origins: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Desk:
    """A front desk: its routes, ``/`` too, which pages of other origins may not read.

    ``around`` goes around everything: it shows problems as pages.
    """

    groups: Sequence[Group]
    around: Middleware


def client_application(
    groups: Sequence[Group], drain: Drain, face: ClientFace, desk: Desk | None = None
) -> web.Application:
    """What those who hold tokens talk to, and people where there is a front desk."""
    prefix = face.path_prefix
    own = desk.groups if desk is not None else [ClientStatus(drain)]
    spent = [prefix + route.path for group in groups for route in group.routes()]
    cors = Cors(face.cors_origins, None if desk is None else spent)
    told = Face(
        "Pannier, client-facing",
        "For those who hold tokens: browsers and clients.",
        prefix=prefix,
        always=frozenset({"/"}),
    )
    passed: list[Middleware] = [
        outermost("client", face.trusted_proxies),
        cors.preflight,
        draining(drain, frozenset({prefix + "/"})),
    ]
    if desk is not None:
        passed.insert(0, desk.around)
    app = web.Application(middlewares=passed)
    app.on_response_prepare.extend([sign, cors.grant])
    add(app, _described(told, [*own, *groups]), prefix)
    return app


def desk_application(desk: Desk, drain: Drain, trusted_proxies: Sequence[Network]) -> web.Application:
    """The front desk on a listener of its own."""
    always = frozenset({"/"})
    app = web.Application(middlewares=[desk.around, outermost("client", trusted_proxies), draining(drain, always)])
    app.on_response_prepare.append(sign)
    told = Face("Pannier, front desk", "For people, and the page that they look at.", always=always)
    add(app, _described(told, desk.groups))
    return app


def manager_application(
    groups: Sequence[Group], drain: Drain, secret: str, readiness: Readiness = NOTHING_NEEDED
) -> web.Application:
    """What the trusted manager talks to."""
    app = web.Application(middlewares=[outermost("manager", ()), manager_secret(secret), draining(drain, STATUS_PATHS)])
    app.on_response_prepare.append(sign)
    told = Face(
        "Pannier, manager-facing",
        "For the manager alone, which knows the secret.",
        open_paths=STATUS_PATHS,
        always=STATUS_PATHS,
    )
    add(app, _described(told, [ServerStatus("manager-facing", drain, readiness), *groups]))
    return app


def internal_application(
    groups: Sequence[Group], drain: Drain, readiness: Readiness = NOTHING_NEEDED
) -> web.Application:
    """What watches over the process."""
    app = web.Application(middlewares=[outermost("internal", ())])
    app.on_response_prepare.append(sign)
    told = Face("Pannier, internal", "For what watches over the process; keep it from everybody else.")
    add(app, _described(told, [ServerStatus("internal", drain, readiness), Metrics(), *groups]))
    return app


def _described(face: Face, groups: Sequence[Group]) -> list[Group]:
    return [*groups, Described(face, groups)]
