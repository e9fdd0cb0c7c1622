"""Whether the servers of an installation answer, looked at side by side, each for a bounded time."""

import socket
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass

import httpx

from moat import airflow_api
from moat.connections import Connections, EnvironmentConnections
from moat.embedding.address import address_of
from moat.embedding.client import embedder_of
from moat.embedding.model import folder_of
from moat.embedding.resident import serves
from moat.errors import AirflowUnavailable, EmbedderUnavailable, IndexUnavailable, MoatError, WrongServer
from moat.index.connected import trusted
from moat.index.errors import stranger
from moat.ledger import Ledger
from moat.listening import at_port
from moat.loopback import is_loopback
from moat.settings import Settings
from moat.threads import in_thread

WAIT_S = 5.0  # for all of them together


@dataclass(frozen=True, slots=True)
class Looked:
    """One part of an installation that was looked at."""

    what: str
    ok: bool
    found: str


def look_at_servers(
    settings: Settings, connections: Callable[[], Connections], wait_s: float = WAIT_S
) -> dict[str, Looked]:
    """Whether ledger, staging, Weaviate, embedder and, where its address is set, Airflow answer.

    Args:
        settings: Settings of this process.
        connections: Gives the connections, for a staging or an embedder that needs them.
        wait_s: Seconds after which a server counts as one that does not answer.

    Returns:
        One entry per server, by its name.
    """
    found = _of_a_search(settings, connections, wait_s)
    asked = {"ledger": found.pop("ledger"), "staging": lambda: _staging(settings, connections), **found}
    if settings.airflow_url:
        asked["airflow"] = lambda: _airflow(settings)
    return look(asked, wait_s)


def look_at_servers_of_a_search(
    settings: Settings, connections: Callable[[], Connections], wait_s: float = WAIT_S
) -> dict[str, Looked]:
    """Whether ledger, Weaviate and embedder answer, which a search needs; as `look_at_servers`."""
    return look(_of_a_search(settings, connections, wait_s), wait_s)


def _of_a_search(
    settings: Settings, connections: Callable[[], Connections], wait_s: float
) -> dict[str, Callable[[], str]]:
    return {
        "ledger": lambda: _ledger(settings),
        "weaviate": lambda: _weaviate(settings, wait_s),
        "embedder": lambda: _embedder(settings, connections, wait_s),
    }


def look(asked: Mapping[str, Callable[[], str]], wait_s: float) -> dict[str, Looked]:
    """Do several looks at once; one that fails or does not come back in time is told as not well."""
    begun = {what: in_thread(work, f"look at {what}") for what, work in asked.items()}
    deadline = time.monotonic() + wait_s
    return {what: _result(what, future, deadline, wait_s) for what, future in begun.items()}


def _result(what: str, future: Future[str], deadline: float, wait_s: float) -> Looked:
    try:
        return Looked(what, True, future.result(max(0.0, deadline - time.monotonic())))
    except TimeoutError:
        if not future.done():
            return Looked(what, False, f"does not answer within {wait_s:g} s")
        return Looked(what, False, "does not answer: it timed out")
    except (MoatError, OSError, httpx.HTTPError) as error:
        return Looked(what, False, str(error) or type(error).__name__)
    except (ValueError, KeyError, TypeError) as error:  # something else answers there
        return Looked(what, False, f"gives an answer that is none of its own: {type(error).__name__}")


def _ledger(settings: Settings) -> str:
    ledger = Ledger.open(settings)
    ledger.close()
    return "answers"


def _staging(settings: Settings, connections: Callable[[], Connections]) -> str:
    from moat.runtime import staging_of  # brings pyarrow, which a door alone has no use for

    by_connection = "://" in settings.staging and settings.staging_conn_id
    staging_of(settings, connections() if by_connection else EnvironmentConnections()).exists("health")
    return "answers"


def _weaviate(settings: Settings, wait_s: float) -> str:
    scheme, host = "https" if settings.weaviate_secure else "http", settings.weaviate_host
    at = f"{host}:{settings.weaviate_port}"
    key = (settings.weaviate_reader_key.get_secret_value(), settings.weaviate_writer_key.get_secret_value())
    headers = {"authorization": f"Bearer {key[0] or key[1]}"} if any(key) else {}
    try:
        if strange := stranger(settings, 0.4 * wait_s):
            raise WrongServer(strange)
        with httpx.Client(
            base_url=f"{scheme}://{at}",
            timeout=0.4 * wait_s,
            trust_env=False,
            headers=headers,
            verify=trusted(settings) or True,
        ) as http:
            ready, meta = http.get("/v1/.well-known/ready"), http.get("/v1/meta")
    except httpx.ReadTimeout:
        who = at_port(host, settings.weaviate_port)
        raise IndexUnavailable(
            f"hangs at {at}: it takes connections and does not answer{f'; it is {who}' if who else ''}"
        ) from None
    except httpx.TransportError as error:
        raise IndexUnavailable(f"does not answer at {at}: {type(error).__name__}") from error
    if not ready.is_success:
        raise IndexUnavailable(f"at {at} is not ready: {ready.status_code}")
    if not meta.is_success:
        raise IndexUnavailable(f"at {at} refuses the key: {meta.status_code}; `moat doctor` tries each of the three")
    try:
        socket.create_connection((settings.weaviate_grpc_host or host, settings.weaviate_grpc_port), wait_s).close()
    except OSError as error:
        raise IndexUnavailable(
            f"does not answer at {settings.weaviate_grpc_host or host}:{settings.weaviate_grpc_port}, gRPC: {error}"
        ) from error
    return f"answers, version {meta.json()['version']}"


def _embedder(settings: Settings, connections: Callable[[], Connections], wait_s: float) -> str:
    if settings.embedder == "in_process":
        return f"in process, {folder_of(settings.model)}"
    if settings.embedder == "endpoint":
        found = embedder_of(settings, connections(), wait_s=wait_s, tries=1)
        try:
            found.embed(["is anybody there?"], "query")
        finally:
            found.close()
        return "answers"
    address = address_of(settings)
    if serves(address, settings, 0.8 * wait_s):  # so that one that hangs is told as that
        return "answers"
    if not is_loopback(settings.embedder_host):
        raise EmbedderUnavailable(f"does not answer at {address.shown}; start `moat embedder` there")
    if _taken(settings, address.socket is not None):
        raise EmbedderUnavailable(f"does not answer at {address.shown}, though something listens there")
    return "not running: the next task or search starts it"


def _taken(settings: Settings, on_socket: bool) -> bool:
    """Whether something listens on the embedder's port, so that none can be started there."""
    if on_socket:
        return False
    try:
        socket.create_connection((settings.embedder_host, settings.embedder_port), 1.0).close()
    except OSError:
        return False
    return True


def _airflow(settings: Settings) -> str:
    if ill := airflow_api.ill(settings):
        raise AirflowUnavailable(f"answers, but not well: {ill}")
    return "answers"
