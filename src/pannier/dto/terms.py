"""Under which terms a token is given out."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

LONGEST_TERM = 366 * 24 * 3600
"""Seconds that a token may live, or be resumed after its end."""


class TokenTerms(BaseModel):
    """Under which terms a token is given out, beside its end."""

    model_config = ConfigDict(frozen=True)

    resume_grace: int = Field(default=0, ge=0, le=LONGEST_TERM)
    """Seconds after its end within which a download that was begun may go on."""
    rate: int | None = Field(default=None, ge=1, le=2**53)
    """Most bytes per second of all its streams together."""
    one_time: bool = False
    """Whether it is for a single download."""

    @property
    def terms(self) -> TokenTerms:
        """The terms alone, where a request carries them beside other members."""
        return TokenTerms(resume_grace=self.resume_grace, rate=self.rate, one_time=self.one_time)


OF_KNOWN_LENGTH = ("zip", "tar")
"""Formats of which it can be told how much was delivered."""


def check_one_time(terms: TokenTerms, offered: Sequence[str]) -> None:
    """Refuse a single download of what is not one archive of known length; ``offered`` are its formats.

    Raises:
        PydanticCustomError: How much of it was delivered could not be told.
    """
    if terms.one_time and not (len(offered) == 1 and offered[0] in OF_KNOWN_LENGTH):
        raise PydanticCustomError(
            "one_time_format", "one_time goes with one format of known length, zip or tar, and without formats"
        )
