"""Map what Weaviate's client raises to errors of Moat.

The server's words are never repeated: they may quote a question or a chunk. What remains is the class of the error,
its status or code, and what is known of its meaning. A test fails on an error that is not mapped.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from moat.errors import FatalError, IndexUnavailable, MoatError
from moat.settings import Settings

GRPC_CODE = re.compile(
    r"StatusCode\.(CANCELLED|UNKNOWN|INVALID_ARGUMENT|DEADLINE_EXCEEDED|NOT_FOUND|ALREADY_EXISTS|PERMISSION_DENIED|"
    r"RESOURCE_EXHAUSTED|FAILED_PRECONDITION|ABORTED|OUT_OF_RANGE|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS|"
    r"UNAUTHENTICATED)\b"
)
REFUSED = ("401", "403", "PERMISSION_DENIED", "UNAUTHENTICATED")
MEANINGS = (  # what its words hold, and what that means
    (r"read-?only", "a shard is read-only: its disk is full, or it was set so"),
    (r"no space left|disk .*full", "its disk is full"),
    (r"not enough memory|memory pressure|out of memory", "it has too little memory"),
    (r"deadline|timed? ?out", "it did not answer in time"),
    (r"connect|unavailable|refused|reset|closed", "it cannot be reached, or broke off: does it run?"),
    (
        r"(?:class|collection|schema).*(?:not|n't) (?:found|exist|present)|could not find class",
        "it has no such collection",
    ),
)


def meaning_of(words: str) -> str:
    """What a foreign text is known to mean, in words of our own."""
    return next(
        (meaning for sign, meaning in MEANINGS if re.search(sign, words[:10_000], re.IGNORECASE)),
        "its own log says why",
    )


def code_of(error: Exception) -> str:
    """The HTTP status or gRPC code of an error; empty if it has none."""
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        return str(status)
    code = getattr(error, "code", None)
    found = GRPC_CODE.search(str(code() if callable(code) else error)[:10_000])
    return found[1] if found else ""


@contextmanager
def unless_missing() -> Iterator[None]:
    """Ignore the client's 404 for an object that does not exist."""
    from weaviate.exceptions import UnexpectedStatusCodeError

    try:
        yield
    except UnexpectedStatusCodeError as error:
        if error.status_code != 404:
            raise


@contextmanager
def mapped_errors(settings: Settings) -> Iterator[None]:
    """Raise the client's errors as errors of Moat."""
    import grpc
    import httpx
    from weaviate import exceptions as w

    try:
        yield
    except (w.WeaviateBaseError, grpc.RpcError, httpx.HTTPError) as error:
        raise mapped(
            error, f"Weaviate at {settings.weaviate_host}:{settings.weaviate_port}/{settings.weaviate_grpc_port}"
        ) from None  # a traceback would show the server's words after all


def mapped(error: Exception, where: str) -> MoatError:
    """Map an error of the client, HTTP or gRPC to IndexUnavailable or FatalError."""
    from weaviate import exceptions as w

    words = str(error)
    code = code_of(error)
    said = f"{where}: {type(error).__name__}{f' {code}' if code else ''}; {meaning_of(words)}"
    refused = (w.AuthenticationFailedError, w.InsufficientPermissionsError, w.MissingScopeError)
    ours = (
        w.WeaviateInvalidInputError,
        w.InvalidDataModelError,
        w.WeaviateInsertInvalidPropertyError,
        w.WeaviateAddInvalidPropertyError,
        w.SchemaValidationError,
        w.WeaviateClosedClientError,
        w.WeaviateUnsupportedFeatureError,
        w.WeaviateBatchValidationError,
        w.AdditionalPropertiesError,
        w.WeaviateAgentsNotInstalledError,
        w.WeaviateEmbeddedInvalidVersionError,
        w.ObjectAlreadyExistsError,
    )
    if (
        isinstance(error, refused)
        or code in REFUSED
        or re.search(r"status code:? ?40[13]\b|PERMISSION_DENIED|UNAUTHENTICATED|rbac: authorization", words[:10_000])
    ):
        return FatalError(f"{said}. Check MOAT_WEAVIATE_WRITER_KEY, _READER_KEY and _OPERATOR_KEY")
    if isinstance(error, ours) or (
        isinstance(error, w.UnexpectedStatusCodeError) and error.status_code < 500 and error.status_code != 429
    ):
        return FatalError(said)
    return IndexUnavailable(said)
