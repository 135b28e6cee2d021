"""The use cases of links that people send: make, tell, open, take back. No HTTP.

A link owns one session, named by its code: what it began with, what was delivered and how often, and whether it was
revoked stand there, whoever comes with the link and however often.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from pannier.archive.entries import Kind
from pannier.archive.formats import FORMATS, renamed
from pannier.archive.plan import Plan
from pannier.denials import LinkExpired, LinkMissing, LinkRevoked, LinkSpent, PasswordWrong
from pannier.dto.archives import OfferedFormat
from pannier.dto.ids import FolderId
from pannier.dto.instants import instant
from pannier.dto.links import Content, Contents, LinkReply, LinkState, LinkTerms, ReceivedReply
from pannier.dto.paths import to_text
from pannier.dto.selections import Selection
from pannier.errors import PannierError, SessionMissing, StateUnavailable
from pannier.services.archives import DEFAULT_NAME, Grant
from pannier.services.orders import Order
from pannier.services.passwords import Doors, digest, matches
from pannier.services.places import Places
from pannier.services.planning import Plans
from pannier.services.sessions import Sessions
from pannier.services.standings import failure_of
from pannier.services.surveys import plan_for_a_second
from pannier.state.links import Link, SqliteLinks
from pannier.state.sessions import NewSession, Session, key_of
from pannier.streams.workers import Workers

CODE_BYTES = 16
CONTENTS = 100
"""Entries of one page of contents."""
MOST_LISTED = 1_000
_SHOWN_PATHS = 100
_COMPARE_SECONDS = 1.0
"""How long a list of links takes at most to find out which archives have changed."""
_KINDS = {Kind.FILE: "file", Kind.DIRECTORY: "directory", Kind.LINK: "link"}


@dataclass(frozen=True, slots=True)
class Address:
    """Where links are reached: the base URL of the client-facing listener, without a trailing slash."""

    base: str

    def page(self, code: str) -> str:
        return f"{self.base}/s/{code}"


class Links:
    """Links to archives.

    Args:
        records: Where they are kept.
        sessions: Where what they delivered is kept.
        workers: Threads that compute digests of passwords.
        quote: Writes a file name as part of a URL.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        records: SqliteLinks,
        places: Places,
        plans: Plans,
        sessions: Sessions,
        workers: Workers,
        *,
        quote: Callable[[str], str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._records, self._places, self._plans, self._sessions = records, places, plans, sessions
        self._workers, self._quote, self._clock = workers, quote, clock
        self._doors = Doors()

    # -- for their owner

    async def make(
        self, volume: str, folder: FolderId, files: tuple[str, ...], terms: LinkTerms, address: Address
    ) -> LinkReply:
        """Make a link to an archive of some files.

        Raises:
            SelectionRefused: Something of it cannot be included.
            VolumeUnknown, FolderMissing, LimitExceeded, Busy, InvalidRequest, VolumeFailed: As planning finds.
            StateUnavailable: It cannot be kept.
        """
        selection = await self._workers.run(Selection.of, files, terms.options)
        format = FORMATS[terms.offered]
        order = Order(self._places.place(volume, folder), selection)
        plan = await plan_for_a_second(self._plans, order)
        shape = None if plan is None else await self._plans.shape(order, plan, format)
        now = self._clock()
        link = Link(
            number=0,
            code=secrets.token_urlsafe(CODE_BYTES),
            volume=volume,
            folder=str(folder),
            selection=await self._workers.run(selection.body),
            filename=terms.filename or DEFAULT_NAME + format.extension,
            format=str(terms.offered),
            note=terms.note or None,
            password=None if terms.password is None else await self._workers.run(digest, terms.password),
            deliveries=terms.deliveries,
            created=now,
            expires=int(now) + terms.expires_in,
            entries=None if shape is None else shape.entries,
            bytes=None if plan is None else plan.content_bytes,
            length=None if shape is None or format.encoding is not None else shape.layout.length,
        )
        await self._sessions.register(ticket(link))
        kept = await self._records.keep(link)
        return self._told(kept, selection, ticket(kept).begun(now), address, changed=False)

    async def listed(self, address: Address) -> list[LinkReply]:
        """Return the links that were not removed, the newest first.

        Raises:
            StateUnavailable: They cannot be told.
        """
        links = await self._records.listed(MOST_LISTED)
        sessions = {session.key: session for session in await self._sessions.standing([key(each) for each in links])}
        until = time.monotonic() + _COMPARE_SECONDS
        told: list[LinkReply] = []
        for link in links:
            selection = await self._workers.run(Selection.parse, link.selection)
            session = sessions.get(key(link)) or ticket(link).begun(link.created)
            changed = await self._changed(link, selection, session, until)
            told.append(self._told(link, selection, session, address, changed=changed))
        return told

    async def revoke(self, code: str, address: Address, *, remove: bool = False) -> LinkReply:
        """Take a link back: it opens nothing from its next request on, and its streams are cut.

        Raises:
            LinkMissing: There is no such link.
            StateUnavailable: It is not known whether it is revoked; asking again is safe.
        """
        link = await self._records.find(code)
        if link is None:
            raise LinkMissing
        try:
            session = await self._sessions.revoke(key(link).hex())
        except SessionMissing:  # it is long over
            session = ticket(link).begun(link.created)
        revoked = await self._records.revoke(code, self._clock(), remove=remove)
        selection = await self._workers.run(Selection.parse, link.selection)
        return self._told(revoked or link, selection, session, address, changed=None)

    # -- for who receives them

    async def open(self, code: str, *, resuming: bool = False) -> Link:
        """Return a link that opens something. ``resuming``: one that is spent may still be gone on with.

        Raises:
            LinkMissing, LinkRevoked, LinkExpired, LinkSpent: There is none, or not any more.
            StateUnavailable: It cannot be told now.
        """
        link = await self._records.find(code)
        if link is None:
            raise LinkMissing
        match self._state(link, None):
            case LinkState.REVOKED:
                raise LinkRevoked
            case LinkState.EXPIRED:
                raise LinkExpired(instant(link.expires))
        if link.deliveries is not None and not resuming:
            found = await self._sessions.standing([key(link)])
            if not found or found[0].spent is not None:
                raise LinkSpent(link.deliveries)
        return link

    async def check_password(self, link: Link, given: str | None, address: str) -> None:
        """Let only those on who know a link's password, if it has one.

        Raises:
            PasswordWrong: None is given, or another.
            PasswordLocked: Too many were wrong, of this link or from this address.
        """
        if link.password is None:
            return
        if given is None:
            raise PasswordWrong(given=False)
        doors = (f"link:{link.code}:{address}", f"link:{link.code}")
        self._doors.knock(*doors)
        if not await self._workers.run(matches, given, link.password):
            raise PasswordWrong
        self._doors.open(*doors)

    def proof(self, link: Link) -> str:
        """Return what a browser holds that has sent the password of a link; it tells nothing of it."""
        return hmac.digest((link.password or "").encode(), b"pannier link " + link.code.encode(), "sha256").hex()

    def is_proof(self, link: Link, given: str | None) -> bool:
        """Whether a browser has sent the password of a link, or none is asked for."""
        return link.password is None or (
            given is not None and hmac.compare_digest(given.encode("utf-8", "surrogatepass"), self.proof(link).encode())
        )

    def formats(self, link: Link) -> tuple[OfferedFormat, ...]:
        """Return what the archive of a link comes as, its own first; deliveries are counted of one format alone."""
        own = OfferedFormat(link.format)
        if link.deliveries is not None:
            return (own,)
        return (own, *(each for each in OfferedFormat if each is not own))

    async def grant(self, link: Link, format: OfferedFormat | None = None) -> Grant:
        """Return what a link allows; errors as ``Places.place``."""
        signed = FORMATS[OfferedFormat(link.format)]
        chosen = FORMATS[format or OfferedFormat(link.format)]
        name = session_name(link)
        return Grant(
            order=await self._order(link),
            format=chosen,
            filename=self.filename(link, format),
            session=name if chosen is signed else f"{name}:{chosen.label}",
            expires=link.expires,
            ticket=ticket(link),
        )

    def filename(self, link: Link, format: OfferedFormat | None = None) -> str:
        """Return the name that the archive has in a format."""
        signed, chosen = FORMATS[OfferedFormat(link.format)], FORMATS[format or OfferedFormat(link.format)]
        return link.filename if chosen.extension == signed.extension else renamed(link.filename, chosen)

    async def received(self, link: Link, address: Address, number: int) -> ReceivedReply:
        """Return what a receiver is told, with a page of the contents; errors as of ``Plans.plan``."""
        order = await self._order(link)
        plan = await self._plans.plan(order)
        format = FORMATS[OfferedFormat(link.format)]
        shape = await self._plans.shape(order, plan, format)
        stored = shape if format.encoding is None else None
        found = await self._sessions.standing([key(link)])
        delivered = found[0].account.deliveries if found else 0
        broken = found[0].broken if found else None
        return self.locked(link, address).model_copy(
            update={
                "password": link.password is not None,
                "format": OfferedFormat(link.format),
                "formats": self.formats(link),
                "entries": len(plan.entries),
                "files": plan.entries.kinds.count(Kind.FILE.value),
                "bytes": plan.content_bytes,
                "length": stored.layout.length if stored else None,
                "etag": stored.etag if stored else None,
                "deliveries": link.deliveries,
                "deliveries_left": None if link.deliveries is None else max(0, link.deliveries - delivered),
                "left_out": len(order.selection.except_),
                "failure": None if broken is None else failure_of(broken),
                "contents": _contents(plan, number),
            }
        )

    def locked(self, link: Link, address: Address) -> ReceivedReply:
        """Return what a receiver is told who does not know the password."""
        return ReceivedReply(
            filename=link.filename,
            note=link.note,
            expires_at=instant(link.expires),
            password=link.password is not None,
            file_url=self._file_url(link, address),
        )

    def _file_url(self, link: Link, address: Address) -> str:
        return f"{address.page(link.code)}/{self._quote(link.filename)}"

    async def _order(self, link: Link) -> Order:
        selection = await self._workers.run(Selection.parse, link.selection)
        return Order(self._places.place(link.volume, FolderId.parse(link.folder)), selection)

    def _state(self, link: Link, session: Session | None) -> LinkState:
        if link.revoked is not None or (session is not None and session.revoked is not None):
            return LinkState.REVOKED
        if self._clock() >= link.expires:
            return LinkState.EXPIRED
        if session is not None and session.spent is not None:
            return LinkState.SPENT
        return LinkState.OPEN

    async def _changed(self, link: Link, selection: Selection, session: Session, until: float) -> bool | None:
        """Whether the archive would be another one than was delivered first; None where that takes too long."""
        account = session.account
        if not account.archive:
            return False
        if account.earlier or session.pinned is None:
            return True
        if self._state(link, session) is not LinkState.OPEN:
            return None
        try:
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                order = Order(self._places.place(link.volume, FolderId.parse(link.folder)), selection)
                plan = await self._plans.plan(order)
                shape = await self._plans.shape(order, plan, FORMATS[OfferedFormat(link.format)])
        except TimeoutError:
            return None
        except StateUnavailable:
            raise
        except PannierError:
            return True  # what was delivered could not be had any more
        return shape.etag != session.pinned

    def _told(
        self, link: Link, selection: Selection, session: Session, address: Address, *, changed: bool | None
    ) -> LinkReply:
        account = session.account
        return LinkReply(
            code=link.code,
            url=address.page(link.code),
            file_url=self._file_url(link, address),
            state=self._state(link, session),
            folder=link.volume,
            paths=selection.files[:_SHOWN_PATHS],
            left_out=len(selection.except_),
            filename=link.filename,
            format=OfferedFormat(link.format),
            entries=link.entries,
            bytes=link.bytes,
            length=link.length,
            note=link.note,
            password=link.password is not None,
            created_at=instant(int(link.created)),
            expires_at=instant(link.expires),
            deliveries=link.deliveries,
            delivered=account.deliveries,
            bytes_sent=account.total,
            running=self._sessions.running(session.key),
            changed=changed,
            session=session.key.hex(),
            revoked_at=None if link.revoked is None else instant(int(link.revoked)),
        )


def session_name(link: Link) -> str:
    """Return what the session of a link is called, and what its pins are remembered by."""
    return f"link:{link.code}"


def key(link: Link) -> bytes:
    """Return what the session of a link is kept under."""
    return key_of(session_name(link))


def ticket(link: Link) -> NewSession:
    """Return what a link says of its session."""
    return NewSession(
        key=key(link),
        volume=link.volume,
        folder=link.folder,
        filename=link.filename,
        format=link.format,
        expires=link.expires,
        grace=0,
        rate=None,
        times=link.deliveries or 0,
    )


def _contents(plan: Plan, number: int) -> Contents:
    total = len(plan.entries)
    pages = max(1, -(-total // CONTENTS))
    number = min(number, pages)
    items = tuple(
        Content.model_validate({"path": to_text(each.name), "size": each.size, "kind": _KINDS[each.kind]})
        for each in plan.entries[(number - 1) * CONTENTS : number * CONTENTS]
    )
    return Contents(total=total, page=number, pages=pages, items=items)
