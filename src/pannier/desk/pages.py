"""The pages of folders: listings with boxes, the plan of what is selected, single files, previews."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, unquote_to_bytes

from aiohttp import web
from pydantic import BaseModel, Field

from pannier.api.handlers import Answered, ApiResponse, QueryParam, api_handler
from pannier.api.problems import Answer
from pannier.api.requests import Context
from pannier.api.routes import Route
from pannier.api.status import Status
from pannier.api.streaming import Streaming, StreamResponse
from pannier.denials import CrossSite, NoPreview, SignedOut
from pannier.desk.data import LOOKING
from pannier.desk.downloads import DeskDownloads
from pannier.desk.forms import MEDIA_TYPE, Form, read_form
from pannier.desk.html import Page, SeeOther, Site, part
from pannier.desk.linking import link_terms
from pannier.desk.problems import wants_page
from pannier.dto.archives import ArchivePlanReply, ArchivePlanRequest, OfferedFormat
from pannier.dto.desk import DownloadRequest, ListReply, Sort
from pannier.dto.downloads import DownloadTokenRequest
from pannier.dto.files import FetchRequest
from pannier.dto.paths import to_text
from pannier.errors import FileMissing, InvalidRequest, NotAFile, OperationRefused, SelectionRefused
from pannier.services.archives import Archives
from pannier.services.downloads import Downloads
from pannier.services.links import Links
from pannier.services.listings import Listings, beginning, cursor_at
from pannier.services.places import inside
from pannier.services.previews import MOST_TEXT, Shown, shown_as, text_of
from pannier.services.signing_in import Person
from pannier.streams.hashing import Place
from pannier.streams.workers import Workers
from pannier.volumes.base import Refused
from pannier.window import Window

PAGE = 200
"""Entries of one page of a listing."""
_MOST_SHOWN = 200
_HTML = "text/html"
_ENOTDIR = 20
_PREVIEW = {
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self'",
    "X-Content-Type-Options": "nosniff",
    "Content-Disposition": "inline",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-cache",
}


class BrowseQuery(BaseModel):
    """The query of a listing; other keys are ignored."""

    page: int = Field(default=1, ge=1, le=10**7)
    sort: Sort = Sort.NAME
    order: Literal["asc", "desc"] = "asc"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a listing."""

    name: str
    kind: str
    size: int
    time: int
    path: str
    target: str | None
    leads: str | None


