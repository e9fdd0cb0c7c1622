"""What a server knows of a query beside its asker: the request's id, and the service that asks for somebody."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

ASKED_BY: ContextVar[Mapping[str, str]] = ContextVar("asked_by", default=MappingProxyType({}))


@contextmanager
def asked_by(**known: str) -> Iterator[None]:
    """Let audit and log have these words of every query that is asked meanwhile, in this thread or task."""
    token = ASKED_BY.set({**ASKED_BY.get(), **{name: value for name, value in known.items() if value}})
    try:
        yield
    finally:
        ASKED_BY.reset(token)
