"""OpenAPI 3.1 of a listener, from the routes that its groups list: parameters, bodies, replies, problems."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from pannier import __version__
from pannier.api.handlers import (
    Answered,
    ApiDocument,
    BodyParam,
    HeaderParam,
    NoBody,
    PathParam,
    QueryParam,
    api_handler,
    parameters_of,
)
from pannier.api.middlewares import MANAGER_SECRET_HEADER
from pannier.api.problems import CONTENT_TYPE, kind_of, statuses_of
from pannier.api.routes import Content, Group, Route
from pannier.dto.folders import WireRequest
from pannier.dto.problems import Problem
from pannier.errors import (
    Draining,
    HeadTooLarge,
    InvalidParameters,
    LimitExceeded,
    MalformedRequest,
    ManagerForbidden,
    PannierError,
    StateUnavailable,
    TooSlow,
    UnreadableBody,
    VolumeFailed,
)

PATH = "/openapi.json"
JSON = "application/json"

Json = dict[str, Any]

_REFERENCE = "#/components/schemas/{model}"
_SECRET, _TOKEN, _BEARER = "managerSecret", "token", "bearer"
_IN = {QueryParam: "query", HeaderParam: "header", PathParam: "path"}
_NO_PARAMETERS = frozenset({"accept", "authorization", "content-length", "content-type"})
"""Headers that OpenAPI does not take for parameters, or that HTTP itself minds."""
_CONDITIONAL = {
    "Range": "One range of bytes; several are answered with the whole.",
    "If-Range": "The range counts only if this ETag, or date, is still right.",
    "If-Match": "412 unless one of these ETags is right.",
    "If-None-Match": "304 if one of these ETags is right.",
    "If-Modified-Since": "304 if nothing changed since this date; without If-None-Match.",
    "If-Unmodified-Since": "412 if something changed since this date; without If-Match.",
}
_CONDITIONAL_PROBLEMS = {412: "A precondition is false.", 416: "The range lies beyond the end."}
_BYTES: Json = {"type": "string", "format": "binary"}
_PATTERN = re.compile(r":[^{}/]*\}")
"""What aiohttp writes of a part of a path that may be anything."""
_BUG = "Something broke on the server."


@dataclass(frozen=True, slots=True)
class Face:
    """What is said of a listener.

    Attributes:
        title: What it is called.
        about: For whom it is, in a sentence.
        prefix: The path below which its routes stand.
        open_paths: What answers without the manager secret; None where the listener asks for none.
        always: What answers while the server stops too; None: everything.
    """

    title: str
    about: str
    prefix: str = ""
    open_paths: frozenset[str] | None = None
    always: frozenset[str] | None = None


class Described:
    """The route of a listener's own description."""

    def __init__(self, face: Face, groups: Sequence[Group]) -> None:
        self._face, self._groups = face, (*groups, self)
        self._body: bytes | None = None

    def routes(self) -> Iterable[Route]:
        return [Route("GET", PATH, self.describe, {200: JSON}, head=True)]

    @api_handler
    async def describe(self) -> Answered:
        """``GET /openapi.json``: this document."""
        if self._body is None:
            self._body = await asyncio.to_thread(self._make)
        return ApiDocument(self._body, JSON)

    def _make(self) -> bytes:
        return json.dumps(document(self._face, self._groups), ensure_ascii=False, indent=1).encode() + b"\n"


def document(face: Face, groups: Iterable[Group]) -> Json:
    """Return the OpenAPI document of a listener's groups; equal groups make equal documents, in the same order."""
    described = [(group, route) for group in groups for route in group.routes()]
    schemas = _Schemas(route for _, route in described)
    paths: dict[str, Json] = {}
    for group, route in sorted(described, key=lambda it: it[1].path):
        for method in (route.method, "HEAD") if route.head else (route.method,):
            path = _PATTERN.sub("}", route.path)
            paths.setdefault(path, {})[method.lower()] = _operation(face, group, route, method, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": face.title,
            "version": __version__,
            "description": face.about,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": face.prefix or "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "headers": _HEADERS,
            "securitySchemes": _security_schemes(paths),
        },
    }


_HEADERS: Json = {
    "RequestId": {
        "description": "The number of the request: in the server's log, and in a problem's `request`.",
        "schema": {"type": "string"},
    },
    "RetryAfter": {"description": "Seconds after which to try again.", "schema": {"type": "integer", "minimum": 0}},
}


