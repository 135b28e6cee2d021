"""The composition root: settings in, a running server out. The one place that knows all parts."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from urllib.parse import quote

import structlog

from pannier import __version__, logs, metrics, parts
from pannier.api.admission import Admission
from pannier.api.applications import (
    ClientFace,
    client_application,
    desk_application,
    internal_application,
    manager_application,
)
from pannier.api.client_archives import ClientArchives
from pannier.api.client_creations import ClientCreations
from pannier.api.client_downloads import ClientDownloads
from pannier.api.client_members import ClientMembers
from pannier.api.client_sessions import ClientSessions
from pannier.api.client_uploads import ClientUploads
from pannier.api.manager_archives import ManagerArchives
from pannier.api.manager_downloads import ManagerDownloads
from pannier.api.manager_files import ManagerFiles
from pannier.api.manager_folders import ManagerFolders
from pannier.api.manager_quotas import ManagerQuotas
from pannier.api.manager_served import ManagerServed
from pannier.api.manager_sessions import ManagerSessions
from pannier.api.manager_tasks import ManagerTasks
from pannier.api.manager_uploads import ManagerUploads
from pannier.api.middlewares import Drain
from pannier.api.streaming import Streaming
from pannier.config import Settings
from pannier.desk.application import Services as DeskServices
from pannier.desk.application import front_desk
from pannier.desk.door import Apart, House, cookie_name
from pannier.desk.linking import ManagerLinks, Reached
from pannier.listeners import Listening, listen, raise_descriptor_limit, tell_of_connections
from pannier.memory import keep_out_of_collections, share_heap, tidy
from pannier.parts import (
    DeskSettings,
    Remembered,
    ServedFolder,
    checksum_store,
    open_volumes,
    plan_settings,
    quiet_after,
    tokens_of,
)
from pannier.services.archives import Archives
from pannier.services.changes import Changes
from pannier.services.collecting import Collecting
from pannier.services.downloads import Downloads
from pannier.services.drops import Drops
from pannier.services.errands import KINDS, Errands
from pannier.services.files import Files
from pannier.services.folders import Folders, Mounted
from pannier.services.links import Address, Links
from pannier.services.listings import Listings
from pannier.services.members import Members
from pannier.services.places import Places
from pannier.services.planning import Plans
from pannier.services.quotas import Quotas
from pannier.services.readiness import Readiness
from pannier.services.sessions import Sessions
from pannier.services.signing_in import SigningIn
from pannier.services.tasks import AT_ONCE, Tasks
from pannier.services.upload_checksums import UploadChecksums
from pannier.services.upload_grants import LIFETIME
from pannier.services.uploads import Uploads
from pannier.state.base import ChecksumStore
from pannier.state.checksums import ChecksumMemory
from pannier.state.drops import SqliteDrops
from pannier.state.links import SqliteLinks
from pannier.state.sessions import SqliteSessions
from pannier.state.sign_ins import SqliteSignIns
from pannier.state.sqlite import SqliteState
from pannier.state.tasks import SqliteTasks
from pannier.streams.ahead import AheadSettings, Background
from pannier.streams.archive import Engine
from pannier.streams.encoding import Encoding
from pannier.streams.hashing import Hashing
from pannier.streams.helpers import Helpers, sensible_number
from pannier.streams.pump import Pump
from pannier.streams.workers import Workers
from pannier.volumes.base import Volume

STATE_FILE = "state.db"
STREAM_THREADS = 32
HASH_THREADS = 4
EDIT_THREADS = 16
PASSWORD_THREADS = 2
PACK_THREADS = max(2, os.cpu_count() or 2)

_log = structlog.get_logger("pannier.server")


class Server:
    """All parts of one server, over given volumes."""

    def __init__(
        self,
        settings: Settings,
        volumes: Mapping[str, Volume],
        *,
        internal: bool = True,
        desk: DeskSettings | None = None,
        remembered: Remembered | None = None,
    ) -> None:
        self._settings, self._volumes, self._internal, self._desk = settings, volumes, internal, desk
        self._remembered = remembered or Remembered()
        self.signing_in: SigningIn | None = None
        self._parts = AsyncExitStack()
        self._drain = Drain()
        self._tasks: Tasks | None = None

    async def start(self) -> Listening:
        """Open the state, then listen.

        Raises:
            ConfigInvalid: A port is in use, a certificate cannot be read, the state cannot live where it is to.
            StateUnavailable: The state cannot be opened now.
        """
        try:
            return await self._start()
        except BaseException:
            await self.stop()
            raise

    @property
    def running(self) -> int:
        """Requests that are being answered."""
        return self._drain.running

    async def drain(self, seconds: float) -> None:
        """Refuse new work, and wait until what runs has finished, ``seconds`` at most."""
        self._drain.begin()
        if self._tasks is not None:
            self._tasks.stop()
        if not await self._drain.wait_idle(seconds):
            _log.warning("cut off what was still running", requests=self._drain.running)

    async def stop(self) -> None:
        """Let go of everything: no thread, task or descriptor stays."""
        await self._parts.aclose()

    async def _start(self) -> Listening:
        settings, remembered, push = self._settings, self._remembered, self._parts.push_async_callback
        metrics.tell_build(__version__)
        state = SqliteState(settings.state.path / STATE_FILE, most_pins=remembered.pins)
        push(state.close)
        await state.open()
        kept_tasks = SqliteTasks(settings.state.path / STATE_FILE)
        push(kept_tasks.close)
        await kept_tasks.open()

        checksums: ChecksumStore = ChecksumMemory(remembered.checksums)
        if settings.state.checksum_limit:
            checksums = kept = checksum_store(settings, self._volumes, remembered.checksums)
            push(asyncio.to_thread, kept.close)
            await asyncio.to_thread(kept.open)

        number = settings.archive.helpers
        helpers = Helpers(sensible_number() if number is None else number)
        push(asyncio.to_thread, helpers.close)
        streaming, hash_threads = Workers("stream", STREAM_THREADS), Workers("hash", HASH_THREADS)
        walking = Workers("walk", settings.limits.max_concurrent_plans + 1)  # one more looks again at known plans
        packing = Workers("pack", PACK_THREADS)
        editing, errand_threads = Workers("edit", EDIT_THREADS), Workers("task", AT_ONCE)
        for workers in (streaming, hash_threads, walking, packing, editing, errand_threads):
            push(workers.close)
        pump = Pump(streaming) if Pump.available else None
        if pump is not None:
            push(asyncio.to_thread, pump.close)
        ahead = AheadSettings(lead=settings.archive.hash_ahead, linger=settings.archive.background_hash_linger)
        hashing = Hashing(hash_threads, checksums)
        push(hashing.close)
        background = Background(ahead)
        push(background.close)
        plans = Plans(plan_settings(settings, remembered.plans), walking, helpers)
        push(plans.close)
        places = Places(self._volumes)
        keys = await asyncio.to_thread(tokens_of, settings)
        quiet_after_ns = quiet_after(settings.archive)
        proxy = settings.storage_proxy
        mounted = {name: Mounted(volume.backend, volume.fsprefix) for name, volume in settings.volume.items()}
        folders = Folders(places, mounted, editing, make_scopes=proxy.allow_auto_quota_scope_creation)
        quotas = Quotas(places, editing)
        push(quotas.close)
        upload_checksums = UploadChecksums(editing, checksums)
        push(upload_checksums.close)
        collecting = Collecting(places, editing, lifetime=LIFETIME)
        push(collecting.close)
        collecting.start()
        tasks = self._tasks = Tasks(kept_tasks, KINDS, self._volumes, errand_threads)
        push(tasks.close)
        errands = Errands(places, tasks, quotas, editing, make_scopes=proxy.allow_auto_quota_scope_creation)
        uploads = Uploads(
            places,
            editing,
            keys,
            upload_checksums,
            state,
            largest=settings.storage_proxy.max_upload_size,
            session_expire=settings.storage_proxy.session_expire,
            quotas=quotas,
        )
        downloads = Downloads(
            places,
            streaming,
            keys,
            state,
            session_expire=settings.storage_proxy.session_expire,
            quiet_after_ns=quiet_after_ns,
        )
        sessions = Sessions(
            SqliteSessions(state.ask), session_expire=proxy.session_expire, most_known=remembered.sessions
        )
        push(sessions.close)
        files = Files(places, editing, quotas, settings.storage_proxy.scandir_limit)
        engine = Engine(streaming, hashing, background, ahead, settings.archive.pending_above, quiet_after_ns, helpers)
        archives = Archives(
            places=places,
            plans=plans,
            engine=engine,
            encoding=Encoding(packing, PACK_THREADS + 1),
            keys=keys,
            sessions=state,
            selections=state,
            register=sessions.register,
            session_expire=settings.storage_proxy.session_expire,
        )

        readiness = Readiness.of(state.check, self._volumes)
        push(readiness.close)
        client, manager = settings.api.client, settings.api.manager
        served = ManagerServed(parts.named_folders(self._volumes))
        face = ClientFace(client.path_prefix, client.trusted_proxies, client.cors_origins)
        limits = settings.limits
        client_streams = Streaming(
            streaming, pump, Admission(limits.max_streams, limits.max_streams_per_token), limits.stream_rate
        )
        kept_links, sign_ins = SqliteLinks(state.ask), SqliteSignIns(state.ask)
        password_threads = Workers("password", PASSWORD_THREADS)
        push(password_threads.close)
        links = Links(kept_links, places, plans, sessions, password_threads, quote=partial(quote, safe=""))
        reached = Reached()
        client_archives = ClientArchives(archives, sessions, client_streams)
        client_members = ClientMembers(archives, Members(archives, engine), sessions)
        services: DeskServices | None = None
        if self._desk is not None:
            self.signing_in = SigningIn(
                sign_ins, password_threads, password=self._desk.password, public=self._desk.public
            )
            services = DeskServices(
                archives=archives,
                downloads=downloads,
                sessions=sessions,
                uploads=uploads,
                changes=Changes(editing, quotas),
                listings=Listings(editing),
                links=links,
                drops=Drops(SqliteDrops(state.ask), places, uploads),
                sign_ins=sign_ins,
                client_archives=client_archives,
                client_members=client_members,
                streaming=client_streams,
                workers=streaming,
                session_expire=proxy.session_expire,
                most_selection=limits.max_selection_body,
            )
        apart = settings.api.desk.service_addr
        desk = front_desk(self._house(places), services) if services is not None and apart is None else None
        client_app = client_application(
            [
                client_archives,
                client_members,
                ClientSessions(archives, sessions),
                ClientDownloads(downloads, archives, sessions, client_streams),
                ClientUploads(uploads),
                ClientCreations(uploads),
            ],
            self._drain,
            face,
            desk,
        )
        manager_app = manager_application(
            [
                ManagerArchives(archives, limits.max_selection_body),
                ManagerSessions(sessions),
                *([ManagerLinks(links, reached, limits.max_selection_body)] if services is not None else []),
                served,
                ManagerFolders(folders),
                ManagerQuotas(quotas),
                ManagerTasks(errands),
                ManagerFiles(files),
                ManagerDownloads(downloads, client_streams),
                ManagerUploads(uploads),
            ],
            self._drain,
            manager.secret.get_secret_value(),
            readiness,
        )
        client_url = await listen(
            push, client_app, "api.client.service-addr", client.service_addr, client, limits, client.trusted_proxies
        )
        served.client_url = (client.public_url or client_url).rstrip("/") + client.path_prefix
        manager_url = await listen(push, manager_app, "api.manager.service-addr", manager.service_addr, manager, limits)
        internal_url = None
        if self._internal:
            app = internal_application([], self._drain, readiness)
            internal_url = await listen(push, app, "api.manager.internal-addr", manager.internal_addr, None, limits)
        desk_url = served.client_url
        if services is not None and apart is not None:
            own = settings.api.desk
            there = Apart(served.client_url, public=client.public_url is not None)
            desk_app = desk_application(
                front_desk(self._house(places, there), services), self._drain, own.trusted_proxies
            )
            url = await listen(push, desk_app, "api.desk.service-addr", apart, own, limits, own.trusted_proxies)
            desk_url = (own.public_url or url).rstrip("/")
        tasks.start()
        reached.address = Address(desk_url)
        return Listening(served.client_url, manager_url, internal_url, desk_url)

    def _house(self, places: Places, apart: Apart | None = None) -> House:
        """Return what the front desk is, on the client-facing listener or ``apart`` from it."""
        desk, signing_in, api = self._desk, self.signing_in, self._settings.api
        assert desk is not None, "it is asked for where there is one"
        assert signing_in is not None, "it is asked for where there is one"
        listener = api.client if apart is None else api.desk
        return House(
            signing_in=signing_in,
            places=places,
            folders=desk.folders,
            cookie=cookie_name(self._settings.storage_proxy.secret.get_secret_value()),
            prefix=api.client.path_prefix if apart is None else "",
            public_url=(listener.public_url or "").rstrip("/"),
            read_only=desk.read_only,
            trusted=listener.trusted_proxies,
            apart=apart,
        )


def run(
    settings: Settings,
    *,
    folders: Sequence[ServedFolder] = (),
    internal: bool = True,
    desk: DeskSettings | None = None,
    on_ready: Callable[[Listening, SigningIn | None], None],
    on_drain: Callable[[int], None],
) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit code.

    The first signal drains: what runs may finish, new work gets 503. The second one cuts.

    Args:
        settings: What is in force.
        folders: Directories that are folders themselves, beside the configured volumes.
        internal: Whether the internal listener is opened.
        desk: The front desk, if there is one.
        on_ready: Told where the server is reached, and who lets people in at the front desk; on its event loop.
        on_drain: Told how many requests are waited for.

    Raises:
        ConfigInvalid: Before anything is served: a volume, a port, a certificate or the state is not usable.
    """
    share_heap()
    raise_descriptor_limit()
    logs.configure(settings.log.level, settings.log.format)
    volumes = open_volumes(settings, folders)
    try:
        return asyncio.run(
            _serve(Server(settings, volumes, internal=internal, desk=desk), settings, on_ready, on_drain)
        )
    finally:
        for volume in volumes.values():
            volume.close()


async def _serve(
    server: Server,
    settings: Settings,
    on_ready: Callable[[Listening, SigningIn | None], None],
    on_drain: Callable[[int], None],
) -> int:
    loop = asyncio.get_running_loop()
    tell_of_connections(loop)
    signals: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signals.put_nowait, number)
    listening = await server.start()
    keep_out_of_collections()
    tidying = asyncio.create_task(tidy(lambda: server.running))
    try:
        on_ready(listening, server.signing_in)
        await signals.get()
        on_drain(server.running)
        draining = asyncio.create_task(server.drain(settings.drain_seconds))
        again = asyncio.create_task(signals.get())
        await asyncio.wait({draining, again}, return_when=asyncio.FIRST_COMPLETED)
        for task in (draining, again):
            task.cancel()
        await asyncio.gather(draining, again, return_exceptions=True)
    finally:
        tidying.cancel()
        await server.stop()
    return 0
