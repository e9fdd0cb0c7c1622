"""Causes in surrounding systems: credentials, servers, disks, memory, databases; found by error text."""

from collections.abc import Callable

from moat.errors import (
    DeclarationError,
    DirectoryStale,
    DirectoryUnavailable,
    DocumentError,
    EmbedderHung,
    EmbedderUnavailable,
    IndexNotKept,
    IndexUnavailable,
    LedgerUnavailable,
    ModelError,
    OverBudget,
    ParseCrashed,
    ParseDamaged,
    ParseLocked,
    ParseOutOfMemory,
    ParserBroken,
    ParseTimedOut,
    ParseTooMuchText,
    SchemaError,
    SettingsError,
    SourceNotMounted,
    SourceUnavailable,
    WrongServer,
)
from moat.incidents.triage.evidence import Evidence, Signs, signs
from moat.incidents.triage.signature import (
    AFFORD,
    AGAIN,
    CLEAR,
    DIRECTORIES,
    DOCTOR,
    FULL,
    LIST,
    LOOK,
    REPLAY,
    Signature,
    by_error,
)


def _status(code: str) -> str:
    """A pattern for an HTTP status code, not for other numbers."""
    return rf"(?:\b(?:HTTP(?:/[\d.]+)?|status(?:[ _]code)?|code|error)\W{{1,3}}|\b(?:refuses|answers) with |: |\(|^){code}(?=[:),;.]|$|\s+[A-Z({{])"


REFUSED = _status("40[13]") + (
    r"|AccessDenied|Unauthori[sz]ed|UNAUTHENTICATED|PERMISSION_DENIED|Forbidden|InvalidAccessKeyId|"
    r"SignatureDoesNotMatch|ExpiredToken|InvalidToken|(password|authentication) (authentication )?failed|"
    r"invalid (password|credential|api.?key)|invalidCredentials|login failed|Access denied for user|rbac: authorization"
)
LIMITED = _status("429") + r"|too many requests|rate.?limit|Throttl|SlowDown|quota exceeded"
DOWN = _status("50[0234]") + (
    r"|connection (was )?(refused|reset|aborted|closed)|could not connect|cannot connect|timed? ?out|timeout|"
    r"Service Unavailable|Bad Gateway|Name or service not known|name resolution|getaddrinfo|"
    r"No route to host|Network is unreachable|EndpointConnectionError|UNAVAILABLE"
)
DISK_FULL = r"No space left|disk (is )?full|ENOSPC|disk usage|quota exceeded on|database or disk is full|not enough (disk )?space"
DISK_READONLY = r"Read-only file system|EROFS|readonly database|read-only database"
INDEX_READONLY = r"read.?only|READONLY"
LOCAL_DENIED = r"Permission denied|EACCES|PermissionError|Operation not permitted"
MEMORY = r"MemoryError|out of memory|OutOfMemory|CUDA out of memory|SIGKILL|exit status 137|return code -9|Killed|OOM"
DIRECTORY = r"\bdirectory [\w.-]+[:,] "
HANGS = r"hangs: it takes connections|hangs, or has too much to do|hangs at \S+: it takes connections"
REQUEST = r"refuses with 4(?:00|13|22)|the embedder takes [\d,]+"  # of the embedder, for texts beyond what it takes
LOCKED = r"database is locked|deadlock detected|could not obtain lock|lock timeout|LockNotAvailable|too many (clients|connections)"


def _index_refused(e: Evidence) -> Signs:
    """Weaviate answers but does not accept or store objects."""
    lost = e.raised(IndexNotKept)
    about = [*lost, *e.raised(IndexUnavailable)]
    locked = [f for f in e.said(INDEX_READONLY) if f in about]
    return signs(96 if locked else 82, locked or lost)


def _down(e: Evidence) -> Signs:
    better = {id(f) for pattern in (REFUSED, LIMITED, LOCKED, DISK_FULL) for f in e.said(pattern)}
    better |= {id(f) for f in e.raised(IndexNotKept)}
    sure = [*e.said(DOWN), *e.raised(SourceNotMounted, EmbedderUnavailable, LedgerUnavailable)]
    found = [f for f in dict.fromkeys(sure) if id(f) not in better]
    unavailable = [f for f in e.raised(SourceUnavailable, IndexUnavailable) if id(f) not in better]
    return signs(88, found) if found else signs(45, unavailable)


def _refused(e: Evidence) -> Signs:
    found = e.said(REFUSED)
    return signs(94, found, e.changed("credentials"), e.changed("setting")) if found else Signs()


def _memory(e: Evidence) -> Signs:
    tasks = e.said(MEMORY)
    rests = e.aside_by(ParseOutOfMemory)
    return signs(93, tasks) if tasks else signs(66, rests)


def _crashed(e: Evidence) -> Signs:
    tasks, rests = e.raised(ParserBroken), e.aside_by(ParseCrashed, ParseTimedOut, ParseTooMuchText)
    part = e.part("file type", "parser")
    return (
        signs(92, tasks)
        if tasks
        else signs(72, rests, e.failed("quarantin|aside"), part, e.changed("package unstructured"))
    )


def _hung(e: Evidence) -> Signs:
    return signs(96, list(dict.fromkeys([*e.raised(EmbedderHung), *e.said(HANGS)])))


