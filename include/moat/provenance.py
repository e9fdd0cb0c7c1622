"""Provenance of a load: what it is made with, by name.

It shows what changed before a fault. Values are short and safe to show: versions, names, digests. Secrets
and credentials appear only as digests under a key that is not stored beside them.
"""

import hashlib
import hmac
import importlib.metadata
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from pydantic import SecretStr

from moat.connections import Connection
from moat.embedding.model import folder_of, revision_of
from moat.errors import ModelError, SettingsError
from moat.runtime import Runtime
from moat.settings import PREFIX, PROJECT, Settings, private_folder
from moat.source import Source

PACKAGES = (
    "apache-airflow-core",
    "detect-secrets",
    "langchain-text-splitters",
    "langdetect",
    "presidio-analyzer",
    "sentence-transformers",
    "torch",
    "transformers",
    "unstructured",
    "weaviate-client",
)
CODE = ("include", "dags", "plugins")
SHORT = 12  # characters of a digest
KEY = "key of the digests"  # recorded, but no difference by itself
REVISION = "revision"


def provenance_of(runtime: Runtime, source: Source, recipe: str) -> dict[str, str]:
    """Return the provenance of a load that begins now.

    Args:
        runtime: The runtime of the load.
        source: The declared source.
        recipe: Digest of how bytes become chunks, as `recipe_of` gives it.

    Returns:
        Versions, settings, declaration and credentials by name; secrets as digests.
    """
    try:
        key = _key(runtime.settings)
    except OSError:  # no writable folder: credentials cannot be compared between loads
        key = secrets.token_bytes(32)
    return {
        "code": f"{_version('moat')} {_code()}",
        REVISION: _revision(),
        **{f"package {name}": version for name in PACKAGES if (version := _version(name))},
        "model": _model(runtime.settings),
        "recipe of chunks": recipe[:SHORT],
        **{f"declared {part}": _short(repr(getattr(source, part))) for part in _declared(source)},
        **({"query": _short(query)} if (query := _query(source)) else {}),
        **{f"setting {PREFIX}{name.upper()}": value for name, value in _settings(runtime.settings, key)},
        **{
            f"credentials {conn_id}": _credentials(runtime, conn_id, key)
            for conn_id in _connections(runtime.settings, source)
        },
        KEY: _short(key.hex()),
    }


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Describe the differences of two provenances; none if one is empty."""
    if not before or not after:
        return ()
    comparable = before.get(KEY) == after.get(KEY)
    return tuple(
        _words(name, before.get(name, ""), after.get(name, ""))
        for name in sorted({*before, *after} - {KEY, REVISION})
        if before.get(name) != after.get(name) and (comparable or not _keyed(name))
    )


def _words(name: str, was: str, now: str) -> str:
    if name.startswith("package ") or name == "model":
        return f"{name}: {was or 'none'} → {now or 'none'}"
    if name.startswith("setting ") and (not was or not now):
        return f"{name}: {'set' if now else 'back to its default'}"
    if name == "code":
        versions = was.split(" ")[0], now.split(" ")[0]
        return (
            f"code: {versions[0]} → {versions[1]}"
            if versions[0] != versions[1]
            else "code: files of Moat or dags/ changed"
        )
    return f"{name}: {'changed' if was and now else 'new' if now else 'gone'}"


def _keyed(name: str) -> bool:
    """Whether a value is a digest under the key."""
    field = Settings.model_fields.get(name.removeprefix(f"setting {PREFIX}").lower())
    return name.startswith("credentials ") or (field is not None and field.annotation is SecretStr)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:SHORT]


def _under(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:SHORT]


def _key(settings: Settings) -> bytes:
    """Key for digests of secrets, from the writer's key or this machine."""
    if writer := settings.weaviate_writer_key.get_secret_value():
        return hashlib.sha256(f"moat context {writer}".encode()).digest()
    file = settings.home / "context.key"
    private_folder(settings.home)
    if not file.exists():
        made = file.with_name(f"{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(secrets.token_bytes(32))
        try:
            os.link(made, file)  # the first writer wins
        except FileExistsError:
            pass
        finally:
            made.unlink()
    return file.read_bytes()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


@cache
def _code() -> str:
    """Digest of every Python file of the project.

    Taken once per process, which keeps running what it imported.
    """
    digest = hashlib.sha256()
    for folder in CODE:
        for file in sorted((PROJECT / folder).rglob("*.py")):
            digest.update(f"{file.relative_to(PROJECT)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:SHORT]


@cache
def _revision() -> str:
    """Commit of a git checkout; empty outside of one."""
    git = PROJECT / ".git"
    try:
        head = (git / "HEAD").read_text("utf-8").strip()
        if not head.startswith("ref: "):
            return head[:SHORT]
        name = head.removeprefix("ref: ")
        if (git / name).is_file():
            return (git / name).read_text("utf-8").strip()[:SHORT]
        packed = (git / "packed-refs").read_text("utf-8").splitlines()
        return next((line[:SHORT] for line in packed if line.endswith(f" {name}")), "")
    except OSError:
        return ""


def _model(settings: Settings) -> str:
    if settings.embedder == "endpoint":
        return f"by connection {settings.embedder_conn_id}"
    try:
        return f"{settings.model}@{revision_of(folder_of(settings.model))}"
    except ModelError:
        return f"{settings.model}, not found"


def _declared(source: Source) -> list[str]:
    return [f.name for f in fields(source) if f.name not in ("name", "owner", "description")]


def _query(source: Source) -> str:
    """SQL that the source's rows come from; empty if it has none."""
    file = PROJECT / "dags" / "sql" / str(getattr(source.reader, "sql", ""))
    return file.read_text("utf-8", "replace") if file.is_file() else ""


def _settings(settings: Settings, key: bytes) -> Iterator[tuple[str, str]]:
    """Yield a digest of each setting that differs from its default."""
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if value == field.default or name in ("home", "tenant"):
            continue
        if isinstance(value, SecretStr):
            yield name, _under(key, value.get_secret_value())
        else:
            yield name, _short(str(value))


def _connections(settings: Settings, source: Source) -> list[str]:
    """Ids of the connections that a load of this source uses."""
    found = list(_conn_ids(source))
    if settings.embedder == "endpoint":
        found.append(settings.embedder_conn_id)
    if settings.staging_conn_id:
        found.append(settings.staging_conn_id)
    return sorted(set(found))


def _conn_ids(declaration: object) -> Iterator[str]:
    if not is_dataclass(declaration):
        return
    for field in fields(declaration):
        value: Any = getattr(declaration, field.name)
        if field.name.endswith("conn_id") and isinstance(value, str) and value:
            yield value
        yield from _conn_ids(value)


def _credentials(runtime: Runtime, conn_id: str, key: bytes) -> str:
    """Digest of where a connection leads and whom it logs in as."""
    try:
        found: Connection = runtime.connections.get(conn_id)
    except SettingsError:
        return "not defined"
    parts = (found.host, str(found.port), found.login, found.password, repr(sorted(found.extra.items())))
    return _under(key, "\0".join(parts))
