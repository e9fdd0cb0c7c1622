"""The audit: append-only rows, each with the hash of the one before. No document text goes in."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from include.ids import joined, text_hash
from include.ledger import add
from include.ledger.tables import audit, audit_head


def record(
    connection: Connection, tenant: str, actor: str, action: str, subject: str, detail: Mapping[str, Any]
) -> None:
    """Append one row, in the transaction of what it tells about."""
    add(connection, audit_head, [{"tenant": tenant, "hash": ""}])
    head = select(audit_head.c.hash).where(audit_head.c.tenant == tenant).with_for_update()
    previous = connection.execute(head).scalar_one()
    at = datetime.now(UTC)
    body = json.dumps(dict(detail), sort_keys=True, ensure_ascii=False, default=str)
    row_hash = text_hash(joined(previous, tenant, at.isoformat(), actor, action, subject, body))
    connection.execute(
        insert(audit).values(
            tenant=tenant,
            at=at,
            actor=actor,
            action=action,
            subject=subject,
            detail=json.loads(body),
            previous=previous,
            hash=row_hash,
        )
    )
    connection.execute(update(audit_head).where(audit_head.c.tenant == tenant).values(hash=row_hash))
