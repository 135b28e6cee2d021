"""What can go wrong, as classes; no HTTP in here.

::

    PannierError
    ├── RequestRejected          the caller asked for something that cannot be had
    │   ├── InvalidRequest           a field of the request is wrong
    │   ├── MalformedRequest         the request does not have the form of this route
    │   │   └── InvalidParameters    the same at the wire's older routes
    │   ├── UnreadableBody           the body is absent or not JSON
    │   ├── VolumeUnknown            no such volume is configured
    │   ├── FolderMissing, FolderExists, MountRefused
    │   ├── QuotaScopeMissing, QuotaScopeExists
    │   ├── PathOutside              a path leaves its folder, or cannot be one
    │   ├── FileMissing, NotAFile, TargetExists
    │   ├── OperationRefused         the file system refuses what was asked: a name too long, a directory not empty, …
    │   ├── OperationUnsupported, CloneAcrossVolumes
    │   ├── StorageFull              no room is left on the volume, or in its quota
    │   │   └── QuotaExceeded            a limit that was set here would be passed
    │   ├── UploadConflict           the upload is elsewhere than the client thinks
    │   │   └── UploadOffsetMismatch, UploadLeaseHeld, UploadLeaseLost
    │   ├── UploadChecksumMismatch   bytes came that are not those of their checksum
    │   ├── UploadMissing, TaskMissing, SessionMissing
    │   ├── SessionEnded             a valid token that opens nothing any more
    │   │   └── SessionRevoked, SessionSpent
    │   ├── SelectionRefused         some selected entries cannot be part of an archive
    │   ├── LimitExceeded            a configured limit would be passed
    │   │   ├── Busy                     the same, but it goes away by itself
    │   │   │   └── LinkBusy                 it is the caller's own streams that fill it
    │   │   ├── HeadTooLarge             a line of the request's head is too long
    │   │   └── TooSlow                  the request comes too slowly, or not at all
    │   ├── ManagerForbidden         the manager secret is missing or wrong
    │   ├── TokenRejected            a token opens nothing
    │   │   └── TokenUndecodable, TokenForged, TokenExpired, TokenClaimsInvalid
    │   ├── SelectionChanged         a bare range asks for bytes of an archive that is no more
    │   ├── ResumeUnverified         a bare range where nothing says which archive the client holds
    │   └── ChecksumsPending         the window needs checksums that are still being computed
    ├── SourceChanged            the world changed a file between the plan and the last byte
    ├── VolumeFailed             the backend failed
    │   └── SourceUnreadable         a planned file cannot be opened or read
    ├── StateUnavailable         what must be remembered cannot be written or read
    ├── Draining                 the server is stopping
    └── ConfigInvalid            a setting is wrong; the process cannot start

Paths in here are relative to their folder, as bytes; a message shows them in ``repr`` of their text. No message holds a
token, a secret or an absolute path of the server.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pannier.offences import Offence as Offence
from pannier.offences import OffenceCode as OffenceCode
from pannier.offences import show as show


class PannierError(Exception):
    """Anything Pannier refuses or fails at by its own judgement; other exceptions are bugs."""


class RequestRejected(PannierError):
    """The caller is to change something."""


class InvalidRequest(RequestRejected):
    """A field of the request has a value that cannot be used."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field, self.reason = field, reason


class MalformedRequest(RequestRejected):
    """Fields of the request do not have the form this route takes; ``fields`` maps each to the reason."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {reason}" for field, reason in fields.items()))
        self.fields = dict(fields)


class InvalidParameters(MalformedRequest):
    """The same at the wire's older routes, which have no error code for it."""


class UnreadableBody(RequestRejected):
    """The body of the request is absent or not JSON."""


class VolumeUnknown(RequestRejected):
    """No volume of that name is configured."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no volume {name!r} is configured here")
        self.name = name


class FolderMissing(RequestRejected):
    """The virtual folder has no directory on its volume."""

    def __init__(self, folder: str) -> None:
        super().__init__(f"virtual folder {folder} does not exist on this volume")


class MountRefused(RequestRejected):
    """A folder, or a ``subpath`` of it, cannot be mounted."""

    def __init__(self, folder: str, subpath: str | None, reason: str) -> None:
        super().__init__(reason)
        self.folder, self.subpath = folder, subpath


class FolderExists(RequestRejected):
    """A virtual folder of that id has a directory already."""

    def __init__(self, folder: str) -> None:
        super().__init__(f"virtual folder {folder} exists already")


class QuotaScopeMissing(RequestRejected):
    """The quota scope has no directory on its volume."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"quota scope {scope} does not exist on this volume")


