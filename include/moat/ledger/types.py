"""Types of the ledger's columns."""

from datetime import UTC, datetime

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, TypeDecorator, Uuid


class Moment(TypeDecorator[datetime]):
    """A UTC time that keeps its time zone (SQLite stores none)."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC).replace(tzinfo=None) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value else None


Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite auto-increments only INTEGER
Guid = Uuid(as_uuid=False)
