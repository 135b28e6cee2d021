"""The listeners: groups of routes behind what every request of that listener passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from pannier.api.middlewares import STATUS_PATHS, Cors, Drain, draining, manager_secret, outermost, sign
from pannier.api.requests import Network
from pannier.api.routes import Group, add
from pannier.api.status import ClientStatus, ServerStatus


@dataclass(frozen=True, slots=True)
class ClientFace:
    """How the client-facing listener is reached: below which path, through which proxies, by which pages."""

    path_prefix: str = ""
    trusted_proxies: Sequence[Network] = ()
    cors_origins: Sequence[str] = ()


def client_application(groups: Sequence[Group], drain: Drain, face: ClientFace) -> web.Application:
    """What those who hold tokens talk to."""
    cors = Cors(face.cors_origins)
    prefix = face.path_prefix
    app = web.Application(
        middlewares=[
            outermost(face.trusted_proxies),
            cors.preflight,
            draining(drain, frozenset({prefix + "/"})),
        ]
    )
    app.on_response_prepare.extend([sign, cors.grant])
    add(app, [ClientStatus(drain), *groups], prefix)
    return app


def manager_application(groups: Sequence[Group], drain: Drain, secret: str) -> web.Application:
    """What the trusted manager talks to."""
    app = web.Application(middlewares=[outermost(()), manager_secret(secret), draining(drain, STATUS_PATHS)])
    app.on_response_prepare.append(sign)
    add(app, [ServerStatus("manager-facing", drain), *groups])
    return app


def internal_application(groups: Sequence[Group], drain: Drain) -> web.Application:
    """What watches over the process."""
    app = web.Application(middlewares=[outermost(())])
    app.on_response_prepare.append(sign)
    add(app, [ServerStatus("internal", drain), *groups])
    return app
