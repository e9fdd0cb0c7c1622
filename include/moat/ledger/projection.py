"""What the index must hold according to the ledger: the index is its projection."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, and_, exists, func, or_, select

from moat.access.policy import Policy
from moat.batching import windows
from moat.ledger import Ledger
from moat.ledger.access import live_change
from moat.ledger.documents import promoted, visible
from moat.ledger.former_names import document_ids, first_names
from moat.ledger.loads import LIVE
from moat.ledger.tables import access_change, chunk, document, embedding, load, presence, revision
from moat.ledger.tables import policy as policies
from moat.records import IndexObject, embedded_text


def ids(ledger: Ledger, source: str, keys: Sequence[str]) -> dict[str, str]:
    """Document ids by key, including documents new to the ledger."""
    return dict(zip(keys, document_ids(ledger, source, keys), strict=True))


class Allowed(NamedTuple):
    """Who may read a document, as stored in the index."""

    policy: str | None  # digest; None: unknown, so nobody
    tokens: tuple[str, ...]


def allowed(ledger: Ledger, documents: Sequence[str]) -> dict[str, Allowed]:
    """Access that the index must hold for these documents."""
    query = (
        select(document.c.id, policies.c.digest, policies.c.body)
        .select_from(document)
        .outerjoin(access_change, and_(access_change.c.document_id == document.c.id, live_change()))
        .outerjoin(policies, policies.c.digest == func.coalesce(access_change.c.policy, document.c.policy))
    )
    found: dict[str, Allowed] = {}
    with ledger.read() as connection:
        for window in windows(documents):
            for row in connection.execute(query.where(document.c.id.in_(window))):
                tokens = Policy.from_text(row.body).tokens(ledger.tenant) if row.body else ()
                found[row.id] = Allowed(row.digest, tokens)
    return found


def chunks_of(ledger: Ledger, documents: Sequence[str]) -> dict[str, list[str]]:
    """Ids of documents' chunks that the index may hold."""
    found: dict[str, list[str]] = defaultdict(list)
    query = (
        select(chunk.c.document_id, chunk.c.id)
        .join(presence, presence.c.chunk_id == chunk.c.id)
        .where(or_(visible(presence), exists().where(load.c.id == presence.c.added_in, load.c.state.in_(LIVE))))
        .distinct()
    )
    with ledger.read() as connection:
        for window in windows(documents):
            for row in connection.execute(query.where(chunk.c.document_id.in_(window))):
                found[row.document_id].append(row.id)
    return found


def sources(ledger: Ledger) -> list[str]:
    """Names of all sources with documents in the ledger that were not erased."""
    with ledger.read() as connection:
        mine = (document.c.tenant == ledger.tenant, document.c.erased_at.is_(None))
        return list(connection.scalars(select(document.c.source).where(*mine).distinct()))


def visible_objects(ledger: Ledger, source: str) -> Iterator[IndexObject]:
    """Stream every visible chunk of a source as an index object, without vector.

    Unordered. Leaves out documents whose access a load in progress will change: both forms are valid.
    """
    changing = (
        select(access_change.c.document_id)
        .join(load, load.c.id == access_change.c.load_id)
        .where(load.c.state.in_(LIVE))
    )
    of_now = (visible(presence), visible(revision))
    yield from _objects(ledger, source, *of_now, document.c.id.not_in(changing))


def kept_objects(ledger: Ledger, source: str) -> Iterator[IndexObject]:
    """Stream every chunk of a source that the index keeps, as `visible_objects` does.

    Those are the visible ones, and those that a rollback of the source's newest load makes visible again.
    """
    of_now = (visible(presence), visible(revision))
    before = (promoted(presence.c.added_in), promoted(presence.c.retired_in), promoted(revision.c.added_in))
    again = presence.alias()
    still = exists().where(again.c.chunk_id == chunk.c.id, visible(again))
    yield from _objects(ledger, source, *of_now)
    yield from _objects(ledger, source, *before, revision.c.retired_in == presence.c.retired_in, ~still)


