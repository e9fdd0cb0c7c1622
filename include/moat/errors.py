"""Errors, named by what happens next.

    MoatError
      RetriableError      may succeed later           -> Airflow retries with back-off
        SourceUnavailable   the source's system did not answer, or its listing broke off
          SourceNotMounted    the source's folder is not there
        AccessNotRead       the access of some sources could not be read; each has an incident
        IndexUnavailable    Weaviate did not answer, or did not store what was written
          IndexNotKept        Weaviate answered and does not hold what was written
        EmbedderUnavailable the embedder did not answer, or asked to slow down
          EmbedderHung        the embedder takes connections and does not answer
        LoadInProgress      another run of the same source holds its lease
        LedgerUnavailable   the ledger's database did not answer
        StagingError        a staged file is missing or damaged
        AirflowUnavailable  Airflow did not answer the command line
        DirectoryUnavailable a directory of people did not answer, or its listing broke off
        TellingFailed       a channel did not accept a message for people
        DirectoryStale      a directory was last read longer ago than it allows
      FatalError          a person must act           -> fails at once
        SettingsError       a setting is missing or wrong
        DeclarationError    a Source(...) is declared wrongly
        KeyListedTwice      a source lists two documents under one key
        NothingListed       a source lists nothing in its first load
        ColumnMissing       a query does not return a column that its declaration names
        ParserBroken        the parser process does not start
        LedgerError         the ledger is not at the revision of this version
        SchemaError         the live collection is not what Moat needs
        ModelError          the embedder serves another model, or cannot load it
        WrongServer         something else than the server that is expected answers at its address
        LoadRefused         the state of a load does not allow this step
          OverBudget          the load waits for a person, because it would exceed its budget
        Superseded          this run lost its lease; another run of the source took over
        GateBlocked         a check of severity block failed
        TooManyPrincipals   an asker stands for more principals than a query can carry
        TokenRefused        an asker's JWT is forged, expired or not meant for Moat
        HoldRefused         the state of a held change of access does not allow this step
        PassRefused         there is no such pass of access sync that could be taken back
        DecisionRefused     whoever decides is not among MOAT_APPROVERS
        IncidentRefused     there is no such incident, or it is closed
        AuditBroken         the audit's chain of hashes is broken
        RenameRefused       a source cannot be renamed, or has a name that another had
        ErasureRefused      an erasure cannot be done, or no longer holds
        AskedWrongly        what a person typed or an application asks by is not known
        CursorRefused       a cursor was changed, or is of another asker or question
          CursorExpired       a cursor is too old
        DoorRefused         a request to the door ends in a problem instead of an answer
      DocumentError       this document only          -> quarantined, the rest goes on
        AccessUnknown       who may read it is unknown
        Unreadable          its source lists it but does not give its content
        TooLarge            it is larger than the settings allow
        ParseFailed         its bytes yield no text
          ParseCrashed        the parser crashed on it
          ParseTimedOut       it took longer to parse than the settings allow
          ParseOutOfMemory    it needs more memory than the settings allow
          ParseTooMuchText    it gives more text than the settings allow
          ParseUndecodable    its characters cannot be decoded
          ParseLocked         it needs a password, or a licence
          ParseDamaged        it is cut off or damaged
          NothingLeft         no text is left of it after cleaning
        PrepareFailed       preparing it raised an unexpected error
        RiskFound           it contains what its source's policy quarantines

A message says what was seen, what is allowed and what to do, with the ids.
In a task, the retry policy of `plugins/moat_tasks.py` decides between RetriableError and FatalError; on the
command line, `moat.cli` prints the message and exits with 75 or 1. DocumentError is caught where documents
stream: `stages/prepare.py` quarantines the document, `stages/dry_run.py` counts it. Readers record TooLarge
and Unreadable without raising them, and listing a document turns AccessUnknown into unknown access. For an
asker, AccessUnknown denies the query (`search/guard.py`); only AskedWrongly leaves a `Retriever`.
"""


class MoatError(Exception):
    """Root of all errors that Moat raises on purpose."""


class RetriableError(MoatError):
    """The same call may succeed later, unchanged."""


class FatalError(MoatError):
    """No retry helps; the message says what a person must do."""


class DocumentError(MoatError):
    """One document cannot go on; it is quarantined with the reason."""


class SourceUnavailable(RetriableError):
    """The source's system did not answer, or its listing broke off."""


class SourceNotMounted(SourceUnavailable):
    """The source's folder is not there, or cannot be read."""


class AccessNotRead(RetriableError):
    """The access of some sources could not be read; each of them has an incident."""


class IndexUnavailable(RetriableError):
    """Weaviate did not answer in time, or did not store what was written."""


class IndexNotKept(IndexUnavailable):
    """Weaviate answered, and does not hold what was written, or holds what was deleted."""


class EmbedderUnavailable(RetriableError):
    """The embedder did not answer in time, or asked to slow down."""


class EmbedderHung(EmbedderUnavailable):
    """The embedder takes connections and does not answer."""


class LoadInProgress(RetriableError):
    """Another run of the same source holds its lease."""


class LedgerUnavailable(RetriableError):
    """The ledger's database did not answer."""


class StagingError(RetriableError):
    """A staged file is missing or damaged; its task can write it again."""


class AirflowUnavailable(RetriableError):
    """Airflow did not answer."""


