"""What a page sends to have something done; anything else in it is refused."""

from pydantic import BaseModel, ConfigDict, Field


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class RolledBack(_Asked):
    """Roll a load back."""

    because: str = Field(min_length=1, max_length=2_000)
    hold: bool = False  # the source's next load waits for a person


class Decided(_Asked):
    """Acknowledge or resolve an incident."""

    because: str = Field("", max_length=2_000)


class Replayed(_Asked):
    """Have documents of a source tried again at its next run."""

    source: str = Field(min_length=1, max_length=64)
    key: str | None = Field(None, max_length=10_000)
    stage: str | None = None
    error: str | None = None
    again: bool = False  # those that failed three times, too
