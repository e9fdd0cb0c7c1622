"""A client of Weaviate, by the settings: hosts, key of the role, certificates, and no proxy."""

import ssl
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import httpx

from moat.errors import SettingsError
from moat.index.errors import mapped_errors
from moat.settings import Settings

if TYPE_CHECKING:
    from grpc import ChannelCredentials
    from weaviate import WeaviateClient

Role = Literal["writer", "reader", "operator"]
MARK = 256  # characters of the mark of a start


def connected(settings: Settings, role: Role) -> "WeaviateClient":
    """Connect with a role's key.

    Raises:
        IndexUnavailable: Weaviate does not answer.
        FatalError: It refuses the key, or its certificate is not trusted.
        SettingsError: The certificates to trust cannot be read.
    """
    import weaviate
    from weaviate.classes.init import AdditionalConfig, Auth, Timeout
    from weaviate.config import GrpcConfig
    from weaviate.connect import ConnectionParams

    key = getattr(settings, f"weaviate_{role}_key").get_secret_value()
    seconds = max(1, int(settings.weaviate_timeout_s))
    client = weaviate.WeaviateClient(
        connection_params=ConnectionParams.from_params(
            http_host=settings.weaviate_host,
            http_port=settings.weaviate_port,
            http_secure=settings.weaviate_secure,
            grpc_host=settings.weaviate_grpc_host or settings.weaviate_host,
            grpc_port=settings.weaviate_grpc_port,
            grpc_secure=settings.weaviate_secure,
        ),
        auth_client_secret=Auth.api_key(key) if key else None,
        additional_config=AdditionalConfig(
            timeout=Timeout(init=min(10, seconds), query=seconds, insert=seconds),
            trust_env=False,
            grpc_config=GrpcConfig(
                channel_options=[("grpc.enable_http_proxy", 0)],  # as HTTP does not
                credentials=_credentials(settings),
            ),
        ),
        skip_init_checks=True,
    )
    if context := trusted(settings):
        _trust(client, context)
    with mapped_errors(settings), ExitStack() as failed:
        failed.callback(client.close)
        client.connect()
        failed.pop_all()
    return client


def grant(client: "WeaviateClient", collection: str) -> None:
    """Give the writer's and the reader's key minimal rights to a collection, by the operator's client."""
    from weaviate.classes.rbac import Permissions

    seen = Permissions.cluster(read=True)  # whether the server was started again
    roles = {
        "writer": [
            *Permissions.collections(collection=collection, read_config=True),
            *Permissions.data(collection=collection, create=True, read=True, update=True, delete=True),
            *seen,
        ],
        "reader": [
            *Permissions.collections(collection=collection, read_config=True),
            *Permissions.data(collection=collection, read=True),
            *seen,
        ],
    }
    for role, permissions in roles.items():
        named, user = f"moat_{role}_{collection}", f"moat-{role}"
        known = client.roles.get(named)
        if known is None:
            client.roles.create(role_name=named, permissions=permissions)
        elif not known.cluster_permissions:  # it was made by an earlier version
            client.roles.add_permissions(permissions=seen, role_name=named)
        # To assign a role again takes the server longer the more roles it has.
        if user not in {one.user_id for one in client.roles.get_user_assignments(named)}:
            client.users.db.assign_roles(user_id=user, role_names=named)


def started(settings: Settings, wait_s: float | None = None) -> str:
    """A mark of Weaviate that is another after one of its nodes was started again; empty where no key may see it.

    It is the term of the cluster's Raft, which rises when the only node of a cluster starts and when several elect a
    leader; and of each node how far the Raft's log had come when it started, since a node that follows another starts
    without an election. Raises httpx.HTTPError.
    """
    try:
        nodes = _statistics(settings, wait_s)
        return ",".join(
            sorted(f"{node['name']}:{node['raft']['term']}.{node.get('initialLastAppliedIndex', 0)}" for node in nodes)
        )[:MARK]
    except (KeyError, TypeError):
        return ""


def away(settings: Settings) -> list[str]:
    """Names of the nodes that belong to Weaviate's cluster and do not answer there, sorted; none where no key may see it.

    Raises httpx.HTTPError.
    """
    try:
        nodes = _statistics(settings)
        members = {member["id"] for node in nodes for member in (node.get("raft") or {}).get("latestConfiguration", ())}
        return sorted(members - {node["name"] for node in nodes if node["status"] == "HEALTHY"})
    except (KeyError, TypeError):
        return []


def _statistics(settings: Settings, wait_s: float | None = None) -> list[dict[str, Any]]:
    """What each node that the cluster sees says of itself; none where no key may see it. Raises httpx.HTTPError."""
    keys = [getattr(settings, f"weaviate_{role}_key").get_secret_value() for role in get_args(Role)]
    scheme = "https" if settings.weaviate_secure else "http"
    answer = httpx.get(
        f"{scheme}://{settings.weaviate_host}:{settings.weaviate_port}/v1/cluster/statistics",
        headers={"authorization": f"Bearer {key}"} if (key := next(filter(None, keys), "")) else {},
        timeout=settings.weaviate_timeout_s if wait_s is None else wait_s,
        trust_env=False,
        verify=settings.weaviate_secure and (trusted(settings) or True),
    )
    if answer.status_code >= 500:
        answer.raise_for_status()
    try:
        found = answer.json()["statistics"] if answer.is_success else []
    except (ValueError, KeyError, TypeError):
        return []
    return found if isinstance(found, list) else []


def trusted(settings: Settings) -> ssl.SSLContext | None:
    """What HTTP trusts instead of the public certificates; None: those. Raises SettingsError."""
    if not settings.weaviate_ca_file:
        return None
    try:
        return ssl.create_default_context(cafile=settings.weaviate_ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise SettingsError(
            f"MOAT_WEAVIATE_CA_FILE={settings.weaviate_ca_file} cannot be read as PEM: {error}"
        ) from error


def _credentials(settings: Settings) -> "ChannelCredentials | None":
    """The same for gRPC."""
    if trusted(settings) is None:
        return None
    from grpc import ssl_channel_credentials

    return ssl_channel_credentials(Path(settings.weaviate_ca_file).read_bytes())


def _trust(client: "WeaviateClient", context: ssl.SSLContext) -> None:
    """Let the client's HTTP trust these certificates.

    It has no parameter for them: else they can only come from the environment, and its proxies with them.
    """
    connection = client._connection
    headers = connection._headers

    def made(colour: str) -> httpx.Client:
        return httpx.Client(headers=headers, verify=context, trust_env=False)

    connection._make_client = made  # type: ignore[assignment,method-assign]
