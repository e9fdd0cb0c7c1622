"""Map what Weaviate's client raises to errors of Moat.

The server's words are never repeated: they may quote a question or a chunk. What remains is the class of the error,
its status or code, and what is known of its meaning. A test fails on an error that is not mapped.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from moat.answered import shown
from moat.errors import FatalError, IndexUnavailable, MoatError, WrongServer
from moat.listening import at_port
from moat.settings import Settings

GRPC_CODE = re.compile(
    r"StatusCode\.(CANCELLED|UNKNOWN|INVALID_ARGUMENT|DEADLINE_EXCEEDED|NOT_FOUND|ALREADY_EXISTS|PERMISSION_DENIED|"
    r"RESOURCE_EXHAUSTED|FAILED_PRECONDITION|ABORTED|OUT_OF_RANGE|UNIMPLEMENTED|INTERNAL|UNAVAILABLE|DATA_LOSS|"
    r"UNAUTHENTICATED)\b"
)
REFUSED = ("401", "403", "PERMISSION_DENIED", "UNAUTHENTICATED")
ELSEWHERE = ("301", "302", "303", "307", "308", "404", "405", "410")  # perhaps no Weaviate
UNREAD = (
    AssertionError,
    AttributeError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
)  # of a client that cannot read an answer
PROBE_S = 5.0
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
        unread = isinstance(error, w.ResponseCannotBeDecodedError | httpx.DecodingError)
        if unread or code_of(error) in ELSEWHERE:
            _raise_for_stranger(settings)
        where = f"Weaviate at {settings.weaviate_host}:{settings.weaviate_port}/{settings.weaviate_grpc_port}"
        if isinstance(error, w.WeaviateTimeoutError | httpx.ReadTimeout) or code_of(error) == "DEADLINE_EXCEEDED":
            raise IndexUnavailable(_hung(settings, where)) from None
        raise mapped(error, where) from None  # a traceback would show the server's words after all
    except UNREAD:
        _raise_for_stranger(settings)
        raise


def stranger(settings: Settings, wait_s: float = PROBE_S) -> str:
    """What answers in the place of Weaviate, as it answers to a request without a key; empty for a Weaviate.

    Empty too if nothing answers.
    """
    import httpx

    url = (
        f"{'https' if settings.weaviate_secure else 'http'}://{settings.weaviate_host}:{settings.weaviate_port}/v1/meta"
    )
    try:
        answer = httpx.get(url, timeout=wait_s, trust_env=False, verify=settings.weaviate_secure)
    except httpx.DecodingError:
        return f"something else than Weaviate answers at {url}: what is not compressed as it says"
    except httpx.HTTPError:
        return ""
    if answer.status_code in (401, 403) or answer.status_code >= 500:
        return ""  # it wants a key, or is in trouble
    try:
        body = answer.json() if answer.is_success else None
    except ValueError:
        body = None
    if isinstance(body, dict) and isinstance(body.get("version"), str):
        return ""
    return (
        f"something else than Weaviate answers at {url}: {shown(answer)}. "
        "Correct MOAT_WEAVIATE_HOST, MOAT_WEAVIATE_PORT and MOAT_WEAVIATE_SECURE"
    )


def _raise_for_stranger(settings: Settings) -> None:
    if found := stranger(settings):
        raise WrongServer(found) from None


def _hung(settings: Settings, where: str) -> str:
    """What is said of a Weaviate that did not answer in time: which process it is, where that can be known."""
    who = at_port(settings.weaviate_host, settings.weaviate_port)
    return (
        f"{where} hangs, or has too much to do: it did not answer in time, MOAT_WEAVIATE_TIMEOUT_S is "
        f"{settings.weaviate_timeout_s:g} s{f'; it is {who}' if who else ''}"
    )


def mapped(error: Exception, where: str) -> MoatError:
    """Map an error of the client, HTTP or gRPC to IndexUnavailable or FatalError."""
    from weaviate import exceptions as w

    words = str(error)
    code = code_of(error)
    said = f"{where}: {type(error).__name__}{f' {code}' if code else ''}; {meaning_of(words)}"
    if _untrusted(error):
        return FatalError(
            f"{where}: its certificate is not trusted: set MOAT_WEAVIATE_CA_FILE to that of its authority"
        )
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


def _untrusted(error: BaseException | None) -> bool:
    """Whether a certificate was refused, which the client's own words do not say."""
    for _ in range(8):
        if error is None or "CERTIFICATE_VERIFY_FAILED" in str(error):
            return error is not None
        error = error.__cause__ or error.__context__
    return False
