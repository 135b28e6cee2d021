"""The Python client of Pannier: asynchronous, with a synchronous face.

Needs nothing that only a server needs.
"""

from pannier.sdk import trust
from pannier.sdk.client import AsyncClient, Client
from pannier.sdk.downloads import Downloaded
from pannier.sdk.extraction import Extracted
from pannier.sdk.files import RemoteFile
from pannier.sdk.parts import PartUnusable, TargetUnusable
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
from pannier.sdk.ranges import Ranges
from pannier.sdk.remote import ArchiveChanged, Version
from pannier.sdk.retries import ONCE, Backoff
from pannier.sdk.transport import Credential, Timeouts, Transport
from pannier.sdk.tree import EntryRefused
from pannier.sdk.verification import Checked, EntriesDamaged
from pannier.sdk.zip_reading import Damaged

__all__ = [
    "ONCE",
    "ArchiveChanged",
    "AsyncClient",
    "Backoff",
    "Busy",
    "Checked",
    "ChecksumsPending",
    "Client",
    "ClientError",
    "Conflict",
    "ConnectionLost",
    "Credential",
    "Damaged",
    "Declined",
    "Downloaded",
    "EntriesDamaged",
    "EntryRefused",
    "Extracted",
    "Forbidden",
    "LinkOver",
    "NotFound",
    "Offender",
    "PartUnusable",
    "Progress",
    "ProgressCallback",
    "Ranges",
    "RemoteFile",
    "SelectionRefused",
    "TargetUnusable",
    "Timeouts",
    "Transport",
    "Unexpected",
    "Unreachable",
    "Version",
    "trust",
]
