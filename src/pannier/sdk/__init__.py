"""The Python client of Pannier: asynchronous, with a synchronous face.

Needs nothing that only a server needs.
"""

from pannier.sdk import trust
from pannier.sdk.client import AsyncClient, Client
from pannier.sdk.downloads import Downloaded
from pannier.sdk.extraction import Extracted
from pannier.sdk.problems import (
    Busy,
    ChecksumsPending,
    ClientError,
    Conflict,
    ConnectionLost,
    Declined,
    Forbidden,
    LinkOver,
    NotFound,
    Offender,
    SelectionRefused,
    Unexpected,
    Unreachable,
)
from pannier.sdk.progress import Progress, ProgressCallback
from pannier.sdk.remote import ArchiveChanged, Version
from pannier.sdk.retries import ONCE, Backoff
from pannier.sdk.transport import Credential, Timeouts, Transport

__all__ = [
    "ONCE",
    "ArchiveChanged",
    "AsyncClient",
    "Backoff",
    "Busy",
    "ChecksumsPending",
    "Client",
    "ClientError",
    "Conflict",
    "ConnectionLost",
    "Credential",
    "Declined",
    "Downloaded",
    "Extracted",
    "Forbidden",
    "LinkOver",
    "NotFound",
    "Offender",
    "Progress",
    "ProgressCallback",
    "SelectionRefused",
    "Timeouts",
    "Transport",
    "Unexpected",
    "Unreachable",
    "Version",
    "trust",
]
