"""Redacts secrets and long quotations from notification text.

Messages consist of counts, ids and names, but an error text comes from a library, and some include
the called URL or the row that caused the error.
"""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from pydantic import SecretStr

from moat.settings import Settings

HIDDEN = "***"
LONGEST_QUOTATION = 60  # characters between quotes; longer ones are probably document text
SHORTEST_SECRET = 6  # shorter ones would redact ordinary words
WORD = r"(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key(?:[_-]?id)?|signature|credentials?|sig|auth)"
PATTERNS = tuple(
    (re.compile(pattern), shown)
    for pattern, shown in (
        (r"(?s)\s*\[(?:SQL|parameters):.*", ""),  # SQLAlchemy adds the statement and its values
        (r"(?s)\s*\b(?:DETAIL|CONTEXT|LINE \d+):.*", ""),  # PostgreSQL adds the row
        (r"(?s)-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|\Z)", HIDDEN),
        (r"(?i)(\b[a-z][a-z0-9+.-]*://)[^\s/@]*@", rf"\1{HIDDEN}@"),
        (r"(?i)(https://hooks\.slack\.com/)\S+", rf"\1{HIDDEN}"),
        (r"(?i)\b(bearer|basic|digest)\s+[\w.~+/=-]{6,}", rf"\1 {HIDDEN}"),
        (
            rf"(?i)\b((?:[\w-]*[_-])?{WORD})([\"']?\s*[:=]\s*)(?!\d{{1,7}}\b)(?:\"[^\"]*\"|'[^']*'|[^\s,;&\"']+)",
            rf"\1\2{HIDDEN}",
        ),
        (r"\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?", HIDDEN),
        (r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_\w{30,}|\bxox[abeprs]-[\w-]{8,}|\bsk-[\w-]{16,}", HIDDEN),
    )
)
QUOTATION = re.compile(rf"(?s)[\"'`«“](?P<inside>[^\"'`»”]{{{LONGEST_QUOTATION},}})[\"'`»”]")


class Redactor:
    """Redacts secrets and long quotations from text."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        kept = sorted({one for one in known if len(one) >= SHORTEST_SECRET}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, kept))) if kept else None

    @classmethod
    def of(cls, settings: Settings, known: Iterable[str] = ()) -> "Redactor":
        """A redactor that knows the settings' secrets, and others, by value."""
        own = [value.get_secret_value() for _, value in settings if isinstance(value, SecretStr)]
        return cls([*own, urlsplit(settings.ledger).password or "", *known])

    def __call__(self, text: str, longest: int) -> str:
        """The text on one line, without secrets, truncated to `longest` characters."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        for pattern, shown in PATTERNS:
            text = pattern.sub(shown, text)
        text = QUOTATION.sub(lambda m: f"({len(m['inside']):,} characters)", text)
        line = " ".join(text.split())
        return line if len(line) <= longest else f"{line[: longest - 1]}…"
