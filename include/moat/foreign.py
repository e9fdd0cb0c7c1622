"""What the errors of drivers and servers say, without a word that they may have from data.

A database quotes the value that it could not convert, a directory the name that it was asked for, and both end up
in logs, incidents and messages. So an error is told by its class, its code, phrases that are known here, and the names
that stand in our own query as well.
"""

import errno
import re

_OF_THE_QUERY = (  # which no further try mends
    r"no such (?:table|column|function)", r"unknown (?:column|table|database)", r"does(?: not|n't) exist", r"syntax error",
    r"ambiguous",
)  # fmt: skip
_PHRASES = (
    *_OF_THE_QUERY, r"permission denied", r"access denied", r"(?:password )?authentication failed", r"login failed",
    r"cannot (?:be )?cast", r"could not convert", r"invalid input syntax", r"division by zero", r"out of range",
    r"connection (?:was )?(?:refused|reset|aborted|closed|timed out)", r"could not connect", r"server closed the connection",
    r"timed out", r"time-?out", r"could not translate host name", r"name or service not known", r"no route to host",
    r"network is unreachable", r"certificate verify failed", r"certificate", r"too many (?:clients|connections)",
    r"database is locked", r"deadlock detected", r"could not obtain lock", r"lock time-?out", r"database or disk is full",
    r"disk is full", r"no space left", r"read-?only (?:database|file system)", r"unable to open database file", r"out of memory",
    r"starting up", r"shutting down", r"recovery mode", r"terminating connection", r"canceling statement",
    r"rate limit", r"too many requests", r"quota exceeded", r"throttl", r"disk I/O error", r"malformed",
)  # fmt: skip
_OF_THE_LOGIN = (  # which no further try mends, whatever class its driver gives it
    r"(?:password )?authentication failed", r"access denied for user", r"login failed", r"no password supplied",
    r"invalid (?:username|password|credentials|authorization)", r"incorrect (?:username|password)", r"ORA-01017",
    r"role \S+ (?:does not exist|is not permitted to log in)", r"no pg_hba\.conf entry",
)  # fmt: skip
LOGIN = re.compile("|".join(_OF_THE_LOGIN), re.IGNORECASE)
KNOWN = re.compile("|".join(_PHRASES), re.IGNORECASE)
QUERY = re.compile("|".join(_OF_THE_QUERY), re.IGNORECASE)
NAME = re.compile(r"[A-Za-z_]\w*")
KEYWORDS = frozenset(  # of SQL, and words of messages that a query may have too
    {
        "select", "from", "where", "and", "or", "not", "in", "is", "null", "as", "on", "by", "order", "group", "limit",
        "join", "left", "right", "inner", "outer", "with", "case", "when", "then", "else", "end", "cast", "between", "like",
        "distinct", "union", "all", "column", "table", "type", "error", "line", "at", "near", "of", "the", "to", "a", "for",
    }
)  # fmt: skip
MOST = 5  # names or phrases that are told
CODE = re.compile(r"[A-Za-z0-9_.:-]{1,40}")


def said(error: BaseException, ours: str = "") -> str:
    """Tell a driver's or server's error without its own words.

    Args:
        error: What the library raised.
        ours: Our own text that the error may quote, such as the query.

    Returns:
        Its class and code, the phrases of it that are known, and the names of `ours` in it; for example
        "UndefinedColumn 42703: does not exist (price)".
    """
    if isinstance(orig := getattr(error, "orig", None), BaseException):  # what SQLAlchemy wraps
        error = orig
    words = str(error)
    phrases = list(dict.fromkeys(found.lower() for found in KNOWN.findall(words)))[:MOST]
    own = {name.lower() for name in NAME.findall(ours)} - KEYWORDS
    first = words.split("\n", 1)[0]  # the lines below show the whole query
    names = [name for name in dict.fromkeys(NAME.findall(first)) if name.lower() in own][:MOST]
    what = " ".join(part for part in (type(error).__name__, _code(error)) if part)
    told = ", ".join(phrases) + (f" ({', '.join(names)})" if names else "")
    return f"{what}: {told.strip()}" if told else what


def is_of_the_query(error: BaseException) -> bool:
    """Whether an error is the query's own fault, whatever class its driver gives it."""
    return bool(QUERY.search(str(error)))


def is_of_the_login(error: BaseException) -> bool:
    """Whether a server refuses the name or the password, which is no outage."""
    if getattr(error, "pgcode", None) in ("28P01", "28000") or getattr(error, "sqlstate", None) in ("28P01", "28000"):
        return True
    return bool(LOGIN.search(str(error)))


def _code(error: BaseException) -> str:
    """A code that the library has beside its words."""
    if isinstance(error, OSError) and error.errno is not None and error.errno in errno.errorcode:
        return errno.errorcode[error.errno]
    for name in ("sqlstate", "pgcode", "sqlite_errorname", "code"):
        code = getattr(error, name, None)
        if isinstance(code, str) and CODE.fullmatch(code):
            return code
    return ""
