"""The routes of each listener."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from pannier.api.client_archives import ClientArchives
from pannier.api.manager_archives import ManagerArchives
from pannier.api.middlewares import STATUS_PATHS, Cors, Drain, draining, manager_secret, outermost, sign
from pannier.api.requests import Network
from pannier.api.status import StatusHandlers
from pannier.api.streaming import Streaming
from pannier.services.archives import Archives


@dataclass(frozen=True, slots=True)
class ClientFace:
    """How the client-facing listener is reached: below which path, through which proxies, by which pages."""

    path_prefix: str = ""
    trusted_proxies: Sequence[Network] = ()
    cors_origins: Sequence[str] = ()


def client_application(archives: Archives, streaming: Streaming, drain: Drain, face: ClientFace) -> web.Application:
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
    client = ClientArchives(archives, streaming)
    app.router.add_get(prefix + "/", StatusHandlers("client-facing", drain).client_status, allow_head=True)
    app.router.add_get(prefix + "/download-archive", client.download, allow_head=True)
    return app


def manager_application(archives: Archives, drain: Drain, secret: str, most_selection_body: int) -> web.Application:
    """What the trusted manager talks to."""
    app = web.Application(middlewares=[outermost(()), manager_secret(secret), draining(drain, STATUS_PATHS)])
    app.on_response_prepare.append(sign)
    _add_status(app, StatusHandlers("manager-facing", drain))
    manager = ManagerArchives(archives, most_selection_body)
    app.router.add_post("/folder/file/archive-download-token", manager.mint)
    app.router.add_post("/folder/file/download-archive", manager.mint_alias)
    app.router.add_post("/folder/file/archive-plan", manager.plan)
    return app


def internal_application(drain: Drain) -> web.Application:
    """What watches over the process."""
    app = web.Application(middlewares=[outermost(())])
    app.on_response_prepare.append(sign)
    _add_status(app, StatusHandlers("internal", drain))
    return app


def _add_status(app: web.Application, status: StatusHandlers) -> None:
    app.router.add_get("/", status.status)
    app.router.add_get("/status", status.status)
    app.router.add_get("/health", status.health)
    app.router.add_get("/livez", status.alive)
    app.router.add_get("/readyz", status.ready)