def _security_schemes(paths: Mapping[str, Json]) -> Json:
    schemes: Json = {
        _SECRET: {
            "type": "apiKey",
            "in": "header",
            "name": MANAGER_SECRET_HEADER,
            "description": "Known by the manager.",
        },
        _TOKEN: {"type": "apiKey", "in": "query", "name": "token", "description": "Made at the manager-facing API."},
        _BEARER: {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The same as a header."},
    }
    used = {
        name
        for path in paths.values()
        for operation in path.values()
        for requirement in operation.get("security", ())
        for name in requirement
    }
    return {name: scheme for name, scheme in schemes.items() if name in used}


class _Schemas:
    """The JSON schemas of all models, under the names that pydantic gives them."""

    def __init__(self, routes: Iterable[Route]) -> None:
        read: dict[type[BaseModel], None] = {}
        written: dict[type[BaseModel], None] = {Problem: None}
        parameters: dict[type[BaseModel], None] = {}
        for route in routes:
            for kind, model in parameters_of(route.handler).values():
                if model is not None:
                    (read if kind is BodyParam else parameters)[model] = None
            written.update((content, None) for reply in route.replies.values() for content in _models(reply))
        wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [
            *((model, "validation") for model in (*read, *parameters)),
            *((model, "serialization") for model in written),
        ]
        self._references, definitions = models_json_schema(wanted, ref_template=_REFERENCE)
        named = definitions.get("$defs", {})
        inline = {self._name(model) for model in parameters if model not in read}
        self._named = named
        self.components = {name: _plain(schema) for name, schema in sorted(named.items()) if name not in inline}

    def of(self, model: type[BaseModel], mode: JsonSchemaMode) -> Json:
        """Return a reference to a model."""
        return dict(self._references[model, mode])

    def members(self, model: type[BaseModel]) -> Iterator[tuple[str, Json, bool]]:
        """Return what a model of parameters has: names, schemas, and whether they are required."""
        schema = self._named[self._name(model)]
        required = schema.get("required", ())
        for name, member in schema.get("properties", {}).items():
            yield name, _plain(_not_null(member)), name in required

    def _name(self, model: type[BaseModel]) -> str:
        return str(self._references[model, "validation"]["$ref"]).rpartition("/")[2]


def _models(reply: Content | tuple[Content, ...] | None) -> Iterator[type[BaseModel]]:
    for content in _contents(reply):
        if not isinstance(content, str):
            yield content


def _contents(reply: Content | tuple[Content, ...] | None) -> tuple[Content, ...]:
    return () if reply is None else reply if isinstance(reply, tuple) else (reply,)


def _plain(schema: Any) -> Any:
    """Return a schema without the titles that pydantic makes of names, and with one line for a docstring's lines."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    plain: Json = {}
    for key, value in schema.items():
        if key == "title" and isinstance(value, str):
            continue
        if key == "properties":
            plain[key] = {name: _plain(member) for name, member in value.items()}
        elif key in ("default", "const", "enum", "examples"):
            plain[key] = value
        elif key == "description":
            plain[key] = _prose(value)
        elif key == "pattern":
            plain[key] = value.replace(r"\z", "$")  # pydantic's own word for the end, which JSON Schema does not know
        else:
            plain[key] = _plain(value)
    return plain


def _not_null(schema: Json) -> Json:
    """Return the schema of a parameter: it is left out where a model would have None."""
    if schema.get("default", ...) is None:
        schema = {key: value for key, value in schema.items() if key != "default"}
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    if not choices:
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**choices[0], **rest} if len(choices) == 1 else {"anyOf": choices, **rest}


# ---------------------------------------------------------------- one method of one path


def _operation(face: Face, group: Group, route: Route, method: str, schemas: _Schemas) -> Json:
    about = _about(route)
    operation: Json = {
        "operationId": re.sub(r"\W+", "_", f"{method}_{route.path if route.path != '/' else 'root'}")
        .strip("_")
        .lower(),
        "tags": [_tag(group)],
        "summary": about[0],
    }
    if about[1]:
        operation["description"] = about[1]
    parameters = list(_parameters(route, schemas))
    if parameters:
        operation["parameters"] = parameters
    body = _body(route, schemas)
    if body is not None:
        operation["requestBody"] = body
    operation["responses"] = _responses(face, route, method, schemas)
    security = _security(face, route, parameters)
    if security:
        operation["security"] = security
    return operation


def _about(route: Route) -> tuple[str, str]:
    """Return a summary and a description, from the handler's docstring."""
    text = inspect.getdoc(route.handler) or ""
    first, _, rest = text.partition("\n\n")
    _, colon, said = first.partition("``: ") if first.startswith("``") else ("", "", first)
    summary = _prose(said) if colon or not first.startswith("``") else ""
    if not summary:
        summary = getattr(route.handler, "__name__", route.path).replace("_", " ").strip()
    return summary[:1].upper() + summary[1:].rstrip("."), _prose(rest.partition("Raises:")[0])


def _prose(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("``", "`").strip()


def _tag(group: Group) -> str:
    return " ".join(re.findall(r"[A-Z][a-z]+", type(group).__name__)[1:]).lower() or "description"


def _parameters(route: Route, schemas: _Schemas) -> Iterator[Json]:
    for kind, model in parameters_of(route.handler).values():
        if model is None or kind not in _IN:
            continue
        for name, schema, required in schemas.members(model):
            shown = name.replace("_", "-").title() if kind is HeaderParam else name
            if kind is HeaderParam and shown.lower() in _NO_PARAMETERS:
                continue
            parameter: Json = {"name": shown, "in": _IN[kind], "required": required or kind is PathParam}
            if description := schema.pop("description", ""):
                parameter["description"] = description
            yield {**parameter, "schema": schema}
    if 206 in route.replies:
        for name, description in _CONDITIONAL.items():
            yield {
                "name": name,
                "in": "header",
                "required": False,
                "description": description,
                "schema": {"type": "string"},
            }


def _body(route: Route, schemas: _Schemas) -> Json | None:
    for kind, model in parameters_of(route.handler).values():
        if kind is BodyParam and model is not None:
            return {"required": True, "content": {JSON: {"schema": schemas.of(model, "validation")}}}
    return None if route.takes is None else {"content": {route.takes: {"schema": _BYTES}}}


def _security(face: Face, route: Route, parameters: Sequence[Json]) -> list[Json]:
    if face.open_paths is not None:
        return [] if route.path in face.open_paths else [{_SECRET: []}]
    for parameter in parameters:
        if (parameter["name"], parameter["in"]) == ("token", "query"):
            # who can do without it in the query takes it as a header
            return [{_TOKEN: []}] if parameter["required"] else [{_TOKEN: []}, {_BEARER: []}]
    return []


def _responses(face: Face, route: Route, method: str, schemas: _Schemas) -> Json:
    """What may be answered: HEAD the same as GET, without a body."""
    responses: dict[int, Json] = {}
    for status, reply in route.replies.items():
        content: Json = {}
        for each in () if method == "HEAD" else _contents(reply):
            if isinstance(each, str):
                content[each] = {}
            elif JSON in content:
                first = content[JSON]["schema"]
                content[JSON]["schema"] = {"anyOf": [*first.get("anyOf", [first]), schemas.of(each, "serialization")]}
            else:
                content[JSON] = {"schema": schemas.of(each, "serialization")}
        responses[status] = {"description": HTTPStatus(status).phrase, **({"content": content} if content else {})}
    for status, reasons in _problems(face, route).items():
        response = responses.setdefault(status, {"description": ""})
        said = (response["description"], *reasons)
        response["description"] = " ".join(part for part in said if part)
        if method != "HEAD":
            problem = {"schema": schemas.of(Problem, "serialization")}
            response.setdefault("content", {})[CONTENT_TYPE] = problem
    for status, response in responses.items():
        response["headers"] = {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}}
        if status in (429, 503) and status not in route.replies:
            response["headers"]["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
    return {str(status): _ordered(response) for status, response in sorted(responses.items())}


def _ordered(response: Json) -> Json:
    return {key: response[key] for key in ("description", "headers", "content") if key in response}


def _problems(face: Face, route: Route) -> dict[int, list[str]]:
    """By status, what goes wrong: as the route says, and what every route may meet."""
    told: dict[int, dict[str, None]] = {}
    own = [row for error in route.errors for row in statuses_of(error)]
    common = [(kind_of(error).status, kind_of(error)) for error in _everywhere(face, route)]
    for status, kind in (*own, *common):
        code = f" (`{kind.error_code}`)" if kind.error_code and status == kind.status else ""
        told.setdefault(status, {})[kind.title + code] = None
    further = dict(_CONDITIONAL_PROBLEMS if 206 in route.replies else {}) | dict(route.problems)
    for status, reason in further.items():
        told.setdefault(status, {})[reason] = None
    told.setdefault(500, {})[_BUG] = None
    return {status: list(reasons) for status, reasons in told.items()}


def _everywhere(face: Face, route: Route) -> Iterator[type[PannierError]]:
    parameters = parameters_of(route.handler).values()
    if any(kind is NoBody or (model is not None and issubclass(model, WireRequest)) for kind, model in parameters):
        yield InvalidParameters
    yield MalformedRequest  # also what cannot be read as HTTP
    yield HeadTooLarge
    yield TooSlow
    if any(kind is BodyParam for kind, _ in parameters):
        yield UnreadableBody
        yield LimitExceeded
    if face.open_paths is not None and route.path not in face.open_paths:
        yield ManagerForbidden
    if face.always is not None and route.path not in face.always:
        yield Draining
    if route.errors:
        yield VolumeFailed
        yield StateUnavailable