def _wrong_model(e: Evidence) -> Signs:
    others = {id(f) for f in (*e.said(REFUSED), *e.said(REQUEST))}
    refused = [f for f in e.raised(ModelError) if id(f) not in others]
    return signs(97, refused, e.changed("model"), e.changed("setting MOAT_MODEL"))


def _request(e: Evidence) -> Signs:
    """The right embedder refuses what it is sent."""
    return signs(95, [f for f in e.raised(ModelError) if f in e.said(REQUEST)])


def _directory(e: Evidence) -> Signs:
    """A directory whose file, connection or answer cannot be read."""
    refused = {id(f) for f in e.said(REFUSED)}
    wrong = [f for f in e.said(DIRECTORY) if f.error == "FatalError" and id(f) not in refused]
    silent = [f for f in e.raised(DirectoryUnavailable, DirectoryStale) if id(f) not in refused]
    return signs(92, wrong) if wrong else signs(86, silent)


def _settings(e: Evidence) -> Signs:
    return signs(96, [f for f in e.raised(SettingsError) if f not in e.said(REFUSED)])


def _aside(error: type[DocumentError]) -> Callable[[Evidence], Signs]:
    """Documents that one error set aside."""

    def look(e: Evidence) -> Signs:
        rests, many = e.aside_by(error), e.failed("quarantin|aside")
        most = 2 * sum(a.n for a in rests) >= sum(a.n for a in e.aside)
        return signs(90 if many and most else 59, rests, many) if rests else Signs()

    return look


def _late(e: Evidence) -> Signs:
    return signs(30, [f for f in e.faults if f.kind == "late" and f.subject != "freshness"])


def _budget(e: Evidence) -> Signs:
    return signs(92, [*e.raised(OverBudget), *e.failed("^budget$")])


SYSTEMS = (
    Signature(
        "credential_refused",
        "A credential is refused",
        _refused,
        ("renew the connection's key or password in Airflow (Admin → Connections)", DOCTOR, CLEAR),
    ),
    by_error("rate_limited", "A service asks to slow down", LIMITED, ("wait, then let the task go on", CLEAR), 93),
    Signature("server_hung", "A server hangs", _hung, ("end the process that the message names: kill NUMBER; restart the server that it is", DOCTOR, CLEAR)),
    Signature("wrong_server", "Something else answers in the place of a server", lambda e: signs(97, e.raised(WrongServer)), ("correct the address that the message names: host, port and path", DOCTOR, CLEAR)),
    Signature("endpoint_down", "A system does not answer", _down, ("see whether the system is up and reachable from the worker", DOCTOR, CLEAR)),
    by_error("disk_full", "A disk is full", DISK_FULL, ("make room on the disk that the message names", CLEAR), 98),
    by_error("disk_readonly", "A disk is mounted read-only", DISK_READONLY, ("remount the disk writable", CLEAR), 98),
    by_error(
        "permission_denied_local", "A local file may not be read or written", LOCAL_DENIED, ("give the worker's user the right to the path", CLEAR), 91
    ),
    Signature("index_refused", "Weaviate does not keep what it is given", _index_refused, ("see docs/operations.md: Weaviate is read-only or its disk is full", DOCTOR, CLEAR)),
    Signature("schema_drift_index", "The live collection is not what Moat needs", lambda e: signs(95, e.raised(SchemaError)), (DOCTOR, "see docs/operations.md: the index is not what Moat needs", CLEAR)),
    by_error("ledger_locked", "The ledger's database is locked", LOCKED, ("see which process holds the ledger's database", CLEAR), 95),
    Signature("out_of_memory", "A process ran out of memory", _memory, ("give the worker more memory, or lower MOAT_BATCH_MB", CLEAR, REPLAY)),
    Signature("parser_crashed", "The parser crashes or runs too long", _crashed, (LIST, REPLAY, AGAIN)),
    Signature("model_mismatch", "Another embedding model answers", _wrong_model, ("set MOAT_MODEL and MOAT_MODEL_REVISION back, or load anew with the new model", FULL)),
    Signature("documents_locked", "Documents need a password", _aside(ParseLocked), ("ask for copies of {source} without a password or licence", LIST, REPLAY)),
    Signature("documents_damaged", "Documents arrive cut off or damaged", _aside(ParseDamaged), ("see whether the transfer to {source} breaks off: compare sizes with the originals", LIST, REPLAY)),
    Signature("directory_unread", "A directory of people cannot be read", _directory, ("correct what the message names: the file, the connection or the declaration", DIRECTORIES, "moat directory sync", CLEAR)),
    Signature("dag_file_broken", "A DAG file cannot be read, or declares something wrong", lambda e: signs(97, e.raised(DeclarationError)), ("correct the file that the message names", DOCTOR, CLEAR)),
    Signature("setting_wrong", "A setting or a connection is missing or wrong", _settings, ("set or correct the setting or the connection that the message names", DOCTOR, CLEAR)),
    Signature("embedder_refuses", "The embedder refuses texts or requests", _request, ("see the embedder's log; lower Chunking.target_tokens of {source} where a text is too long", CLEAR)),
    Signature("budget_exceeded", "The load would cost more than its budget", _budget, (LOOK, AFFORD, "raise Limits.max_tokens or Limits.max_cost of {source}")),
    Signature("late_load", "A load is late", _late, ("look at the newest run of {source} in Airflow", CLEAR)),
)  # fmt: skip
