"""Vectors by the text that they are of and the model that made them: a text is embedded once."""

from collections.abc import Iterable, Mapping

from sqlalchemy import delete, select

from moat.batching import windows
from moat.ledger import Ledger, add
from moat.ledger.tables import chunk, embedding


def vectors(ledger: Ledger, model: str, hashes: Iterable[str]) -> dict[str, bytes]:
    """The vectors that the ledger has of these texts, by text hash; little-endian float32."""
    found: dict[str, bytes] = {}
    with ledger.read() as connection:
        for window in windows(dict.fromkeys(hashes)):
            query = select(embedding.c.text_hash, embedding.c.vector).where(
                embedding.c.model == model, embedding.c.text_hash.in_(window)
            )
            found.update((row.text_hash, row.vector) for row in connection.execute(query))
    return found


def there(ledger: Ledger, model: str, hashes: Iterable[str]) -> set[str]:
    """Which of these texts the model has embedded already."""
    found: set[str] = set()
    with ledger.read() as connection:
        for window in windows(dict.fromkeys(hashes)):
            query = select(embedding.c.text_hash).where(embedding.c.model == model, embedding.c.text_hash.in_(window))
            found.update(connection.scalars(query))
    return found


def keep(ledger: Ledger, model: str, made: Mapping[str, bytes]) -> None:
    """Write vectors by text hash; one that stands already stays as it is."""
    with ledger.write() as connection:
        for window in windows(made):
            add(connection, embedding, [{"model": model, "text_hash": h, "vector": made[h]} for h in window])


def forget(ledger: Ledger, model: str, hashes: Iterable[str]) -> None:
    """Let texts be embedded anew whose vectors were found wrong, but for those that some load has written already."""
    written = select(chunk.c.id).where(chunk.c.text_hash == embedding.c.text_hash).exists()
    for window in windows(dict.fromkeys(hashes)):
        with ledger.write() as connection:
            connection.execute(
                delete(embedding).where(embedding.c.model == model, embedding.c.text_hash.in_(window), ~written)
            )