class QuotaScopeExists(RequestRejected):
    """The quota scope has a directory already."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"quota scope {scope} exists already")


class PathOutside(RequestRejected):
    """A path leaves its folder, by its text or through a link, or is no path at all."""

    def __init__(self, path: bytes, reason: str) -> None:
        super().__init__(f"{show(path)}: {reason}")
        self.path, self.reason = path, reason


class FileMissing(RequestRejected):
    """Nothing is where a path leads."""

    def __init__(self, path: bytes) -> None:
        super().__init__(f"{show(path)}: nothing is there")
        self.path = path


class NotAFile(RequestRejected):
    """Something is where a path leads, but no regular file."""

    def __init__(self, path: bytes, what: str) -> None:
        """``what`` it is, such as ``a directory``."""
        super().__init__(f"{show(path)}: is {what}, not a file")
        self.path, self.what = path, what


class TargetExists(RequestRejected):
    """Something is already where something new is to be."""

    def __init__(self, path: bytes) -> None:
        super().__init__(f"{show(path)}: exists already")
        self.path = path


class OperationRefused(RequestRejected):
    """The file system refuses what was asked of it, by an errno (``number``) whose words are the ``reason``."""

    def __init__(self, reason: str, number: int, paths: Sequence[bytes]) -> None:
        super().__init__(f"{', '.join(show(path) for path in paths)}: {reason}")
        self.reason, self.number, self.paths = reason, number, tuple(paths)


class OperationUnsupported(RequestRejected):
    """The volume has no such operation."""


class CloneAcrossVolumes(RequestRejected):
    """A folder is to be cloned to another volume than its own."""


class StorageFull(RequestRejected):
    """No room is left, on the volume or in a quota of its file system."""


class QuotaExceeded(StorageFull):
    """A limit of a quota scope would be passed. All in bytes."""

    def __init__(self, scope: str, *, used: int, asked: int, limit: int) -> None:
        super().__init__(
            f"quota scope {scope}: {used:,} bytes are used and {asked:,} are asked for; the limit is {limit:,}"
        )
        self.scope, self.used, self.asked, self.limit = scope, used, asked, limit


class UploadMissing(RequestRejected):
    """No unfinished upload has that name: it never was, is finished, was ended, or has expired."""

    def __init__(self) -> None:
        super().__init__("this upload does not exist, is finished, or has expired; begin a new one")


class UploadConflict(RequestRejected):
    """An upload is not where the client thinks it is."""


class UploadOffsetMismatch(UploadConflict):
    """The bytes do not begin where the upload ends."""

    def __init__(self, *, given: int, offset: int) -> None:
        super().__init__(f"the bytes begin at {given:,}, the upload is at {offset:,}; ask for its offset with HEAD")
        self.given, self.offset = given, offset


class UploadLeaseHeld(UploadConflict):
    """Another request is writing to the upload."""

    def __init__(self) -> None:
        super().__init__("another request is writing to this upload; ask for its offset with HEAD, later")


class UploadLeaseLost(UploadConflict):
    """A writer sent nothing for so long that the upload is free for others again."""

    def __init__(self) -> None:
        super().__init__("nothing came for too long, so this upload is free for others; ask for its offset with HEAD")


class UploadChecksumMismatch(RequestRejected):
    """The bytes of a request are not those that its checksum was computed of."""

    def __init__(self, algorithm: str) -> None:
        super().__init__(f"the bytes have another {algorithm} than was said, and were dropped; send them again")


class TaskMissing(RequestRejected):
    """No background task of that id is known."""

    def __init__(self, task: str) -> None:
        super().__init__(f"no background task {task} is known; what ended long ago is forgotten")


class SessionMissing(RequestRejected):
    """No session of that id is known."""

    def __init__(self, session: str) -> None:
        super().__init__(f"no session {session} is known; what expired is forgotten after some time")
        self.session = session


class SessionEnded(RequestRejected):
    """A token is valid, but its session is over, before its time."""


class SessionRevoked(SessionEnded):
    """A session was revoked."""

    def __init__(self) -> None:
        super().__init__("this link was revoked; ask for a new one")


class SessionSpent(SessionEnded):
    """A session was for a single download, and that was taken."""

    def __init__(self, why: str = "it was downloaded") -> None:
        super().__init__(f"this link was for a single download, and {why}; ask for a new one")


class SelectionRefused(RequestRejected):
    """Some of the selection cannot be part of an archive; nothing was sent.

    ``offences`` holds the first ones in path order, ``total`` is the number of all, ``codes`` what is wrong with any of
    all, ``entries`` the number of everything that was looked at, if all of it was.
    """

    def __init__(
        self,
        offences: Sequence[Offence],
        total: int,
        entries: int | None = None,
        codes: Iterable[OffenceCode] | None = None,
    ) -> None:
        first = str(offences[0]) if offences else "nothing named"
        more = f" (and {total - 1} more)" if total > 1 else ""
        super().__init__(f"the selection cannot be archived: {first}{more}; nothing was sent")
        self.offences, self.total, self.entries = tuple(offences), total, entries
        self.codes = frozenset((offence.code for offence in offences) if codes is None else codes)


class LimitExceeded(RequestRejected):
    """A limit of this server would be passed; the message names limit, measured value and setting."""

    way_out = "choose less or raise the setting"

    def __init__(self, what: str, *, measured: float, limit: float, setting: str) -> None:
        super().__init__(f"{what}: {measured:,.10g}; the limit here is {limit:,.10g}; {self.way_out} {setting}")
        self.what, self.measured, self.limit, self.setting = what, measured, limit, setting


class Busy(LimitExceeded):
    """A limit that frees itself: come back after ``retry_after`` seconds."""

    def __init__(self, what: str, *, measured: float, limit: float, setting: str, retry_after: int) -> None:
        super().__init__(what, measured=measured, limit=limit, setting=setting)
        self.retry_after = retry_after


class LinkBusy(Busy):
    """One link has as many streams as a link may have; others are served."""


class HeadTooLarge(LimitExceeded):
    """A line of the request's head, its first or a header, is longer than is read here."""


