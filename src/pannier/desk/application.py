"""The client-facing listener with a front desk: its routes beside those of tokens, and what goes around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pannier.api.applications import Desk
from pannier.api.client_archives import ClientArchives
from pannier.api.client_members import ClientMembers
from pannier.api.routes import Group
from pannier.api.streaming import Streaming
from pannier.desk.assets import Assets
from pannier.desk.changing import DeskChanges
from pannier.desk.data import DeskData
from pannier.desk.door import House
from pannier.desk.downloads import DeskDownloads
from pannier.desk.dropping import DeskDrops
from pannier.desk.enter import DeskEntrance
from pannier.desk.html import Site
from pannier.desk.linking import DeskLinks
from pannier.desk.pages import DeskPages
from pannier.desk.problems import ProblemPages
from pannier.desk.receiving import DeskReceiving
from pannier.services.archives import Archives
from pannier.services.changes import Changes
from pannier.services.downloads import Downloads
from pannier.services.drops import Drops
from pannier.services.links import Links
from pannier.services.listings import Listings
from pannier.services.sessions import Sessions
from pannier.services.uploads import Uploads
from pannier.state.sign_ins import SqliteSignIns
from pannier.streams.workers import Workers


@dataclass(frozen=True, slots=True)
class Services:
    """What the front desk does its work with."""

    archives: Archives
    downloads: Downloads
    sessions: Sessions
    uploads: Uploads
    changes: Changes
    listings: Listings
    links: Links
    drops: Drops
    sign_ins: SqliteSignIns
    client_archives: ClientArchives
    client_members: ClientMembers
    streaming: Streaming
    workers: Workers
    session_expire: float
    most_selection: int


def front_desk(house: House, services: Services) -> Desk:
    """Return the front desk: groups of routes, and the middleware that shows problems as pages."""
    assets = Assets(house.prefix)
    site = Site(house, assets)
    it = services
    begun = DeskDownloads(house, it.archives, it.downloads, it.sessions, it.sign_ins, it.most_selection)
    groups: Sequence[Group] = [
        assets,
        DeskEntrance(site),
        DeskPages(site, it.listings, it.archives, it.downloads, begun, it.links, it.streaming, it.workers),
        DeskData(house, it.listings, it.uploads.largest),
        begun,
        DeskChanges(house, it.changes, it.uploads, it.session_expire),
        DeskLinks(site, it.links, it.drops, it.most_selection),
        DeskReceiving(site, it.links, it.client_archives, it.client_members),
        DeskDrops(site, it.drops, it.uploads.largest),
    ]
    return Desk(groups, ProblemPages(site).show)
