"""Map what Weaviate's client raises to errors of Moat.

A test fails on an error that is not mapped.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from moat.errors import FatalError, IndexUnavailable, MoatError
from moat.settings import Settings


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
        ) from error


def mapped(error: Exception, where: str) -> MoatError:
    """Map an error of the client, HTTP or gRPC to IndexUnavailable or FatalError."""
    from weaviate import exceptions as w

    said = f"{where}: {type(error).__name__}: {' '.join(str(error).split())[:600]}"
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
        or "401" in said[:300]
        or "PERMISSION_DENIED" in said
        or "UNAUTHENTICATED" in said
        or "rbac: authorization" in said
    ):
        return FatalError(f"{said}. Check MOAT_WEAVIATE_WRITER_KEY, _READER_KEY and _OPERATOR_KEY")
    if isinstance(error, ours) or (
        isinstance(error, w.UnexpectedStatusCodeError) and error.status_code < 500 and error.status_code != 429
    ):
        return FatalError(said)
    return IndexUnavailable(said)