def _objects(ledger: Ledger, source: str, *wanted: ColumnElement[bool]) -> Iterator[IndexObject]:
    """Stream chunks with the revision that they belong to, as index objects without vector, each with today's access."""
    earlier = presence.alias()
    query = (
        select(
            chunk.c.id,
            document.c.id.label("document"),
            document.c.key,
            select(func.min(earlier.c.added_in))
            .where(earlier.c.chunk_id == chunk.c.id, promoted(earlier.c.added_in))
            .scalar_subquery()
            .label("writer"),
            chunk.c.kind,
            revision.c.title,
            chunk.c.heading,
            chunk.c.text,
            revision.c.metadata,
            policies.c.body,
        )
        .select_from(document)
        .join(revision, revision.c.document_id == document.c.id)
        .join(chunk, chunk.c.document_id == document.c.id)
        .join(presence, presence.c.chunk_id == chunk.c.id)
        .outerjoin(policies, policies.c.digest == document.c.policy)
        .where(document.c.tenant == ledger.tenant, document.c.source == source, document.c.erased_at.is_(None), *wanted)
    )
    with ledger.read() as connection:
        first = first_names(connection, ledger.tenant, [source])[0]
        for r in connection.execution_options(yield_per=2_000).execute(query):
            allow = Policy.from_text(r.body).tokens(ledger.tenant) if r.body else ()
            yield IndexObject(
                id=r.id,
                source=first,
                document=r.document,
                key=r.key,
                load=r.writer,
                kind=r.kind,
                title=r.title,
                heading=r.heading,
                text=r.text,
                metadata=tuple(r.metadata),
                allow=allow,
                vector=b"",
            )


def expected(ledger: Ledger, ids: Sequence[str]) -> set[str]:
    """Those of the ids that the index may hold."""
    adder = load.alias()
    held = exists().where(adder.c.id == presence.c.added_in, adder.c.state.in_(("promoted", "rolled back", *LIVE)))
    found: set[str] = set()
    with ledger.read() as connection:
        for window in windows(ids):
            found.update(connection.scalars(select(presence.c.chunk_id).where(presence.c.chunk_id.in_(window), held)))
    return found


class VisibleVector(NamedTuple):
    """A visible chunk's vector, document and coming policy."""

    key: str
    policy: str | None  # digest; None: unknown, so nobody
    vector: bytes


def visible_vectors(ledger: Ledger, source: str, model: str) -> Iterator[VisibleVector]:
    """Stream the vector of every visible chunk of a source, unordered."""
    query = (
        select(document.c.key, func.coalesce(access_change.c.policy, document.c.policy), embedding.c.vector)
        .select_from(document)
        .outerjoin(access_change, and_(access_change.c.document_id == document.c.id, live_change()))
        .join(chunk, chunk.c.document_id == document.c.id)
        .join(presence, and_(presence.c.chunk_id == chunk.c.id, visible(presence)))
        .join(embedding, and_(embedding.c.text_hash == chunk.c.text_hash, embedding.c.model == model))
        .where(document.c.tenant == ledger.tenant, document.c.source == source)
    )
    with ledger.read() as connection:
        for row in connection.execution_options(yield_per=2_000).execute(query):
            yield VisibleVector(*row)


class VisibleText(NamedTuple):
    """A visible text and its document's key and policy."""

    text_hash: str
    key: str


def visible_sample(ledger: Ledger, source: str, n_documents: int, n_texts: int) -> list[VisibleText]:
    """Texts of some visible documents, a few of each; stable while these documents stay."""
    some = (
        select(document.c.id)
        .where(document.c.tenant == ledger.tenant, document.c.source == source)
        .order_by(document.c.id)
        .limit(n_documents)
    )
    query = (
        select(document.c.id, chunk.c.text_hash, document.c.key)
        .join(chunk, chunk.c.document_id == document.c.id)
        .join(presence, and_(presence.c.chunk_id == chunk.c.id, visible(presence)))
    )
    found: dict[str, dict[str, VisibleText]] = defaultdict(dict)
    with ledger.read() as connection:
        for window in windows(connection.scalars(some).all()):
            for row in connection.execute(query.where(document.c.id.in_(window))):
                found[row.id][row.text_hash] = VisibleText(row.text_hash, row.key)
    return [past for of_it in found.values() for _, past in sorted(of_it.items())[:n_texts]]


def embedded_texts(ledger: Ledger, source: str, hashes: Sequence[str]) -> dict[str, str]:
    """Embedded text of some visible chunks, by hash; only for embedding them again."""
    query = (
        select(chunk.c.text_hash, chunk.c.heading, chunk.c.text)
        .join(document, document.c.id == chunk.c.document_id)
        .join(presence, and_(presence.c.chunk_id == chunk.c.id, visible(presence)))
        .where(document.c.tenant == ledger.tenant, document.c.source == source)
    )
    with ledger.read() as connection:
        return {
            row.text_hash: embedded_text(row.heading, row.text)
            for window in windows(hashes)
            for row in connection.execute(query.where(chunk.c.text_hash.in_(window)))
        }


