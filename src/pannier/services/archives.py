"""The use cases of archives: mint a token, report a plan, open what a token allows. No HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

from pannier.archive.formats import FORMATS, Format, renamed
from pannier.archive.plan import Plan, Shape
from pannier.dto.archives import (
    ArchiveFormat,
    ArchivePlanPage,
    ArchivePlanReply,
    ArchivePlanRequest,
    ArchiveTokenReply,
    ArchiveTokenRequest,
    ChecksumCoverage,
    Compression,
    OfferedFormat,
    TokenFormats,
    TokenOperation,
)
from pannier.dto.claims import ArchiveDownloadTokenData, PannierClaim
from pannier.dto.ids import FolderId
from pannier.dto.selections import Selection, placeholder
from pannier.dto.terms import TokenTerms
from pannier.errors import (
    Busy,
    ChecksumsPending,
    InvalidRequest,
    PannierError,
    SelectionChanged,
    StateUnavailable,
    TokenClaimsInvalid,
)
from pannier.services.orders import Order
from pannier.services.places import Places
from pannier.services.planning import Plans
from pannier.services.progress import Progress
from pannier.services.reports import page, read_cursor, report
from pannier.services.surveys import plan_for_a_second
from pannier.state.base import SelectionStore, SessionStore
from pannier.state.sessions import NewSession, key_of
from pannier.streams.archive import ArchiveReader, Engine
from pannier.streams.base import StreamReader
from pannier.streams.encoding import Encoding
from pannier.streams.hashing import Place
from pannier.tokens import PydanticJWT, session_of
from pannier.window import Window

_TRY_SECONDS = 2.0
"""How long it is tried whether a download can go on."""
_LONGEST_IN_CLAIMS = 4_096
"""Bytes of JSON that a selection may have to travel in the token: a token is part of a URL."""
_PIN_GRACE = 24 * 3600
"""Seconds that a pin, or a kept selection, outlives its token."""
DEFAULT_NAME = "archive"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a valid token allows: one archive, in one session, until ``expires`` (Unix seconds)."""

    order: Order
    format: Format
    filename: str
    session: str
    """What pins are remembered by: each stored format of a token begins a download of its own."""
    expires: int
    ticket: NewSession | None = None
    """What the session of an archive token is kept by; None for the token of a single file."""

    @property
    def encoded(self) -> bool:
        """Whether the archive has neither a length in advance nor an ETag: nothing of it can be pinned."""
        return self.format.encoding is not None


