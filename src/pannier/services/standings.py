"""What is told of a session."""

from __future__ import annotations

from pannier.dto.archives import OfferedFormat
from pannier.dto.ids import FolderId
from pannier.dto.instants import instant
from pannier.dto.paths import to_text
from pannier.dto.sessions import Delivered, Failure, SessionReply, SessionState
from pannier.services.downloads import FILE
from pannier.services.sessions import RESUMES
from pannier.state.sessions import Broken, Session

CHANGED = "source-changed"
"""The cause of a stream that broke off as a file was no longer what was begun (``SourceChanged``)."""


def told(session: Session, now: float, *, tried: bool | None = None) -> SessionReply:
    """Return what is told of a session at a time, in seconds since the epoch.

    ``tried`` is whether it was found that the download could go on.
    """
    account, state = session.account, state_of(session, now)
    return SessionReply(
        id=session.key.hex(),
        state=state,
        volume=session.volume,
        virtual_folder_id=FolderId.parse(session.folder),
        filename=session.filename,
        format="file" if session.format == FILE else OfferedFormat(session.format),
        created_at=instant(int(session.created)),
        expires_at=instant(session.expires),
        resumable_until=instant(int(_last(session))),
        one_time=session.times == 1,
        rate=session.rate,
        etag=session.pinned,
        length=account.length,
        delivered=Delivered(
            bytes=account.coverage.length,
            total=account.total,
            ranges=tuple((window.start, window.stop) for window in account.coverage.windows),
        ),
        failure=None if session.broken is None else failure_of(session.broken),
        resumable=_resumable(session, now, tried),
        completed_at=_moment(session.completed),
        spent_at=_moment(session.spent),
        revoked_at=_moment(session.revoked),
    )


def state_of(session: Session, now: float) -> SessionState:
    """Return how a session stands at a time, in seconds since the epoch."""
    match session:
        case Session(revoked=float()):
            return SessionState.REVOKED
        case Session(expires=expires, grace=grace) if now >= expires + grace:
            return SessionState.EXPIRED
        case Session(spent=float()):
            return SessionState.SPENT
        case Session(broken=Broken()):
            return SessionState.FAILED
        case Session(completed=float()):
            return SessionState.COMPLETE
        case Session(account=account, pinned=pinned) if account.total or pinned is not None:
            return SessionState.ACTIVE
    return SessionState.NEW


def to_try(session: Session, now: float) -> tuple[str, int] | None:
    """Return what would have to be tried to find out whether a download can go on: an ETag, and the first byte.

    None where there is nothing to go on with, or no chance.
    """
    account = session.account
    if account.length is None or session.pinned != account.archive or not _open(session, now):
        return None
    first = account.coverage.windows[0] if account.coverage.windows else None
    position = first.stop if first is not None and first.start == 0 else 0
    return (account.archive, position) if position < account.length else None


def _resumable(session: Session, now: float, tried: bool | None) -> bool | None:
    if not _open(session, now):
        return False
    if session.broken is not None and session.broken.cause == CHANGED:
        return False
    return tried


def _open(session: Session, now: float) -> bool:
    return session.revoked is None and now < _last(session)


def _last(session: Session) -> float:
    end = session.expires + session.grace
    return end if session.spent is None else min(end, session.spent + RESUMES)


def failure_of(broken: Broken) -> Failure:
    """Return what is told of a stream that was broken off."""
    entry = None if broken.entry is None else to_text(broken.entry)
    return Failure(
        entry=entry, cause=broken.cause, detail=broken.detail, offset=broken.offset, at=instant(int(broken.at))
    )


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else instant(int(seconds))
