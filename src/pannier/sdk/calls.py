"""What all calls of a manager have in common: the folder they are about, and how a request is made and read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pannier.errors import InvalidRequest
from pannier.sdk.transport import Answer, Transport

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Folder:
    """A virtual folder of a server: the name of its volume, and its id there (``<scope>/<uuid>`` or a UUID)."""

    volume: str
    id: str


class Calls:
    """Calls that belong together, by one connection to the manager-facing listener, which is the manager's own."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def close(self) -> None:
        """Do nothing: whoever made the connection closes it."""

    async def _post(self, path: str, request: BaseModel, *, repeatable: bool = False) -> Answer:
        return await self._transport.ask("POST", path, body=said(request), repeatable=repeatable)

    async def _get(self, path: str, request: BaseModel | None = None) -> Answer:
        # the wire has bodies on GET
        return await self._transport.ask("GET", path, body=None if request is None else said(request))


def made(model: type[ModelT], **members: Any) -> ModelT:
    """Return a request of these members; those that are None are left to their defaults.

    Raises:
        InvalidRequest: One of them is nothing that such a request may hold.
    """
    try:
        return model.model_validate({name: value for name, value in members.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise InvalidRequest(".".join(map(str, first["loc"])) or "request", first["msg"]) from None


def said(request: BaseModel) -> Mapping[str, Any]:
    """Return what is sent of a request: what was said, under the names of the wire."""
    return request.model_dump(by_alias=True, exclude_unset=True)
