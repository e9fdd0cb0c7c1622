"""What a page sends to have something done; anything else in it is refused."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class RolledBack(_Asked):
    """Roll a load back."""

    because: str = Field(min_length=1, max_length=2_000)
    hold: bool = False  # the source's next load waits for a person


class Decided(_Asked):
    """Acknowledge or resolve an incident."""

    because: str = Field(default="", max_length=2_000)


class Replayed(_Asked):
    """Have documents of a source tried again at its next run."""

    source: str = Field(min_length=1, max_length=64)
    key: str | None = Field(default=None, max_length=10_000)
    stage: str | None = None
    error: str | None = None
    again: bool = False  # those that failed three times, too


class AskedAs(_Asked):
    """A question that is asked as one person or service, or two."""

    asker: str = Field(min_length=1, max_length=512)
    other: str = Field(default="", max_length=512)
    question: str = Field(min_length=1, max_length=2_000)
    mode: Literal["vector", "keyword", "hybrid"] = "hybrid"
    limit: int = Field(default=10, ge=1, le=50)


class WhyAsked(_Asked):
    """Why a document is, or is not, for somebody."""

    source: str = Field(min_length=1, max_length=64)
    key: str = Field(min_length=1, max_length=10_000)
    asker: str = Field(min_length=1, max_length=512)
