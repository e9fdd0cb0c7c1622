"""Vectors by text hash and model, so that each text is embedded once."""

from collections.abc import Iterable, Mapping

from sqlalchemy import delete, select

from moat.batching import windows
from moat.ledger import Ledger, add
from moat.ledger.tables import chunk, embedding


def vectors(ledger: Ledger, model: str, hashes: Iterable[str]) -> dict[str, bytes]:
    """Stored vectors of these texts, by text hash; little-endian float32."""
    found: dict[str, bytes] = {}
    with ledger.read() as connection:
        for window in windows(dict.fromkeys(hashes)):
            query = select(embedding.c.text_hash, embedding.c.vector).where(
                embedding.c.model == model, embedding.c.text_hash.in_(window)
            )
            found.update((row.text_hash, row.vector) for row in connection.execute(query))
    return found


def there(ledger: Ledger, model: str, hashes: Iterable[str]) -> set[str]:
    """Hashes of the texts that the model has already embedded."""
    found: set[str] = set()
    with ledger.read() as connection:
        for window in windows(dict.fromkeys(hashes)):
            query = select(embedding.c.text_hash).where(embedding.c.model == model, embedding.c.text_hash.in_(window))
            found.update(connection.scalars(query))
    return found


def keep(ledger: Ledger, model: str, made: Mapping[str, bytes]) -> None:
    """Write vectors by text hash; existing ones stay unchanged."""
    with ledger.write() as connection:
        for window in windows(made):
            add(connection, embedding, [{"model": model, "text_hash": h, "vector": made[h]} for h in window])


def forget(ledger: Ledger, model: str, hashes: Iterable[str]) -> None:
    """Delete vectors found wrong, except those that a load has already written."""
    written = select(chunk.c.id).where(chunk.c.text_hash == embedding.c.text_hash).exists()
    for window in windows(dict.fromkeys(hashes)):
        with ledger.write() as connection:
            connection.execute(
                delete(embedding).where(embedding.c.model == model, embedding.c.text_hash.in_(window), ~written)
            )