def visible_texts(ledger: Ledger, source: str, documents: Sequence[str]) -> dict[str, list[str]]:
    """Chunk texts of some visible documents, by document id, unordered."""
    query = (
        select(chunk.c.document_id, chunk.c.text)
        .join(document, document.c.id == chunk.c.document_id)
        .join(presence, and_(presence.c.chunk_id == chunk.c.id, visible(presence)))
        .where(document.c.tenant == ledger.tenant, document.c.source == source)
    )
    found: dict[str, list[str]] = defaultdict(list)
    with ledger.read() as connection:
        for window in windows(documents):
            for row in connection.execute(query.where(chunk.c.document_id.in_(window))):
                found[row.document_id].append(row.text)
    return found


class KeptText(NamedTuple):
    """The text of one chunk of a document; `visible` is false of one that a load has replaced."""

    document: str
    text: str
    visible: bool


def kept_texts(ledger: Ledger, documents: Sequence[str]) -> list[KeptText]:
    """Chunk texts of some documents: the visible ones, and those that are kept of an earlier version."""
    query = (
        select(chunk.c.id, chunk.c.document_id, chunk.c.text, visible(presence).label("visible"))
        .join(document, document.c.id == chunk.c.document_id)
        .join(presence, and_(presence.c.chunk_id == chunk.c.id, promoted(presence.c.added_in)))
        .where(document.c.tenant == ledger.tenant)
    )
    found: dict[str, KeptText] = {}  # by chunk: one that moved within its document is there twice
    with ledger.read() as connection:
        for window in windows(documents):
            for row in connection.execute(query.where(chunk.c.document_id.in_(window))):
                shown = bool(row.visible) or (row.id in found and found[row.id].visible)
                found[row.id] = KeptText(row.document_id, row.text, shown)
    return list(found.values())


class VisibleName(NamedTuple):
    """A visible document by its names, with its policy as text and its metadata as "name=value"."""

    id: str
    key: str
    title: str
    policy: str
    metadata: list[str]
    content_hash: str


def visible_names(ledger: Ledger, source: str) -> Iterator[VisibleName]:
    """Stream the names of a source's visible documents whose access is known, unordered."""
    own = (revision.c.title, policies.c.body, revision.c.metadata, revision.c.content_hash)
    query = (
        select(document.c.id, document.c.key, *own)
        .select_from(document)
        .join(revision, and_(revision.c.document_id == document.c.id, visible(revision)))
        .join(policies, policies.c.digest == document.c.policy)
        .where(document.c.tenant == ledger.tenant, document.c.source == source, document.c.erased_at.is_(None))
    )
    with ledger.read() as connection:
        for row in connection.execution_options(yield_per=5_000).execute(query):
            yield VisibleName(*row)


class VisiblePart(NamedTuple):
    """One chunk of a version."""

    kind: str
    heading: str
    text: str


class Version(NamedTuple):
    """A document's visible text in its order, and its metadata as "name=value"."""

    parts: tuple[VisiblePart, ...]
    metadata: tuple[str, ...]


def says_together(ledger: Ledger, source: str, words: Sequence[str]) -> bool:
    """Whether a visible chunk of a source has all of some words, in any case. Reads all of its text."""
    query = (
        select(chunk.c.id)
        .join(document, document.c.id == chunk.c.document_id)
        .join(presence, and_(presence.c.chunk_id == chunk.c.id, visible(presence)))
        .where(document.c.tenant == ledger.tenant, document.c.source == source)
        .where(*(func.lower(chunk.c.text).contains(word.lower(), autoescape=True) for word in words))
        .limit(1)
    )
    with ledger.read() as connection:
        return connection.scalar(query) is not None


def visible_versions(ledger: Ledger, source: str, documents: Sequence[str]) -> dict[str, Version]:
    """The visible version of some documents, by document id."""
    query = (
        select(chunk.c.document_id, chunk.c.kind, chunk.c.heading, chunk.c.text, revision.c.metadata)
        .join(document, document.c.id == chunk.c.document_id)
        .join(presence, and_(presence.c.chunk_id == chunk.c.id, visible(presence)))
        .join(revision, and_(revision.c.document_id == document.c.id, visible(revision)))
        .where(document.c.tenant == ledger.tenant, document.c.source == source)
        .order_by(chunk.c.document_id, presence.c.position)
    )
    parts: dict[str, list[VisiblePart]] = {}
    metadata: dict[str, tuple[str, ...]] = {}
    with ledger.read() as connection:
        for window in windows(documents):
            for row in connection.execute(query.where(chunk.c.document_id.in_(window))):
                parts.setdefault(row.document_id, []).append(VisiblePart(row.kind, row.heading, row.text))
                metadata[row.document_id] = tuple(row.metadata)
    return {id_: Version(tuple(of_it), metadata[id_]) for id_, of_it in parts.items()}
