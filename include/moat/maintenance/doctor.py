"""doctor: check settings, servers, versions, schema and model; each ok, or what to do."""

import importlib.metadata
import shlex
import shutil
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from moat.connections import Connections
from moat.embedding.client import embedder_of
from moat.embedding.model import folder_of, max_tokens_of
from moat.errors import AirflowUnavailable, IndexUnavailable, MoatError, SchemaError
from moat.index.store import LEAST_SERVER, WeaviateStore
from moat.ledger import Ledger, loads
from moat.maintenance.disk_room import disk_room
from moat.maintenance.examine_sources import examine_sources, surroundings
from moat.maintenance.examined import Examined
from moat.maintenance.private import OTHERS, exposed
from moat.parse.sandbox import Sandbox
from moat.runtime import staging_of
from moat.settings import Settings, environment

MOST_LISTED = 10_000
CLOSED_PORTS = "the Weaviate of `make run` is in a network namespace: only ports that ask for a key can be reached"
OPEN_PORTS = (
    "this machine allows no network namespace: every local user can send commands to Weaviate's cluster ports without "
    "a key. Run Moat here only if you trust all of them, or put Weaviate on a machine of its own (MOAT_WEAVIATE_HOST)"
)


def examine(connections: Callable[[], Connections]) -> list[Examined]:
    """Check everything that a run needs; one failure does not hide the others."""
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in ("apache-airflow", "weaviate-client", "unstructured", "sentence-transformers")
    )
    folder = _private(Path(environment().get("MOAT_HOME") or Settings.model_fields["home"].default))
    findings = [folder, Examined("python", sys.version_info >= (3, 11), f"{sys.version.split()[0]}; {versions}")]
    try:
        settings = Settings.load()
    except MoatError as error:
        return [*findings, Examined("settings", False, str(error))]
    findings.append(Examined("settings", True, f"home {settings.home}, tenant {settings.tenant}"))
    model = ""

    def look(what: str, at: Callable[[], str], needed: bool = True) -> None:
        try:
            findings.append(Examined(what, True, at(), needed))
        except (MoatError, OSError) as error:
            findings.append(Examined(what, False, str(error), needed))

    def embedder() -> str:
        nonlocal model
        found = embedder_of(settings, connections())
        try:
            info, vector = found.info(), found.embed(["is anybody there?"], "query")
        finally:
            found.close()
        model = info.key
        return f"{settings.embedder}: {info.model} at {info.revision}, {vector.shape[1]} dimensions, {info.max_tokens} tokens"

    findings.append(Examined("disk", *disk_room(settings.home)))
    look("ledger", lambda: _ledger(settings))
    look("staging", lambda: _staging(settings, connections()))
    look("model", lambda: f"{folder_of(settings.model)}, {max_tokens_of(folder_of(settings.model))} tokens")
    look("embedder", embedder)
    look("parser", lambda: _parser(settings))
    if ports := environment().get("LOCAL_WEAVIATE_PORTS"):
        closed = ports == "closed"
        findings.append(Examined("weaviate's own ports", closed, CLOSED_PORTS if closed else OPEN_PORTS, needed=False))
    for role in ("operator", "writer", "reader"):
        look(f"weaviate as {role}", lambda role=role: _weaviate(settings, role))  # type: ignore[misc]
    if model:
        look("collection", lambda: _collection(settings, model))
    else:
        findings.append(
            Examined("collection", False, "not compared: the embedder did not tell its model", needed=False)
        )
    if settings.airflow_url:
        look("airflow", lambda: _airflow(settings))
    for program, use in (
        ("tesseract", "text in scans that the OCR of Moat does not read"),
        ("soffice", "old .doc and .ppt files"),
    ):
        there = shutil.which(program)
        findings.append(
            Examined(program, there is not None, there or f"not installed: {use} are set aside", needed=False)
        )
    return findings + _sources(settings, connections)


def _sources(settings: Settings, connections: Callable[[], Connections]) -> list[Examined]:
    """Every source, as a dry run would look at it; without a ledger, which has its own row, groups are not."""
    try:
        ledger = Ledger.open(settings)
    except MoatError:
        return examine_sources(surroundings(settings, connections(), None))
    try:
        return examine_sources(surroundings(settings, connections(), ledger))
    finally:
        ledger.close()


def _private(home: Path) -> Examined:
    """Whether others can look into the state folder; looked at before the settings close it."""
    what = "state folder"
    if not home.exists():
        return Examined(what, True, f"{home} is not there yet")
    if not home.stat().st_mode & OTHERS:
        return Examined(what, True, f"{home} is its owner's alone")
    found = list(islice(exposed(home), MOST_LISTED))
    shown = ", ".join(str(path.relative_to(home)) for path in found[1:4])
    some = f"{len(found):,}{' or more' if len(found) == MOST_LISTED else ''} files and folders"
    return Examined(
        what,
        False,
        f"other users of this machine could look into {home}: {some}{f', such as {shown}' if shown else ''}. "
        f"Mend it by: chmod -R go-rwx {shlex.quote(str(home))}",
    )


def _ledger(settings: Settings) -> str:
    ledger = Ledger.open(settings)
    try:
        ledger.check_writable()
        newest = loads.recent(ledger, limit=1)
    finally:
        ledger.close()
    return f"{ledger.engine.url!r}; " + (
        f"newest load {newest[0].id} of {newest[0].source}" if newest else "no load yet"
    )


def _staging(settings: Settings, connections: Connections) -> str:
    staging = staging_of(settings, connections)
    staging.write_bytes("doctor", b"ok")
    staging.read_bytes("doctor")
    staging.remove("doctor")
    return (
        f"{staging.uri}, {shutil.disk_usage(staging.uri).free >> 30:,} GB free"
        if "://" not in staging.uri
        else staging.uri
    )


def _parser(settings: Settings) -> str:
    with Sandbox(settings) as sandbox:
        return f"starts; {sandbox.protections()}"


def _weaviate(settings: Settings, role: str) -> str:
    store = WeaviateStore.open(settings, role)  # type: ignore[arg-type]
    try:
        version = store.version()
    finally:
        store.close()
    if tuple(int(part) for part in version.split(".")[:3]) < LEAST_SERVER:
        raise SchemaError(
            f"Weaviate is {version}: {'.'.join(map(str, LEAST_SERVER))} or later is needed, earlier ones lose data on a read-only shard without a word"
        )
    return f"{version} at {settings.weaviate_host}:{settings.weaviate_port}"


def _collection(settings: Settings, model: str) -> str:
    sees_shards = bool(settings.weaviate_operator_key.get_secret_value())  # Weaviate shows them to no other role
    store = WeaviateStore.open(settings, "operator" if sees_shards else "writer")
    try:
        if not store.exists():
            return f"{settings.collection_name} is not there yet: the first load makes it"
        store.check(model)
        if sees_shards and (closed := store.closed_shards()):
            raise IndexUnavailable(
                f"collection {settings.collection_name} takes no objects: {'; '.join(closed)}. Its disk is or was full, or "
                "somebody set it so: free the disk, then set the shard READY"
            )
        looked = "takes objects" if sees_shards else "no operator's key is here, so its shards were not looked at"
        return f"{settings.collection_name} is what Moat needs; {looked}"
    finally:
        store.close()


def _airflow(settings: Settings) -> str:
    from moat.airflow_api import client, ill

    if bad := ill(settings):
        raise AirflowUnavailable(f"answers at {settings.airflow_url}, but not well: {bad}")
    with client(settings) as http:
        return f"answers at {settings.airflow_url}, version {http.get('/api/v2/version').json().get('version')}"