class DirectoryUnavailable(RetriableError):
    """A directory of people and groups did not answer, or its listing broke off."""


class DirectoryStale(RetriableError):
    """A directory was last read longer ago than it allows, so denied people are unknown."""


class TellingFailed(RetriableError):
    """A channel did not accept a message for people: mail, chat or pager."""


class SettingsError(FatalError):
    """A setting is missing or wrong."""


class DeclarationError(FatalError):
    """A declaration is wrong; the message says where and what is allowed."""


class KeyListedTwice(FatalError):
    """A source lists two documents under one key, so one of them would be lost."""


class NothingListed(FatalError):
    """A source that never had a document lists none: its path, prefix, pattern or query matches nothing."""


class ColumnMissing(FatalError):
    """A query does not return a column that its declaration names."""


class ParserBroken(FatalError):
    """The parser process does not start on this machine."""


class LedgerError(FatalError):
    """The ledger is not at the revision that this version of Moat expects."""


class SchemaError(FatalError):
    """The live collection is not what Moat needs to enforce access."""


class ModelError(FatalError):
    """The embedder serves another model than requested, or cannot load it."""


class WrongServer(FatalError):
    """Something else than the server that is expected answers at its address."""


class LoadRefused(FatalError):
    """The state of a load does not allow this step."""


class OverBudget(LoadRefused):
    """The load would exceed its source's budget and waits for a person to decide."""


class Superseded(FatalError):
    """This run lost its lease to another run and must stop."""


class GateBlocked(FatalError):
    """A check of severity block failed; nothing of the load becomes visible."""


class TooManyPrincipals(FatalError):
    """An asker stands for more principals than a query can carry."""


class TokenRefused(FatalError):
    """An asker's JWT is forged, expired, or not meant for Moat."""


class HoldRefused(FatalError):
    """The state of a held change of access does not allow this step."""


class PassRefused(FatalError):
    """There is no such pass of access sync that could be taken back."""


class DecisionRefused(FatalError):
    """Whoever decides is not among MOAT_APPROVERS."""


class IncidentRefused(FatalError):
    """There is no such incident, or its state does not allow this step."""


class AuditBroken(FatalError):
    """The audit's chain of hashes is broken: a row was changed, removed or inserted."""


class RenameRefused(FatalError):
    """A source cannot be renamed now, or has a name that another had before."""


class ErasureRefused(FatalError):
    """An erasure cannot be done now, or erased content is back."""


class AskedWrongly(FatalError):
    """What a person typed or an application asks by is not known, or has a wrong value; it is answered, no incident."""


class CursorRefused(FatalError):
    """A cursor was changed, or belongs to another asker or another question."""


class CursorExpired(CursorRefused):
    """A cursor is too old: the first page has to be asked for again."""


class DoorRefused(FatalError):
    """A request to the door ends in a problem instead of an answer: of `door/problems.py`, by its code."""

    def __init__(self, code: str, detail: str = "", retry_s: int = 0) -> None:
        super().__init__(detail or code)
        self.code, self.detail, self.retry_s = code, detail, retry_s


class AccessUnknown(DocumentError):
    """It is not known who may read this document, or who the asker is."""


class Unreadable(DocumentError):
    """The source lists the document but does not give its content."""


class TooLarge(DocumentError):
    """The document is larger than MOAT_MAX_DOCUMENT_MB allows."""


class ParseFailed(DocumentError):
    """The document's bytes yield no text that can be loaded."""


class ParseCrashed(ParseFailed):
    """The parser crashed on the document."""


class ParseTimedOut(ParseFailed):
    """The document took longer to parse than MOAT_PARSE_TIMEOUT_S."""


class ParseOutOfMemory(ParseFailed):
    """The document needs more memory than MOAT_PARSE_MEMORY_MB."""


class ParseTooMuchText(ParseFailed):
    """The document gives more text than MOAT_PARSE_OUTPUT_MB."""


class ParseUndecodable(ParseFailed):
    """The document's characters cannot be decoded."""


class ParseLocked(ParseFailed):
    """The document is encrypted: it needs a password, or a licence."""


class ParseDamaged(ParseFailed):
    """The document is cut off, or its bytes are damaged."""


class NothingLeft(ParseFailed):
    """No text is left of the document after cleaning and taking out what is hidden."""


class PrepareFailed(DocumentError):
    """Preparing the document raised an unexpected error; the message has its class and place."""


class RiskFound(DocumentError):
    """The document contains a risk that its source quarantines; the message never quotes it."""


# The setting that stopped a document, by its error: a document is tried again when that limit is another.
LIMITS = {
    "ParseTimedOut": "parse_timeout_s",
    "ParseOutOfMemory": "parse_memory_mb",
    "ParseTooMuchText": "parse_output_mb",
    "TooLarge": "max_document_mb",
}


def document_errors() -> list[str]:
    """Names of the errors for which a document is set aside, sorted."""
    return sorted(with_derived("DocumentError")[1:])


def with_derived(name: str) -> list[str]:
    """Names of an error class and of all classes derived from it; only the name if no such class exists."""
    kind = globals().get(name)
    todo: list[type[MoatError]] = [kind] if isinstance(kind, type) else []
    names = [name]
    while todo:
        derived = todo.pop().__subclasses__()
        names += [one.__name__ for one in derived]
        todo += derived
    return names
