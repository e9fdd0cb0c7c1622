"""Parse a moment: a date, a time, or how long ago."""

import re
from datetime import UTC, datetime, timedelta

from moat.errors import AskedWrongly

AGO = re.compile(r"(\d{1,4})([mhdw])")
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(words: str, now: datetime) -> datetime:
    """Parse a moment such as `2026-07-05`, `2026-07-05T14:30` or `24h`.

    UTC unless a zone is given. A date means its first moment. Raises AskedWrongly for anything else.
    """
    if ago := AGO.fullmatch(words.strip()):
        return now - timedelta(**{UNITS[ago[2]]: int(ago[1])})
    try:
        found = datetime.fromisoformat(words.strip())
    except ValueError:
        raise AskedWrongly(
            f"{words!r} is no moment: write a date such as 2026-07-05, a time such as 2026-07-05T14:30, "
            "or how long ago, such as 90m, 24h, 7d or 2w"
        ) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
