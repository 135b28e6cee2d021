"""Requests over HTTP: a session of aiohttp's client, problems as exceptions, and tries again where that is harmless."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from pannier import __version__
from pannier.sdk.problems import ClientError, ConnectionLost, Declined, NeverSent, Unexpected, Unreachable, declined
from pannier.sdk.receiving import CutOff, Lost, Sink, take_over
from pannier.sdk.retries import Backoff
from pannier.sdk.threads import in_thread

if TYPE_CHECKING:  # a download needs no model, so nobody waits for pydantic
    from pydantic import BaseModel

_MANAGER_HEADER = "X-BackendAI-Storage-Auth-Token"
_LARGEST_ANSWER = 2**26
"""Bytes of an answer that is read as a whole."""
_LARGEST_PROBLEM = 2**24
_BUFFER = 2**18
"""Bytes that are read ahead of whoever takes a body; aiohttp keeps up to twice as many."""
_GATHERED = 2**20
"""Bytes after which somebody else's thread is bothered."""
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""RFC 9110 section 9.2.2: asking twice does what asking once does."""

ModelT = TypeVar("ModelT", bound="BaseModel")
Wait = Callable[[ClientError, float, int], None]
"""Told of a failed try, of the seconds until the next, and of the number of failures in a row."""


@dataclass(frozen=True, slots=True, repr=False)
class Credential:
    """A header that says who asks; nothing prints it."""

    header: str
    value: str

    @classmethod
    def bearer(cls, token: str) -> Credential:
        """A token, for the client-facing listener."""
        return cls("Authorization", f"Bearer {token}")

    @classmethod
    def manager(cls, secret: str) -> Credential:
        """The secret of the manager-facing listener."""
        return cls(_MANAGER_HEADER, secret)

    def __repr__(self) -> str:
        return f"Credential({self.header}: …)"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds until a connection stands, and without a byte on one that does; a whole answer may take any time."""

    connect: float = 10.0
    silence: float = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that was read whole. ``headers`` are found by names of any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return what the body says.

        Raises:
            Unexpected: It is not JSON.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise Unexpected(f"answered with {self.status}, but not in JSON; is that a Pannier?") from None

    def read(self, model: type[ModelT]) -> ModelT:
        """Return the body as a model.

        Raises:
            Unexpected: It is none.
        """
        from pydantic import ValidationError

        document = self.json()
        try:
            return model.model_validate(document)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "its body"
            raise Unexpected(f"answered with another form ({where}: {first['msg']}); is that a Pannier?") from None


