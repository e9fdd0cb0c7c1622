"""What went wrong, named by what happens next.

    MoatError
      RetriableError      may succeed later           -> Airflow retries with back-off
        SourceUnavailable   the source's system did not answer, or answered half
        IndexUnavailable    Weaviate did not answer, or did not keep what it was given
        EmbedderUnavailable the embedder did not answer, or asked to slow down
        LoadInProgress      another run of the same source holds its lease
        LedgerUnavailable   the ledger's database did not answer
        StagingError        a staged file is missing or damaged
        AirflowUnavailable  Airflow did not answer the command line
        DirectoryUnavailable a directory of people did not answer, or answered half
        TellingFailed       a channel did not take a message for people
        DirectoryStale      a directory has not been read for longer than it allows
      FatalError          a person must act           -> fails at once
        SettingsError       a setting is missing or wrong
        DeclarationError    a Source(...) is declared wrongly
        LedgerError         the ledger is not what this version expects
        SchemaError         the live collection is not what Moat needs
        ModelError          the embedder serves another model, or none that can be loaded
        LoadRefused         a load may not take this step from the state that it is in
        Superseded          this run lost its lease; another run of the source took over
        GateBlocked         a check of severity block failed
        TooManyPrincipals   an asker stands for more principals than a query can carry
        TokenRefused        an asker's JWT is forged, expired or not meant for Moat
        HoldRefused         a held change of access may not take this step
        IncidentRefused     there is no such incident, or it is over already
        AuditBroken         the audit's chain of hashes does not hold
        ErasureRefused      an erasure cannot be done, or does not hold any more
      DocumentError       this document only          -> quarantined, the rest goes on
        AccessUnknown       nobody said who may read it
        Unreadable          its source lists it and does not give its content
        TooLarge            it is larger than the settings allow
        ParseFailed         its bytes give no text
        PrepareFailed       preparing it raised something that nobody foresaw
        RiskFound           it holds what its source's policy sets aside

A message says what was seen, what is allowed and what to do, with the ids.
Each root has one catch site: RetriableError and FatalError in the retry policy of
`plugins/moat_tasks.py`, DocumentError where documents stream through a stage.
"""


class MoatError(Exception):
    """The root of everything that Moat raises on purpose."""


class RetriableError(MoatError):
    """The same call may succeed later, unchanged."""


class FatalError(MoatError):
    """No retry helps; the message says what a person has to do."""


class DocumentError(MoatError):
    """One document cannot go on; it is quarantined with this reason and the batch continues."""


class SourceUnavailable(RetriableError):
    """The source's system did not answer, or its listing broke off."""


class IndexUnavailable(RetriableError):
    """Weaviate did not answer in time, or did not keep what it was given."""


class EmbedderUnavailable(RetriableError):
    """The embedder did not answer in time, or asked to slow down."""


class LoadInProgress(RetriableError):
    """Another run of the same source holds its lease."""


class LedgerUnavailable(RetriableError):
    """The ledger's database did not answer."""


class StagingError(RetriableError):
    """A staged file is missing or damaged; the task that wrote it can write it again."""


class AirflowUnavailable(RetriableError):
    """Airflow did not answer."""


class DirectoryUnavailable(RetriableError):
    """A directory of people and groups did not answer, or its listing broke off."""


class DirectoryStale(RetriableError):
    """A directory has not been read for longer than it allows, so who is denied is not known."""


class TellingFailed(RetriableError):
    """A channel did not take a message for people: mail, chat or pager."""


class SettingsError(FatalError):
    """A setting is missing or wrong."""


class DeclarationError(FatalError):
    """A Source(...) is declared wrongly; the message names the source, the field and what is allowed."""


class LedgerError(FatalError):
    """The ledger is not at the revision that this version of Moat expects."""


class SchemaError(FatalError):
    """The live collection is not what Moat needs to keep its promises."""


class ModelError(FatalError):
    """The embedder serves another model than the one that was asked for, or cannot load it."""


class LoadRefused(FatalError):
    """A load may not take this step from the state that it is in."""


class Superseded(FatalError):
    """This run lost its lease on the source; another run took over and this one must stop."""


class GateBlocked(FatalError):
    """A check of severity block failed; nothing of the load becomes visible."""


class TooManyPrincipals(FatalError):
    """An asker stands for more principals than a query can carry."""


class TokenRefused(FatalError):
    """An asker's JWT is forged, expired, or not meant for Moat."""


class HoldRefused(FatalError):
    """A held change of access may not take this step from the state that it is in."""


class IncidentRefused(FatalError):
    """There is no such incident, or it may not take this step from the state that it is in."""


class AuditBroken(FatalError):
    """The audit's chain of hashes does not hold: a row was changed, removed or put in."""


class ErasureRefused(FatalError):
    """An erasure cannot be done now, or what was erased is there again."""


class AccessUnknown(DocumentError):
    """Nobody said, in a form that can be read, who may see this document."""


class Unreadable(DocumentError):
    """The source lists the document and does not give its content: no permission, an archive tier, a damaged file."""


class TooLarge(DocumentError):
    """The document is larger than MOAT_MAX_DOCUMENT_MB allows."""


class ParseFailed(DocumentError):
    """The document's bytes give no text that can be loaded."""


class PrepareFailed(DocumentError):
    """Preparing the document raised something that nobody foresaw; the message has its class and place."""


class RiskFound(DocumentError):
    """The document holds personal data, secrets, hidden text or an injection that its source sets aside; never the value."""
