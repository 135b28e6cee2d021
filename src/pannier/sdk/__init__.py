"""The Python client of Pannier: asynchronous, with a synchronous face.

Needs nothing that only a server needs. Each name is loaded when it is first asked for: who makes links does not wait
for what a download needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pannier.sdk import trust
    from pannier.sdk.calls import Folder
    from pannier.sdk.client import AsyncClient, Client
    from pannier.sdk.downloads import Downloaded
    from pannier.sdk.extraction import Extracted
    from pannier.sdk.files import RemoteFile
    from pannier.sdk.journals import Journal, JournalUnusable
    from pannier.sdk.manager import AsyncManager, Manager
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
    from pannier.sdk.sources import NamesClash, Source, SourcesRefused, survey
    from pannier.sdk.transport import Credential, Timeouts, Transport
    from pannier.sdk.tree import EntryRefused
    from pannier.sdk.uploads import Uploaded, UploadProgress
    from pannier.sdk.verification import Checked, EntriesDamaged
    from pannier.sdk.zip_reading import Damaged

_PROBLEMS = (
    "Busy ChecksumsPending ClientError Conflict ConnectionLost Declined Forbidden LinkOver NotFound Offender "
    "SelectionRefused Unexpected Unreachable"
)
_NAMES = {
    "calls": "Folder",
    "client": "AsyncClient Client",
    "downloads": "Downloaded",
    "extraction": "Extracted",
    "files": "RemoteFile",
    "journals": "Journal JournalUnusable",
    "manager": "AsyncManager Manager",
    "parts": "PartUnusable TargetUnusable",
    "problems": _PROBLEMS,
    "progress": "Progress ProgressCallback",
    "ranges": "Ranges",
    "remote": "ArchiveChanged Version",
    "retries": "ONCE Backoff",
    "transport": "Credential Timeouts Transport",
    "sources": "NamesClash Source SourcesRefused survey",
    "tree": "EntryRefused",
    "uploads": "UploadProgress Uploaded",
    "verification": "Checked EntriesDamaged",
    "zip_reading": "Damaged",
}
"""The public names of each module; what a type checker reads above, a test holds against this."""
_WHERE = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "ONCE",
    "ArchiveChanged",
    "AsyncClient",
    "AsyncManager",
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
    "Folder",
    "Forbidden",
    "Journal",
    "JournalUnusable",
    "LinkOver",
    "Manager",
    "NamesClash",
    "NotFound",
    "Offender",
    "PartUnusable",
    "Progress",
    "ProgressCallback",
    "Ranges",
    "RemoteFile",
    "SelectionRefused",
    "Source",
    "SourcesRefused",
    "TargetUnusable",
    "Timeouts",
    "Transport",
    "Unexpected",
    "Unreachable",
    "UploadProgress",
    "Uploaded",
    "Version",
    "survey",
    "trust",
]


if not TYPE_CHECKING:  # which would take any name for one that is there

    def __getattr__(name: str) -> Any:
        """Load a public name (PEP 562)."""
        if name in _WHERE:
            found = globals()[name] = getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
            return found
        if name in __all__:
            return import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