class Archives:
    """Archives of selections, for managers and for those who hold a token."""

    def __init__(
        self,
        *,
        places: Places,
        plans: Plans,
        engine: Engine,
        encoding: Encoding,
        keys: PydanticJWT,
        sessions: SessionStore,
        selections: SelectionStore,
        register: Callable[[NewSession], Awaitable[None]],
        session_expire: float,
    ) -> None:
        """``register`` keeps the session of a token before it is given out (``Sessions.register``)."""
        self._places, self._plans, self._engine, self._keys = places, plans, engine, keys
        self._encoding = encoding
        self._sessions, self._selections, self._session_expire = sessions, selections, session_expire
        self._register = register

    # -- for managers

    async def mint(self, request: ArchiveTokenRequest) -> ArchiveTokenReply:
        """Check the selection as far as a second allows, and return a token for it.

        Raises:
            SelectionRefused: A selected path, or something below one that was reached in time, cannot be archived.
            VolumeUnknown, FolderMissing, LimitExceeded, Busy, InvalidRequest, VolumeFailed: As planning finds.
            StateUnavailable: Its session, or a large selection, cannot be kept.
            MintingUnavailable: There is no key to sign a token with.
        """
        selection = await self._engine.workers.run(_selection, request)
        order = self._order(request.volume, request.virtual_folder_id, selection)
        plan = await plan_for_a_second(self._plans, order)
        format = FORMATS[request.offered]
        shape = await self._plans.shape(order, plan, format) if plan is not None else None
        claims = await self._claims(request, selection)
        token = self._keys.issue(claims)
        ticket = _ticket(token, claims)
        await self._register(ticket)
        reply = ArchiveTokenReply(token=token, session=ticket.key.hex(), plan="running")
        if shape is None:
            return reply
        counted = {"plan": "done", "entries": shape.entries}
        if format.encoding is None:
            counted |= {"length": shape.layout.length, "etag": shape.etag}
        return reply.model_copy(update=counted)

    async def plan(
        self, request: ArchivePlanRequest, watch: Callable[[Progress], None] | None = None
    ) -> ArchivePlanReply | ArchivePlanPage:
        """Return what an archive would hold and what stands in its way; with a cursor, one further page of a list.

        Cancelling it cancels the walk, unless others wait for it.

        Raises:
            SelectionChanged: The cursor belongs to a plan that is no more.
            VolumeUnknown, FolderMissing, LimitExceeded, Busy, InvalidRequest, VolumeFailed: As planning finds.
        """
        selection = await self._engine.workers.run(_selection, request)
        order = self._order(request.volume, request.virtual_folder_id, selection)
        if request.cursor is None:
            plan = await self._plans.plan(order, linger=False, watch=watch)
            format = FORMATS[request.offered]
            shape = await self._plans.shape(order, plan, format) if plan.shape is not None else None
            coverage = await self._engine.workers.run(self._coverage, order.place, plan)
            return await self._engine.workers.run(report, plan, format, shape, coverage)
        tag, which, start = read_cursor(request.cursor)
        plan = self._plans.recall(order, tag) or await self._plans.plan(order, linger=False, watch=watch)
        if plan.tag != tag:
            raise SelectionChanged
        return page(plan, which, start)

    # -- for those who hold a token

    async def admit(
        self, token: str, format: ArchiveFormat | None = None, compression: Compression | None = None
    ) -> Grant:
        """Return what a token allows, in the format that is asked for (default: the signed one).

        A token that has expired is let in as long as what was begun with it may be resumed.

        Raises:
            TokenRejected: It allows nothing here.
            InvalidRequest: It does not allow the format.
            VolumeUnknown: Its volume is not configured.
            StateUnavailable: Its selection cannot be looked up.
        """
        claims = self._keys.validate(token, ArchiveDownloadTokenData, grace=_grace)
        selection = claims.selection()
        if selection is None:
            assert claims.pannier is not None
            assert claims.pannier.selection is not None
            selection = await self._kept(claims.pannier.selection)
        signed = FORMATS[claims.formats.offered]
        chosen = FORMATS[_chosen(claims.formats, format, compression)]
        if chosen is not signed and claims.terms.one_time:
            raise InvalidRequest("format", "this token is for a single download, in the format it was made for")
        filename = claims.filename or DEFAULT_NAME + chosen.extension
        session = session_of(token, claims.jti)
        return Grant(
            order=self._order(claims.volume, claims.virtual_folder_id, selection),
            format=chosen,
            filename=filename if chosen.extension == signed.extension else renamed(filename, chosen),
            session=session if chosen is signed else f"{session}:{chosen.label}",
            expires=claims.exp + claims.terms.resume_grace,
            ticket=_ticket(token, claims),
        )

    async def resumable(self, grant: Grant, etag: str, position: int) -> bool | None:
        """Find out whether an archive that was begun could go on from a byte: by trying, which sends nothing.

        None where it takes too long to tell.

        Raises:
            StateUnavailable: It cannot be told now.
        """
        try:
            async with asyncio.timeout(_TRY_SECONDS):
                reader = await self.open(grant, etag)
                if reader.version.etag != etag:
                    return False
                async with aclosing(reader.read(Window(position, min(position + 1, reader.length)))) as items:
                    await anext(items)
        except (TimeoutError, Busy, ChecksumsPending):
            return None
        except StateUnavailable:
            raise
        except PannierError:
            return False
        return True

    async def open_encoded(self, grant: Grant) -> StreamReader:
        """Return a reader of an archive in an encoded format; errors as ``open``."""
        plan = await self._plans.plan(grant.order)
        shape = await self._plans.shape(grant.order, plan, grant.format)
        return self._encoding.reader(
            self._engine,
            grant.order.place,
            shape,
            filename=grant.filename,
            session=grant.session,
            on_changed=lambda: self._plans.forget(grant.order, plan),
        )

    async def open(self, grant: Grant, preferred: str | None) -> ArchiveReader:
        """Return a reader of an archive in a stored format.

        ``preferred`` is the ETag that a range continues: its plan serves as long as its files are unchanged, even where
        the selection would by now come to more.

        Raises:
            SelectionRefused: Something in the selection cannot be archived.
            FolderMissing, LimitExceeded, Busy, InvalidRequest, VolumeFailed: As planning finds.
        """
        order = grant.order
        plan, shape = await self.planned(grant, preferred)
        return ArchiveReader(
            self._engine,
            order.place,
            shape,
            filename=grant.filename,
            session=grant.session,
            on_changed=lambda: self._plans.forget(order, plan),
        )

    async def planned(self, grant: Grant, preferred: str | None) -> tuple[Plan, Shape]:
        """Return the plan and the shape of an archive in a stored format; see ``open``."""
        order = grant.order
        plan = self._plans.recall(order, preferred) if preferred is not None else None
        if plan is None or not await self._plans.unchanged(order, plan):
            plan = await self._plans.plan(order)
        return plan, await self._plans.shape(order, plan, grant.format)

    async def pinned(self, grant: Grant, *, certain: bool) -> str | None:
        """Return the ETag of the archive that the grant's session began with, or that of none if it was withdrawn.

        Where an archive is served because it is this one, the answer must be ``certain``, not from memory.

        Raises:
            StateUnavailable: It cannot be looked up.
        """
        return await self._sessions.pinned(grant.session, certain=certain)

    async def pin(self, grant: Grant, etag: str) -> str:
        """Tie the session to an archive, durably; return the ETag that stands, which may be an earlier one or none's.

        Raises:
            StateUnavailable: It cannot be remembered, so nothing of the archive may be sent.
        """
        return await self._sessions.pin(grant.session, etag, grant.expires + _PIN_GRACE)

    async def withdraw(self, grant: Grant) -> None:
        """Tie the session to no archive any more, durably, before it gives out another than it is pinned to.

        Raises:
            StateUnavailable: It cannot be remembered, so nothing of the other archive may be sent.
        """
        await self._sessions.withdraw(grant.session, grant.expires + _PIN_GRACE)

    # -- both

    def _order(self, volume: str, folder: FolderId, selection: Selection) -> Order:
        return Order(self._places.place(volume, folder), selection)

    async def _claims(self, request: ArchiveTokenRequest, selection: Selection) -> ArchiveDownloadTokenData:
        expires = int(time.time() + (self._session_expire if request.expires_in is None else request.expires_in))
        files = request.files
        members: dict[str, object] = {}
        body = await self._engine.workers.run(selection.body)
        digest = hashlib.sha256(body).hexdigest()
        if len(body) > _LONGEST_IN_CLAIMS:
            await self._selections.keep(digest, body, expires + request.resume_grace + _PIN_GRACE)
            files, members = (placeholder(digest),), {"selection": digest}
        elif request.narrows or request.one_time:
            files, members = (placeholder(digest),), {"paths": selection.files, **dict(request.options)}
        formats = TokenFormats(format=request.format, compression=request.compression, formats=request.formats)
        if formats != TokenFormats():
            members |= dict(formats)
        if request.terms != TokenTerms():
            members |= dict(request.terms)
        claim = PannierClaim.model_validate(members) if members else None
        return ArchiveDownloadTokenData(
            operation=TokenOperation.DOWNLOAD,
            volume=request.volume,
            virtual_folder_id=request.virtual_folder_id,
            files=files,
            filename=request.filename,
            exp=expires,
            jti=secrets.token_urlsafe(16),
            pannier=claim,
        )

    async def _kept(self, digest: str) -> Selection:
        body = await self._selections.selection(digest)
        selection = None if body is None else await self._engine.workers.run(_read_selection, body, digest)
        if selection is None:
            raise TokenClaimsInvalid(
                "this server no longer keeps the token's selection; ask the manager for a new token"
            )
        return selection

    def _coverage(self, place: Place, plan: Plan) -> ChecksumCoverage:
        if plan.shape is None:
            return ChecksumCoverage(known_entries=0, known_bytes=0)
        shape: Shape = plan.shape
        unknown = self._engine.hashing.unknown(place, shape, range(shape.entries))
        unknown_bytes = sum(map(shape.layout.entries.sizes.__getitem__, unknown))
        return ChecksumCoverage(
            known_entries=shape.entries - len(unknown), known_bytes=plan.content_bytes - unknown_bytes
        )


