"""Models as JSON text, whatever their paths hold."""

from __future__ import annotations

import json

from pydantic import BaseModel, SerializerFunctionWrapHandler, model_serializer


def dumps(model: BaseModel) -> bytes:
    """Return a model as JSON in ASCII, under its wire names.

    ``model_dump_json`` fails at the lone surrogates of undecodable paths; here they become ``\\udcXX`` escapes, as do
    all characters beyond ASCII.

    Raises:
        TypeError: An untyped member holds what JSON has no form for.
        ValueError: A number is infinite or not a number, which JSON has no form for either.
    """
    return json.dumps(model.model_dump(by_alias=True), separators=(",", ":"), allow_nan=False).encode("ascii")


class Sparse(BaseModel):
    """A model whose members that are None are left out where it is written."""

    @model_serializer(mode="wrap")
    def _without_none(self, write: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]
        # without a return type, so that the JSON schema stays the one of the fields
        return {key: value for key, value in write(self).items() if value is not None}