class TooSlow(LimitExceeded):
    """Too little of a request came in the time that it has."""

    way_out = "send the request again, faster, or change the setting"


class ManagerForbidden(RequestRejected):
    """The manager secret is missing or wrong."""

    def __init__(self) -> None:
        super().__init__("the manager secret is missing or wrong; send it in X-BackendAI-Storage-Auth-Token")


class MintingUnavailable(RequestRejected):
    """This server has no key to sign tokens with."""

    def __init__(self) -> None:
        super().__init__("this server only takes tokens and signs none; ask the one that has keys.active set")


class TokenRejected(RequestRejected):
    """A token opens nothing here."""


class TokenUndecodable(TokenRejected):
    """The text is no JWT."""


class TokenForged(TokenRejected):
    """The signature or the algorithm is not ours."""


class TokenExpired(TokenRejected):
    """The token's time is over."""


class TokenClaimsInvalid(TokenRejected):
    """The token is well signed, but its claims are not what this route takes."""


class SelectionChanged(RequestRejected):
    """A range without ``If-Range`` asks for bytes of an archive that is no more, or was not the only one given out."""

    def __init__(self) -> None:
        super().__init__("the archive is no longer the one this download began with; start over, with a new link")


class ResumeUnverified(RequestRejected):
    """A range in the middle without ``If-Range``, and nothing remembers which archive the client holds."""

    def __init__(self) -> None:
        super().__init__(
            "nothing here remembers which archive was begun with this token, so its bytes must not be continued; "
            "start over, or send If-Range with the ETag of the first response"
        )


class ChecksumsPending(RequestRejected):
    """The window starts in the central directory and too much content is still unhashed."""

    def __init__(self, *, known: int, total: int, retry_after: int) -> None:
        super().__init__(f"checksums are known for {known:,} of {total:,} bytes; come back in {retry_after} s")
        self.known, self.total, self.retry_after = known, total, retry_after


class SourceChanged(PannierError):
    """A planned file is not what it was when it was planned."""

    def __init__(self, path: bytes, change: str) -> None:
        super().__init__(f"{show(path)} changed since it was planned: {change}")
        self.path, self.change = path, change


class VolumeFailed(PannierError):
    """The backend failed at something that should work."""


class SourceUnreadable(VolumeFailed):
    """A planned file cannot be opened or read."""

    def __init__(self, path: bytes, reason: str) -> None:
        super().__init__(f"{show(path)} cannot be read: {reason}")
        self.path, self.reason = path, reason


class StateUnavailable(PannierError):
    """The state store cannot be read or written."""


class Draining(PannierError):
    """The server is stopping and takes no new work."""

    def __init__(self, retry_after: int = 5) -> None:
        super().__init__("the server is stopping; what runs may finish; try again soon")
        self.retry_after = retry_after


class ConfigInvalid(PannierError):
    """A setting has a value the process cannot run with."""

    def __init__(self, key: str, reason: str, way_out: str) -> None:
        super().__init__(f"{key}: {reason}; {way_out}")
        self.key, self.reason, self.way_out = key, reason, way_out
