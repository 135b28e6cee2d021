"""Typed handlers: what a route takes and gives is its signature; nothing is parsed by hand.

::

    @api_handler
    async def mint(self, body: BodyParam[ArchiveTokenRequest]) -> ApiResponse: ...

Each request gets its own parsed parameters; nothing parsed is kept on a shared object.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import typing
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from pannier.api.problems import Answer, respond
from pannier.api.requests import Context
from pannier.dto.folders import WireRequest
from pannier.dto.json import dumps
from pannier.errors import InvalidParameters, LimitExceeded, MalformedRequest, UnreadableBody

ModelT = TypeVar("ModelT", bound=BaseModel)

MOST_BODY = 1024 * 1024
"""Bytes of a request body, where a route does not allow more."""


@dataclass(frozen=True, slots=True)
class Parsed(Generic[ModelT]):
    """A parameter of a handler, parsed into its model."""

    parsed: ModelT


class BodyParam(Parsed[ModelT]):
    """The JSON body."""


class QueryParam(Parsed[ModelT]):
    """The query string; a key given twice counts once, the first."""


class HeaderParam(Parsed[ModelT]):
    """The headers, by their lower-case names with underscores."""


class PathParam(Parsed[ModelT]):
    """The variable parts of the path."""


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """What a handler answers: a status, a model as JSON (or nothing), headers."""

    body: BaseModel | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ApiDocument:
    """An ``ApiStreamResponse`` that is there already: bytes of a media type."""

    body: bytes
    content_type: str

    async def send(self, context: Context) -> web.StreamResponse:
        headers = {"Content-Type": self.content_type, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        return web.Response(body=self.body, headers=headers)


class ApiStreamResponse(typing.Protocol):
    """An answer whose bytes come one after the other."""

    async def send(self, context: Context) -> web.StreamResponse:
        """Send it and return what was sent; a failure after the first byte breaks the connection visibly."""


@dataclass(frozen=True, slots=True)
class NoBody:
    """A parameter of the handler of a route that takes no body: one is refused."""


Answered = ApiResponse | ApiStreamResponse | Answer
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class BodyLimit:
    """How large a body may be, in bytes, and the setting that says so."""

    bytes: int
    setting: str


Method = Callable[..., Awaitable[Answered]]


def api_handler(method: Method) -> Callable[[Any, web.Request], Awaitable[web.StreamResponse]]:
    """Turn a method with typed parameters into one that takes a request.

    The object may have a ``body_limit``; otherwise a body of ``MOST_BODY`` bytes is taken.
    """
    parameters = _parameters(method)
    parsers = {name: _parser(kind, model) for name, (kind, model) in parameters.items()}

    @functools.wraps(method)
    async def handle(self: Any, request: web.Request) -> web.StreamResponse:
        context = Context.of(request)
        limit = getattr(self, "body_limit", _SMALL_BODY)
        arguments = {name: await parse(context, limit) for name, parse in parsers.items()}
        answered = await method(self, **arguments)
        if isinstance(answered, Answer):
            return respond(answered)
        if isinstance(answered, ApiResponse):
            return _respond(answered)
        return await answered.send(context)

    handle.parameters = parameters  # type: ignore[attr-defined]
    return handle


_SMALL_BODY = BodyLimit(MOST_BODY, "none: this route takes no more")
_PARSED_ON_THE_LOOP = 64 * 1024

Parser = Callable[[Context, BodyLimit], Awaitable[Any]]


def parameters_of(handler: Handler) -> Mapping[str, tuple[type, type[BaseModel] | None]]:
    """Return the parameters of a handler that ``api_handler`` made: of each its kind and its model."""
    found: Mapping[str, tuple[type, type[BaseModel] | None]] = getattr(handler, "parameters", {})
    return found


def _parameters(method: Method) -> dict[str, tuple[type, type[BaseModel] | None]]:
    """Read a handler's signature once, when it is defined."""
    hints = typing.get_type_hints(method)
    parameters: dict[str, tuple[type, type[BaseModel] | None]] = {}
    for name in list(inspect.signature(method).parameters)[1:]:
        hint = hints[name]
        kind = typing.get_origin(hint) or hint
        if kind not in (Context, NoBody) and kind not in _PARSERS:
            raise TypeError(f"{method.__qualname__}: parameter {name} is not of a kind that is parsed")
        parameters[name] = kind, (typing.get_args(hint) or (None,))[0]
    return parameters


def _parser(kind: type, model: type[BaseModel] | None) -> Parser:
    if kind is Context:
        return _context
    return _no_body if kind is NoBody else functools.partial(_PARSERS[kind], model)


async def _context(context: Context, limit: BodyLimit) -> Context:
    return context


async def _no_body(context: Context, limit: BodyLimit) -> NoBody:
    try:
        async for data in context.request.content.iter_any():
            if data:
                raise InvalidParameters({"body": "this route takes none; leave it out"})
    except web.RequestPayloadError:
        raise UnreadableBody("the body is not encoded as its headers say") from None
    return NoBody()


async def _body(model: type[ModelT], context: Context, limit: BodyLimit) -> BodyParam[ModelT]:
    received = bytearray()
    try:
        async for data in context.request.content.iter_any():
            received += data
            if len(received) > limit.bytes:
                raise LimitExceeded(
                    "bytes of the request body", measured=len(received), limit=limit.bytes, setting=limit.setting
                )
    except web.RequestPayloadError:
        raise UnreadableBody("the body is not encoded as its headers say") from None
    if len(received) > _PARSED_ON_THE_LOOP:
        return BodyParam(await asyncio.to_thread(_parse_body, model, bytes(received)))
    return BodyParam(_parse_body(model, bytes(received)))


def _parse_body(model: type[ModelT], received: bytes) -> ModelT:
    try:
        document = json.loads(received)
    except (ValueError, RecursionError) as error:
        raise UnreadableBody(f"the body is not JSON: {error}" if received else "the body is absent") from None
    return _validate(model, document)


async def _query(model: type[ModelT], context: Context, limit: BodyLimit) -> QueryParam[ModelT]:
    return QueryParam(_validate(model, dict(context.request.query)))


async def _headers(model: type[ModelT], context: Context, limit: BodyLimit) -> HeaderParam[ModelT]:
    headers = {name.lower().replace("-", "_"): value for name, value in context.request.headers.items()}
    return HeaderParam(_validate(model, headers))


async def _path(model: type[ModelT], context: Context, limit: BodyLimit) -> PathParam[ModelT]:
    return PathParam(_validate(model, dict(context.request.match_info)))


_PARSERS: dict[type, Callable[..., Awaitable[Any]]] = {
    BodyParam: _body,
    QueryParam: _query,
    HeaderParam: _headers,
    PathParam: _path,
}


def _validate(model: type[ModelT], document: object) -> ModelT:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        fields = {
            ".".join(str(part) for part in problem["loc"]) or "body": problem["msg"]
            for problem in error.errors(include_url=False, include_input=False, include_context=False)[:100]
        }
        raise (InvalidParameters if issubclass(model, WireRequest) else MalformedRequest)(fields) from None


def _respond(answered: ApiResponse) -> web.Response:
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **answered.headers}
    if answered.body is None:
        return web.Response(status=answered.status, headers=headers)
    return web.Response(
        body=dumps(answered.body), status=answered.status, content_type="application/json", headers=headers
    )
