"""Codes of refusals: why a result is empty, for programs; they stay as they are."""

from sqlalchemy.exc import SQLAlchemyError

from moat.errors import (
    AccessUnknown,
    CursorExpired,
    CursorRefused,
    DirectoryStale,
    EmbedderUnavailable,
    IndexUnavailable,
    LedgerError,
    LedgerUnavailable,
    ModelError,
    SchemaError,
    TokenRefused,
    TooManyPrincipals,
)
from moat.search.result_types import CODES, Code

__all__ = ["CODES", "OF_ERRORS", "Code", "code_of"]

# The first that fits decides.
OF_ERRORS: tuple[tuple[type[Exception], Code], ...] = (
    (AccessUnknown, "unknown_asker"),
    (TokenRefused, "token_refused"),
    (DirectoryStale, "directory_stale"),
    (TooManyPrincipals, "too_many_principals"),
    (CursorExpired, "cursor_expired"),
    (CursorRefused, "cursor_refused"),
    (TimeoutError, "timeout"),
    (IndexUnavailable, "index_unavailable"),
    (SchemaError, "index_unavailable"),
    (EmbedderUnavailable, "embedder_unavailable"),
    (ModelError, "embedder_unavailable"),
    (LedgerUnavailable, "ledger_unavailable"),
    (LedgerError, "ledger_unavailable"),
    (SQLAlchemyError, "ledger_unavailable"),
)


def code_of(error: Exception) -> Code:
    """The code of an error that refuses a query."""
    return next((code for kind, code in OF_ERRORS if isinstance(error, kind)), "failed")
