"""Run the door: what it needs to listen where its settings say, and the server itself."""

import logging
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

from moat.asgi import App
from moat.async_retrieve import AsyncRetriever
from moat.connections import Connections, EnvironmentConnections
from moat.door.app import app_of
from moat.door.bounds import Bounds
from moat.door.desk import Desk
from moat.errors import SettingsError
from moat.ledger import Ledger
from moat.loopback import is_loopback
from moat.retrieve import Retriever
from moat.settings import Settings, environment

MOST_CONNECTIONS = 2_000  # open at once, idle ones too
LOCAL = ("127.0.0.1", "localhost", "::1")


def url_of(settings: Settings, person: str = "") -> str:
    """The door's own address, as applications know it, without a trailing slash.

    Args:
        settings: Settings of this process.
        person: Who asks without a token; empty: nobody.

    Raises:
        SettingsError: The door would be open to others without TLS, or to anybody as a person.
    """
    host, url = settings.door_host, settings.door_url.rstrip("/")
    local, tls = is_loopback(host), bool(settings.door_tls_cert)
    for name in ("door_tls_cert", "door_tls_key"):
        file = getattr(settings, name)
        if bool(file) != tls or (file and not Path(file).is_file()):
            raise SettingsError(
                f"MOAT_{name.upper()}={file!r}: TLS needs a certificate and its key, two files that exist"
            )
    if url and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname or urlsplit(url).query):
        raise SettingsError(f"MOAT_DOOR_URL={url!r}: an address such as https://moat.example.com")
    if person and not (local and is_loopback(urlsplit(url).hostname or host)):
        raise SettingsError(
            f"MOAT_DOOR_HOST={host}: --as lets everybody in who reaches the door, so it listens on loopback only"
        )
    if not local and not url:
        raise SettingsError(f"MOAT_DOOR_HOST={host}: set MOAT_DOOR_URL to the address under which the door is reached")
    if not local and not tls and not url.startswith("https://"):
        raise SettingsError(
            f"MOAT_DOOR_HOST={host}: tokens and texts would travel in the clear. Set MOAT_DOOR_TLS_CERT and "
            "MOAT_DOOR_TLS_KEY, or let a reverse proxy end TLS and set MOAT_DOOR_URL to its https:// address"
        )
    shown = f"[{host}]" if ":" in host else host
    return url or f"{'https' if tls else 'http'}://{shown}:{settings.door_port}"


def door_of(settings: Settings, retriever: Retriever, connections: Connections | None = None, person: str = "") -> App:
    """The door in front of a retriever; the application closes both at its end.

    Args:
        settings: Settings of this process.
        retriever: What answers.
        connections: Source of connections, for an embedder that is an endpoint; None: the environment.
        person: Who asks without a token, for development on loopback; empty: nobody.

    Raises:
        SettingsError: As `url_of`.
        LedgerError: The ledger is not at the revision of this version.
    """
    url = url_of(settings, person)
    connections = connections or EnvironmentConnections(environment())
    desk = Desk(settings, AsyncRetriever(retriever), Ledger.open(settings), person)
    hosts = {*LOCAL} if is_loopback(settings.door_host) else set()
    hosts |= {host for host in (urlsplit(url).hostname, settings.door_host) if host}
    return Bounds(app_of(desk, url, connections), url, hosts, desk.counters)


def serve(settings: Settings, person: str = "") -> None:
    """Run the door until it is stopped. Raises as `url_of` and `Retriever.from_settings`."""
    import uvicorn

    url_of(settings, person)  # before anything is opened
    logging.getLogger("moat.door").setLevel(logging.INFO)
    with ExitStack() as opened:  # what is open when the door cannot be opened is closed again
        retriever = opened.enter_context(closing(Retriever.from_settings(settings)))
        app = door_of(settings, retriever, person=person)
        opened.pop_all()
    config = uvicorn.Config(
        app,
        settings.door_host,
        settings.door_port,
        log_level="warning",
        lifespan="on",
        proxy_headers=False,  # what a proxy claims decides nothing here
        server_header=False,
        ssl_certfile=settings.door_tls_cert or None,
        ssl_keyfile=settings.door_tls_key or None,
        timeout_keep_alive=30,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=round(settings.search_timeout_s) + 2,
    )
    uvicorn.Server(config).run()
