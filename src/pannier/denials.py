"""What the front desk, links and requests for files refuse with; no HTTP in here. Part of the tree of ``errors``."""

from __future__ import annotations

from pannier.errors import RequestRejected, show


class SignedOut(RequestRejected):
    """Nobody is signed in."""

    def __init__(self) -> None:
        super().__init__("nobody is signed in here; sign in with the address that the terminal shows")


class KeyUsed(RequestRejected):
    """A sign-in key opens nothing: it was used, is too old, or never was one."""

    def __init__(self) -> None:
        super().__init__("this sign-in key was used, or is too old; press Enter in the terminal for a new one")


class PasswordWrong(RequestRejected):
    """No password was given where one is asked for, or not the right one."""

    def __init__(self, *, given: bool = True) -> None:
        super().__init__("the password is not right" if given else "a password is asked for")


class PasswordLocked(RequestRejected):
    """Too many were wrong; the next is looked at in ``retry_after`` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many tries; the next one in {retry_after} s")
        self.retry_after = retry_after


class CrossSite(RequestRejected):
    """A request that changes something does not come from a page of ours."""

    def __init__(self) -> None:
        super().__init__("this did not come from a page of this server, and was not carried out; do it from the page")


class ReadOnly(RequestRejected):
    """Nothing may be changed here."""

    def __init__(self) -> None:
        super().__init__("this server was started with --read-only: nothing can be changed here")


class NameTaken(RequestRejected):
    """Something has the name that something else was to get."""

    def __init__(self, path: bytes) -> None:
        super().__init__(f"{show(path)} exists already; choose another name")
        self.path = path


class NameInvalid(RequestRejected):
    """A name that nothing can have."""

    def __init__(self, path: bytes, reason: str) -> None:
        super().__init__(f"{show(path)}: {reason}")
        self.path = path


class MoveIntoItself(RequestRejected):
    """A directory was to be moved into itself."""

    def __init__(self, path: bytes) -> None:
        super().__init__(f"{show(path)} cannot be moved into itself")
        self.path = path


class TrashMissing(RequestRejected):
    """Nothing of that id is in the trash."""

    def __init__(self) -> None:
        super().__init__("there is no such thing in the trash; it was restored, deleted for good, or its time is over")


class NoPreview(RequestRejected):
    """A file that is not shown: neither an image that browsers show safely, nor text."""

    def __init__(self) -> None:
        super().__init__("this is neither an image that browsers show safely nor text; download it")


class LinkMissing(RequestRejected):
    """There is no such link."""

    def __init__(self) -> None:
        super().__init__("there is no such link here; check that the whole address was copied")


class LinkEnded(RequestRejected):
    """A link that opens nothing any more."""


class LinkExpired(LinkEnded):
    """Its time is over; ``ended`` is when, ISO 8601 in UTC."""

    def __init__(self, ended: str) -> None:
        super().__init__(f"this link ended at {ended}; ask for a new one")
        self.ended = ended


class LinkRevoked(LinkEnded):
    """Its owner took it back."""

    def __init__(self) -> None:
        super().__init__("the sender took this link back; ask for a new one")


class LinkSpent(LinkEnded):
    """It was for so many deliveries, and all were made."""

    def __init__(self, deliveries: int) -> None:
        times = "one delivery" if deliveries == 1 else f"{deliveries:,} deliveries"
        super().__init__(f"this link was for {times}, and all were made; ask for a new one")
        self.deliveries = deliveries


class RequestClosed(RequestRejected):
    """A request for files takes none any more."""

    def __init__(self) -> None:
        super().__init__("this file request is closed; ask who sent it to open a new one")