def _grace(claims: ArchiveDownloadTokenData) -> float:
    return claims.terms.resume_grace


def _ticket(token: str, claims: ArchiveDownloadTokenData) -> NewSession:
    terms, format = claims.terms, FORMATS[claims.formats.offered]
    return NewSession(
        key=key_of(session_of(token, claims.jti)),
        volume=claims.volume,
        folder=str(claims.virtual_folder_id),
        filename=claims.filename or DEFAULT_NAME + format.extension,
        format=claims.formats.offered,
        expires=claims.exp,
        grace=terms.resume_grace,
        rate=terms.rate,
        times=int(terms.one_time),
    )


def _chosen(signed: TokenFormats, format: ArchiveFormat | None, compression: Compression | None) -> OfferedFormat:
    """Return the format that a token is spent as. What is not asked for is as signed, of the signed format.

    Raises:
        InvalidRequest: There is no such combination, or the token does not allow it; says what it allows.
    """
    asked = signed.format if format is None else format
    if compression is None:
        compression = signed.compression if asked is signed.format else Compression.NONE
    allowed = (signed.offered, *signed.formats)
    chosen = OfferedFormat.of(asked, compression)
    if chosen is None or chosen not in allowed:
        words = ", ".join(dict.fromkeys(allowed))
        reason = f"this token is for {words}; others have to be in its formats when it is minted"
        raise InvalidRequest("compression" if format is None else "format", reason)
    return chosen


def _selection(request: ArchiveTokenRequest | ArchivePlanRequest) -> Selection:
    """Take the selection out of a request; it may have a million paths, so this runs in a thread."""
    return Selection.of(request.files, request.options)


def _read_selection(body: bytes, digest: str) -> Selection | None:
    """Read a kept selection, if it is the one that the digest names; in a thread, as it is a large one."""
    return Selection.parse(body) if hashlib.sha256(body).hexdigest() == digest else None