class Body:
    """An answer whose body is still coming."""

    def __init__(self, response: aiohttp.ClientResponse, where: str, silence: float) -> None:
        self._response, self._where, self._silence = response, where, silence

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    @property
    def url(self) -> URL:
        """Where it came from in the end, after redirects."""
        return self._response.url

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes, in pieces of up to some hundred KiB.

        Raises:
            ConnectionLost: It broke off, or nothing came for too long.
        """
        pieces = self._response.content.iter_any().__aiter__()
        while True:
            try:
                piece = await anext(pieces)
            except StopAsyncIteration:
                return
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise ConnectionLost(self._where, _reason(error)) from error
            yield piece

    async def pour(self, sink: Sink) -> None:
        """Hand the body to ``sink`` in threads, piece by piece and in order.

        Raises:
            ConnectionLost: It broke off, or nothing came for too long; what came before was handed on.
            Exception: Whatever ``sink`` raises.
        """
        try:
            receiving = take_over(self._response, self._silence)
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionLost(self._where, _reason(error)) from error
        if receiving is None:
            await self._pour(sink)
            return
        try:
            await receiving.pour(sink)
        except Lost as error:
            raise ConnectionLost(self._where, _reason(error.reason)) from error
        finally:
            receiving.close()
            self._response.close()

    async def _pour(self, sink: Sink) -> None:
        gathered = bytearray()
        try:
            async for piece in self.chunks():
                gathered += piece
                if len(gathered) >= _GATHERED:
                    full, gathered = gathered, bytearray()
                    await in_thread(sink, memoryview(full))
        except ConnectionLost:
            if gathered:
                await in_thread(sink, memoryview(gathered))
            raise
        if gathered:
            await in_thread(sink, memoryview(gathered))

    async def read(self, most: int) -> bytes:
        """Return the body, or its first ``most`` bytes; errors as ``chunks``."""
        read = bytearray()
        async for piece in self.chunks():
            read += piece
            if len(read) >= most:
                break
        return bytes(read[:most])


class Transport:
    """A session with one server, or with several where URLs are given whole; an async context manager.

    Args:
        base: What paths are relative to, such as ``http://127.0.0.1:6022``.
        credential: Sent with every request; the manager's secret follows no redirect.
        tls: Whom to trust; what the system trusts unless given.
        timeouts, backoff: When to give up on a try, and when to try again.
        proxies: Whether the proxies that the environment names are used, for hosts that are not this machine.
    """

    def __init__(
        self,
        base: str | URL = "",
        *,
        credential: Credential | None = None,
        tls: ssl.SSLContext | None = None,
        timeouts: Timeouts | None = None,
        backoff: Backoff | None = None,
        proxies: bool = True,
    ) -> None:
        self.base, self.backoff = URL(base), backoff or Backoff()
        self._credential, self._tls, self._proxies = credential, tls, proxies
        self._timeouts = timeouts or Timeouts()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def ask(
        self,
        method: str,
        path: str | URL,
        *,
        body: BaseModel | Mapping[str, Any] | None = None,
        data: bytes | None = None,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
        waiting: Wait | None = None,
    ) -> Answer:
        """Ask, and return the whole answer, of a status below 400.

        Args:
            method, path: What to ask; the path is relative to ``base``, or a whole URL.
            body: Sent as JSON, a model under its wire names.
            data: A body as it is; what it is, ``headers`` say.
            params: The query.
            headers: Beyond those of every request.
            repeatable: Whether the request may be repeated when no answer came; as its method says unless given.
            waiting: Told before each wait for a next try.

        Raises:
            Declined: The server says no, and (for ``Busy``) still does after all tries.
            Unreachable: No answer came, in all tries.
            Unexpected: It is too large.
        """
        sent = dict(headers or {})
        if body is not None:
            data = json.dumps(body).encode("ascii") if isinstance(body, Mapping) else _written(body)
            sent.setdefault("Content-Type", "application/json")
        may_repeat = method in _REPEATABLE if repeatable is None else repeatable
        failures = 0
        while True:
            try:
                async with self.stream(method, path, headers=sent, data=data, params=params) as answer:
                    read = await answer.read(_LARGEST_ANSWER + 1)
                    if len(read) > _LARGEST_ANSWER:
                        raise Unexpected(f"{answer.url.origin()}: the answer is larger than {_LARGEST_ANSWER:,} bytes")
                    return Answer(answer.status, answer.headers, read)
            except (Unreachable, Declined) as error:
                failures += 1
                # declined or never connected: nothing was done, so asking again is harmless whatever the method
                harmless = may_repeat or isinstance(error, Declined | NeverSent)
                wait = self.backoff.wait(failures, error) if harmless else None
                if wait is None:
                    raise
                if waiting is not None:
                    waiting(error, wait, failures)
            await asyncio.sleep(wait)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str | URL,
        *,
        headers: Mapping[str, str] | None = None,
        data: bytes | aiohttp.Payload | None = None,
        params: Mapping[str, str | int] | None = None,
    ) -> AsyncIterator[Body]:
        """Ask once, and give the answer, of a status below 400, while its body is coming.

        Raises:
            Declined: The server says no.
            Unreachable: No answer came.
        """
        try:
            url = self.base.join(path if isinstance(path, URL) else URL(path))
        except ValueError:
            raise Unreachable("the URL", "is none of a web server; it begins with http:// or https://") from None
        if params:
            url = url.update_query(dict(params))
        where = str(url.origin()) if url.is_absolute() else str(url)
        asking = self._open().request(
            method,
            url,
            headers=headers,
            data=data,
            allow_redirects=self._credential is None or self._credential.header != _MANAGER_HEADER,
            proxy=_proxy(url) if self._proxies else None,
        )
        try:
            response = await asking
        except aiohttp.ClientConnectorError as error:
            raise NeverSent(where, _reason(error)) from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Unreachable(where, _reason(error)) from error
        async with response:
            body = Body(response, where, self._timeouts.silence)
            if response.status >= 300 and response.status != 304:
                raise declined(response.status, response.headers, await body.read(_LARGEST_PROBLEM), time.time())
            yield body

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            headers = {"Accept-Encoding": "identity", "User-Agent": f"pannier/{__version__}"}
            if self._credential is not None:
                headers[self._credential.header] = self._credential.value
            times = aiohttp.ClientTimeout(
                total=None, sock_connect=self._timeouts.connect, sock_read=self._timeouts.silence
            )
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ssl=self._tls if self._tls is not None else True),
                headers=headers,
                timeout=times,
                auto_decompress=False,  # bytes are counted as they come
                read_bufsize=_BUFFER,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


def _written(body: BaseModel) -> bytes:
    from pannier.dto.json import dumps

    return dumps(body)


def _proxy(url: URL) -> str | None:
    """Return the proxy that the environment names for a URL; none for this machine."""
    host = url.host or ""
    if host == "localhost" or _is_loopback(host) or proxy_bypass(host):
        return None
    return getproxies().get(url.scheme)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _reason(error: BaseException) -> str:
    """Return in a few words why no answer came, or not all of it."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return f"its certificate is not trusted ({getattr(error.certificate_error, 'verify_message', 'invalid')})"
        case aiohttp.ClientConnectorDNSError():
            return "no such host is known"
        case aiohttp.ClientConnectorError():
            number = error.os_error.errno
            return f"cannot be reached ({os.strerror(number) if number and number > 0 else error.os_error})"
        case aiohttp.ConnectionTimeoutError():
            return "no connection in time"
        case TimeoutError():
            return "nothing came for too long"
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return "is no URL of a web server; it begins with http:// or https://"
        case aiohttp.TooManyRedirects():
            return "redirects without end"
        case aiohttp.ClientResponseError():
            return "what answers there does not speak HTTP"
        case aiohttp.ClientPayloadError() | aiohttp.ServerDisconnectedError() | ConnectionResetError() | CutOff():
            return "the connection was closed"
    return f"the connection failed ({type(error).__name__})"
