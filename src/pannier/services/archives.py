"""The use cases of archives: mint a token, report a plan, open what a token allows. No HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pannier.archive.plan import SHOWN_OFFENCES, Plan, Shape
from pannier.dto.archives import (
    ArchivePlanPage,
    ArchivePlanReply,
    ArchivePlanRequest,
    ArchiveTokenReply,
    ArchiveTokenRequest,
    ChecksumCoverage,
    TokenOperation,
)
from pannier.dto.claims import ArchiveDownloadTokenData, PannierClaim
from pannier.dto.ids import FolderId
from pannier.dto.selections import Selection, placeholder
from pannier.errors import SelectionChanged, SelectionRefused, TokenClaimsInvalid, VolumeUnknown
from pannier.services.planning import Order, Plans
from pannier.services.reports import page, read_cursor, report
from pannier.services.walking import Progress
from pannier.state.base import SelectionStore, SessionStore
from pannier.streams.archive import ArchiveReader, Engine
from pannier.streams.hashing import Place
from pannier.tokens import PydanticJWT, session_of
from pannier.volumes.base import Volume

_MINT_SECONDS = 1.0
"""How long minting waits for the plan."""
_POLL_SECONDS = 0.02
_LONGEST_IN_CLAIMS = 4_096
"""Bytes of JSON that a selection may have to travel in the token: a token is part of a URL."""
_PIN_GRACE = 24 * 3600
"""Seconds that a pin, or a kept selection, outlives its token."""
_DEFAULT_NAME = "archive"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a valid token allows: one archive, in one session, until ``expires`` (Unix seconds)."""

    order: Order
    filename: str | None
    session: str
    expires: int


class Archives:
    """Archives of selections, for managers and for those who hold a token."""

    def __init__(
        self,
        *,
        volumes: Mapping[str, Volume],
        plans: Plans,
        engine: Engine,
        keys: PydanticJWT,
        sessions: SessionStore,
        selections: SelectionStore,
        session_expire: float,
    ) -> None:
        self._volumes, self._plans, self._engine, self._keys = volumes, plans, engine, keys
        self._sessions, self._selections, self._session_expire = sessions, selections, session_expire

    # -- for managers

    async def mint(self, request: ArchiveTokenRequest) -> ArchiveTokenReply:
        """Check the selection as far as a second allows, and return a token for it.

        Raises:
            SelectionRefused: A selected path, or something below one that was reached in time, cannot be archived.
            VolumeUnknown, FolderMissing, LimitExceeded, Busy, InvalidRequest, VolumeFailed: As planning finds.
            StateUnavailable: A large selection cannot be kept.
        """
        selection = await self._engine.workers.run(_selection, request)
        order = self._order(request.volume, request.virtual_folder_id, selection)
        plan = await self._plan_for_a_second(order)
        shape = plan.demand() if plan is not None else None
        token = self._keys.issue(await self._claims(request, selection))
        if shape is None:
            return ArchiveTokenReply(token=token, plan="running")
        return ArchiveTokenReply(
            token=token, plan="done", entries=shape.entries, length=shape.layout.length, etag=shape.etag
        )

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
            coverage = await self._engine.workers.run(self._coverage, order.place, plan)
            return await self._engine.workers.run(report, plan, coverage)
        tag, which, start = read_cursor(request.cursor)
        plan = self._plans.recall(order, tag) or await self._plans.plan(order, linger=False, watch=watch)
        if plan.tag != tag:
            raise SelectionChanged
        return page(plan, which, start)

    # -- for those who hold a token

    async def admit(self, token: str) -> Grant:
        """Return what a token allows.

        Raises:
            TokenRejected: It allows nothing here.
            VolumeUnknown: Its volume is not configured.
            StateUnavailable: Its selection cannot be looked up.
        """
        claims = self._keys.validate(token, ArchiveDownloadTokenData)
        selection = claims.selection()
        if selection is None:
            assert claims.pannier is not None
            assert claims.pannier.selection is not None
            selection = await self._kept(claims.pannier.selection)
        return Grant(
            order=self._order(claims.volume, claims.virtual_folder_id, selection),
            filename=claims.filename,
            session=session_of(token, claims.jti),
            expires=claims.exp,
        )

    async def open(self, grant: Grant, preferred: str | None) -> ArchiveReader:
        """Return a reader of the archive.

        ``preferred`` is the ETag that a range continues: its plan serves as long as its files are unchanged, even where
        the selection would by now come to more.

        Raises:
            SelectionRefused: Something in the selection cannot be archived.
            FolderMissing, LimitExceeded, Busy, InvalidRequest, VolumeFailed: As planning finds.
        """
        order = grant.order
        plan = self._plans.recall(order, preferred) if preferred is not None else None
        if plan is None or not await self._plans.unchanged(order, plan):
            plan = await self._plans.plan(order)
        shape = plan.demand()
        return ArchiveReader(
            self._engine,
            order.place,
            shape,
            filename=grant.filename or _DEFAULT_NAME + shape.format.extension,
            session=grant.session,
            on_changed=lambda: self._plans.forget(order, plan),
        )

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
        if volume not in self._volumes:
            raise VolumeUnknown(volume)
        return Order(Place(self._volumes[volume], folder), selection)

    async def _plan_for_a_second(self, order: Order) -> Plan | None:
        """Wait for the plan until a second has passed and every named path was looked up; None if it goes on."""
        walks: list[Progress] = []
        planning = asyncio.create_task(self._plans.plan(order, watch=walks.append))
        try:
            await asyncio.wait({planning}, timeout=_MINT_SECONDS)
            while not planning.done() and not (walks and walks[0].named.is_set()):
                await asyncio.wait({planning}, timeout=_POLL_SECONDS)
            if planning.done():
                return planning.result()
            if found := walks[0].offences[:]:  # its thread goes on adding
                codes = {offence.code for offence in found}
                raise SelectionRefused(sorted(found[:SHOWN_OFFENCES]), len(found), codes=codes)
            return None
        finally:
            planning.cancel()  # leaves the walk to itself: it goes on for who comes with the token
            await asyncio.gather(planning, return_exceptions=True)

    async def _claims(self, request: ArchiveTokenRequest, selection: Selection) -> ArchiveDownloadTokenData:
        expires = int(time.time() + self._session_expire)
        files, claim = request.files, None
        body = await self._engine.workers.run(selection.body)
        digest = hashlib.sha256(body).hexdigest()
        if len(body) > _LONGEST_IN_CLAIMS:
            await self._selections.keep(digest, body, expires + _PIN_GRACE)
            files, claim = (placeholder(digest),), PannierClaim(selection=digest)
        elif request.narrows:
            options = request.options
            claim = PannierClaim(
                paths=selection.files,
                links=options.links,
                exclude=options.exclude,
                except_=options.except_,
                layout=options.layout,
            )
            files = (placeholder(digest),)
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
        unknown_bytes = sum(shape.entry(number).size for number in unknown)
        return ChecksumCoverage(
            known_entries=shape.entries - len(unknown), known_bytes=plan.content_bytes - unknown_bytes
        )


def _selection(request: ArchiveTokenRequest | ArchivePlanRequest) -> Selection:
    """Take the selection out of a request; it may have a million paths, so this runs in a thread."""
    return Selection.of(request.files, request.options)


def _read_selection(body: bytes, digest: str) -> Selection | None:
    """Read a kept selection, if it is the one that the digest names; in a thread, as it is a large one."""
    return Selection.parse(body) if hashlib.sha256(body).hexdigest() == digest else None
