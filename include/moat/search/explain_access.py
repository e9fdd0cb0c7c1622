"""Explain why an asker may or may not read a document."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from moat.access.policy import PUBLIC, Policy
from moat.errors import AccessUnknown, AskedWrongly, DirectoryStale, FatalError, TokenRefused, TooManyPrincipals
from moat.ids import is_id
from moat.ledger import Ledger
from moat.ledger.chains import Chain, chains
from moat.ledger.members import Expansions
from moat.ledger.second_look import second_look
from moat.ledger.tables import chunk, document, policy
from moat.search.explain_document import explain
from moat.search.identity import Asker, Identity, identified, name_of, principals
from moat.settings import Settings


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a policy, and how the asker meets it, if at all."""

    any_of: tuple[str, ...]
    by: tuple[Chain, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """What decides whether one asker may read one document."""

    source: str
    key: str
    asker: str
    state: str  # of the document: visible, masked, erased, not visible …
    refused: str | None  # why the asker is refused altogether
    layers: tuple[Layer, ...]  # the asker must meet every one
    deny: tuple[Chain, ...]  # chains to denied principals; deny wins over the layers
    readable: bool  # as the second look decides

    @property
    def reason(self) -> str:
        """The deciding reason, in words."""
        if self.refused:
            return self.refused
        if self.deny:
            return f"denied: {' → '.join(self.deny[0])}"
        if not self.layers:
            return "who may read it is unknown"
        for layer in self.layers:
            if not layer.by:
                return f"in none of {', '.join(layer.any_of)}" if layer.any_of else "nobody may read it"
        if not self.readable:
            return "the policy lets them in; the document is not to be seen by anybody"
        return "; ".join(" → ".join(layer.by[0]) for layer in self.layers)


def why(ledger: Ledger, subject: str | tuple[str, str], asker: Asker, settings: Settings) -> Why:
    """Explain which rule lets an asker read a document, or keeps it from them.

    For operators only, because it reveals documents that the asker may not see.

    Args:
        ledger: The tenant's ledger.
        subject: A chunk's id, or (source, key) of a document.
        asker: Who asks: a principal, a `Service` or a `Bearer`.
        settings: Settings that a JWT is verified with.

    Returns:
        The policy's layers with the asker's chains of groups, and whether they may read.

    Raises:
        AskedWrongly: The ledger never saw the subject.
    """
    source, key = _named(ledger, subject)
    story = explain(ledger, source, key)
    if story is None:
        raise AskedWrongly(
            f"the ledger never saw {key!r} of {source}: the source has not listed it, or its key is another"
        )
    ids = [one["id"] for one in story.chunks if not isinstance(subject, str) or one["id"] == subject.lower()]
    refused, who = None, Identity(name_of(asker), ())
    with ledger.read() as connection:
        mine: frozenset[str] = frozenset()
        try:
            from moat.search.jwt import Verifier  # brings httpx and cryptography, which a story alone has no use for

            who = identified(asker, Verifier(settings))
            mine = principals(connection, Expansions(ledger, 0), who)
        except (AccessUnknown, TokenRefused, DirectoryStale, TooManyPrincipals) as error:
            refused = str(error)
        body = _policy(connection, ledger.tenant, source, key)
        paths = chains(connection, ledger.tenant, who.principals) if mine else {}
        readable = bool(second_look(connection, ledger.tenant, mine, ids)) if mine else False
    layers = tuple(Layer(tuple(sorted(layer)), _by(layer, paths)) for layer in body.layers) if body else ()
    deny = _by(body.deny, paths) if body else ()
    found = Why(
        source=source,
        key=key,
        asker=who.name,
        state=story.state,
        refused=refused,
        layers=layers,
        deny=deny,
        readable=readable,
    )
    if readable and (refused or deny or not layers or not all(layer.by for layer in layers)):
        raise FatalError(
            f"{source} {key}: the second look lets {who.name} in, the policy does not; report this as a defect"
        )
    return found


def _by(any_of: frozenset[str], paths: dict[str, Chain]) -> tuple[Chain, ...]:
    """Chains of groups that lead the asker to these principals, shortest first."""
    ways = [paths[principal] for principal in any_of if principal in paths]
    if PUBLIC in any_of and paths:
        ways.append((min(paths.values(), key=len)[0], "everyone who is known"))
    return tuple(sorted(ways, key=lambda chain: (len(chain), chain)))


def _named(ledger: Ledger, subject: str | tuple[str, str]) -> tuple[str, str]:
    """Source and key of the subject. Raises AskedWrongly for an unknown chunk."""
    if not isinstance(subject, str):
        return subject
    query = (
        select(document.c.source, document.c.key)
        .join(chunk, chunk.c.document_id == document.c.id)
        .where(document.c.tenant == ledger.tenant, chunk.c.id == subject.lower())
    )
    with ledger.read() as connection:
        row = connection.execute(query).first() if is_id(subject) else None
    if row is None:
        raise AskedWrongly(f"the ledger has no chunk {subject}: `moat explain SOURCE KEY` lists a document's")
    return row.source, row.key


def _policy(connection: Connection, tenant: str, source: str, key: str) -> Policy | None:
    query = (
        select(policy.c.body)
        .join(document, document.c.policy == policy.c.digest)
        .where(document.c.tenant == tenant, document.c.source == source, document.c.key == key)
    )
    body = connection.scalar(query)
    return Policy.from_text(body) if body else None
