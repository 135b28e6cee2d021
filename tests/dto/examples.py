"""Values that the tests of models share."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from pydantic import ValidationError

from pannier.dto.ids import FolderId

FOLDER_TEXT = "user:5e67aac8-ba94-470e-a117-2f603ea62b3a/ce8c69557b414ba09b0ea1b8b0b5d89d"
FOLDER = FolderId.parse(FOLDER_TEXT)
DIGEST = "0123456789abcdef" * 4

any_text = st.text(st.characters(exclude_categories=()))
"""Any Python text, lone surrogates of every kind included."""

any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)
"""What ``json.loads`` may return."""


def refusal(validate: Callable[[object], object], value: object) -> ValidationError | None:
    """Return the error with which a value is refused, seen to be printable, or None if it is taken."""
    try:
        validate(value)
    except ValidationError as error:
        assert str(error), "a refusal says why"  # noqa: PT017 - that it can be printed at all is the point
        assert error.errors(include_url=False)  # noqa: PT017
        return error
    return None