class DeskPages:
    """The handlers of ``/``, ``/f``, ``/raw`` and ``/preview``."""

    def __init__(
        self,
        site: Site,
        listings: Listings,
        archives: Archives,
        downloads: Downloads,
        begun: DeskDownloads,
        links: Links,
        streaming: Streaming,
        workers: Workers,
    ) -> None:
        """``begun`` makes tokens of archives, and remembers whose they are; ``workers`` wait for storage."""
        self._site, self._house = site, site.house
        self._listings, self._archives, self._downloads, self._begun = listings, archives, downloads, begun
        self._links, self._streaming, self._workers = links, streaming, workers

    def routes(self) -> Iterable[Route]:
        selecting = (*LOOKING, CrossSite, SelectionRefused)
        file = (SignedOut, FileMissing, NotAFile)
        images = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "text/plain")
        return [
            Route("GET", "/", self.home, {200: (_HTML, Status), 303: None}, (SignedOut,), head=True),
            Route("GET", "/f/{below:(?s:.*)}", self.browse, {200: _HTML, 303: None}, LOOKING, head=True),
            Route("POST", "/f/{below:(?s:.*)}", self.act, {200: _HTML, 303: None}, selecting, takes=MEDIA_TYPE),
            Route("GET", "/raw/{below:(?s:.*)}", self.raw, {303: None}, file, head=True),
            Route("GET", "/preview/{below:(?s:.*)}", self.preview, {200: images}, (*file, NoPreview)),
        ]

    @api_handler
    async def home(self, context: Context) -> Answered:
        """``GET /``: the folders, or the only one; the status of the wire for who asks for no page."""
        if not wants_page(context.request):
            return ApiResponse(Status(type="client-facing"))
        person = await self._looker(context)
        folders = self._house.folders
        if len(folders) == 1:
            return SeeOther(f"{self._house.prefix}/f/{quote(folders[0].name, safe='')}/")
        return Page(self._site, "folders", "folders", {"folders": [each.name for each in folders]}, person)

    @api_handler
    async def browse(self, query: QueryParam[BrowseQuery], context: Context) -> Answered:
        """``GET /f/{folder}/{path}``: a directory; of a file the way to its download."""
        person = await self._looker(context)
        folder, path = _below(context)
        try:
            return await self._listing(person, folder, path, query.parsed)
        except OperationRefused as error:
            if error.number != _ENOTDIR:
                raise FileMissing(inside(path)) from None
            return SeeOther(f"{self._house.prefix}/raw/{quote(folder, safe='')}/{part(path)}")

    @api_handler
    async def act(self, context: Context) -> Answered:
        """``POST /f/{folder}/{path}``: count what is selected, download it, or make a link to it."""
        form = await read_form(context)
        person = await self._house.caller(context, form.csrf)
        folder, path = _below(context)
        paths = form.paths("p")
        if not paths:
            return await self._listing(person, folder, path, BrowseQuery(), problem="nothing_selected")
        asked = _selection(folder, paths, form)
        match form.one("do"):
            case "count":
                return await self._plan(person, asked, path, form)
            case "download":
                return SeeOther((await self._begun.begin(person, asked, context)).url)
            case "link":
                await self._house.owner(context, form.csrf)
                served = self._house.served(folder)
                terms = link_terms(form, asked)
                await self._links.make(served.volume, served.folder, asked.paths, terms, self._house.reached(context))
                return SeeOther(f"{self._house.prefix}/links")
        raise InvalidRequest("do", "is count, download or link")

    @api_handler
    async def raw(self, context: Context) -> Answered:
        """``GET /raw/{folder}/{path}``: one file, as an attachment."""
        await self._looker(context)
        folder, path = _below(context)
        served, where = self._house.served(folder), inside(path)
        place = self._house.place(folder)
        await self._workers.run(_demand_file, place, where)
        request = DownloadTokenRequest(volume=served.volume, vfid=served.folder, relpath=to_text(where), strict=True)
        token = self._downloads.mint(request).token
        return SeeOther(self._house.spent("/download", token, context))

    @api_handler
    async def preview(self, context: Context) -> Answered:
        """``GET /preview/{folder}/{path}``: an image, or the beginning of a text, where nothing in it can run."""
        await self._looker(context)
        folder, path = _below(context)
        served = self._house.served(folder)
        where = inside(path)
        place = self._house.place(folder)
        head, size, how = await self._workers.run(_head, place, where)
        if how is None:
            raise NoPreview
        headers = {**_PREVIEW, "Content-Type": how.media_type, "X-Pannier-Size": str(size)}
        if how.beginning:
            return Plain(text_of(head, whole=len(head) == size), headers)
        grant = self._downloads.of(
            FetchRequest(volume=served.volume, vfid=served.folder, relpath=to_text(where) or ".")
        )
        reader = await self._downloads.open(grant)
        stream = await self._streaming.begin(reader, Window(0, reader.length), f"preview:{place.volume.name}")
        return StreamResponse(stream, 200, reader.length, headers, self._streaming)

    async def _looker(self, context: Context) -> Person | None:
        """Return who may look; None: somebody who is not known yet, where everybody may."""
        if self._house.signing_in.public:
            return await self._house.person(context)
        return await self._house.looker(context)

    async def _listing(
        self, person: Person | None, folder: str, path: str, query: BrowseQuery, problem: str | None = None
    ) -> Page:
        listed = await self._listings.page(
            self._house.place(folder),
            folder,
            path,
            cursor=cursor_at((query.page - 1) * PAGE),
            limit=PAGE,
            sort=query.sort,
            descending=query.order == "desc",
        )
        values = {
            "folder": folder,
            "path": listed.path,
            "crumbs": list(_crumbs(listed.path)),
            "rows": list(_rows(listed)),
            "total": listed.total,
            "page": query.page,
            "pages": max(1, -(-listed.total // PAGE)),
            "sort": query.sort.value,
            "order": query.order,
            "problem": problem,
            "look": beginning(listed.cursor),
        }
        return Page(self._site, "browse", "browse", values, person)

    async def _plan(self, person: Person, asked: DownloadRequest, path: str, form: Form) -> Page | Answer:
        plan = await self._archives.plan(ArchivePlanRequest.model_validate(self._begun.selected(asked)))
        assert isinstance(plan, ArchivePlanReply), "no page of a list was asked for"
        offenders = plan.offenders.items
        values: dict[str, Any] = {
            "folder": asked.folder,
            "path": path,
            "plan": plan,
            "offenders": offenders[:_MOST_SHOWN],
            "renamed": plan.renamed.items[:_MOST_SHOWN],
            "selected": [part(it) for it in asked.paths],
            "excepted": [part(it) for it in asked.except_],
            "leave_out": [part(each.path) for each in offenders],
            "formats": list(OfferedFormat),
            "format": asked.offered.value,
            "single": None,
        }
        if (
            len(asked.paths) == 1
            and plan.entries == 1
            and plan.files == 1
            and plan.members.items[0].path == asked.paths[0]
        ):
            values["single"] = plan.members.items[0]
        return Page(self._site, "plan", "plan", values, person)


@dataclass(frozen=True, slots=True)
class Plain:
    """The beginning of a text: an ``ApiStreamResponse``."""

    body: bytes
    headers: dict[str, str]

    async def send(self, context: Context) -> web.StreamResponse:
        return web.Response(body=self.body, headers=self.headers)


def _below(context: Context) -> tuple[str, str]:
    """Return folder and path of an address: what it says, byte by byte."""
    raw = context.request.rel_url.raw_path
    below = context.request.match_info["below"]
    # the router's text has lost what is no UTF-8: its part of the address is taken as it came
    marker = next(marker for marker in ("/f/", "/raw/", "/preview/") if marker in raw)
    text = to_text(unquote_to_bytes(raw[raw.index(marker) + len(marker) :])) if below else ""
    folder, _, path = text.partition("/")
    return folder, path.strip("/") or "."


def _crumbs(path: str) -> Iterator[tuple[str, str]]:
    names = path.split("/") if path not in ("", ".") else []
    for number, name in enumerate(names, 1):
        yield name, "/".join(names[:number])


def _rows(listed: ListReply) -> Iterator[Row]:
    for number, name in enumerate(listed.names):
        leads = listed.links.get(number)
        yield Row(
            name=name,
            kind=listed.kinds[number],
            size=listed.sizes[number],
            time=listed.times[number],
            path=f"{listed.path}/{name}" if listed.path else name,
            target=None if leads is None else leads.target,
            leads=None if leads is None else leads.kind,
        )


def _selection(folder: str, paths: tuple[str, ...], form: Form) -> DownloadRequest:
    try:
        offered = OfferedFormat(form.one("format", "zip"))
    except ValueError:
        raise InvalidRequest("format", f"is one of {', '.join(OfferedFormat)}") from None
    format, _, compression = offered.partition("+")
    first = paths[0].rstrip("/").rpartition("/")[2] if len(paths) == 1 else folder
    name = first if first not in ("", ".") else folder
    try:
        return DownloadRequest.model_validate(
            {
                "folder": folder,
                "paths": paths,
                "except": form.paths("x"),
                "format": format,
                "compression": compression or "none",
                "filename": filename_of(name, format),
            }
        )
    except ValueError as error:
        raise InvalidRequest("p", str(error).splitlines()[0]) from None


def filename_of(name: str, format: str) -> str | None:
    """Return what an archive of something is called; None where that cannot be a file's name."""
    plain = "".join(character for character in name if character.isprintable() and character not in '/\\"')
    return f"{plain[:200]}.{format}" if plain.strip() else None


def _demand_file(place: Place, path: bytes) -> None:
    with closing(place.open()) as folder:
        try:
            found = folder.lookup(path, follow=True)
        except Refused as refused:
            raise FileMissing(path) from refused
    if found.stat.kind.name != "FILE":
        raise NotAFile(path, "select it and count it: a folder comes as an archive")


def _head(place: Place, path: bytes) -> tuple[bytes, int, Shown | None]:
    """Return the first bytes of a file, its size, and how it is shown."""
    with closing(place.open()) as folder:
        try:
            found = folder.lookup(path, follow=True)
        except Refused as refused:
            raise FileMissing(path) from refused
        if found.stat.kind.name != "FILE":
            raise NotAFile(path, "only files are shown")
        with closing(folder.open(found.source, found.stat.identity, path)) as source:
            head = source.read(0, MOST_TEXT)
    return head, found.stat.size, shown_as(head, whole=len(head) == found.stat.size)
