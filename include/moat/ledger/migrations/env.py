"""Alembic's entry: migrations run on the connection that `Ledger.migrate` hands over."""

from alembic import context

from moat.ledger import moves, pass_tables, read_tables  # noqa: F401  their tables belong to the metadata
from moat.ledger.tables import metadata

connection = context.config.attributes.get("connection")
if connection is None:
    raise RuntimeError("migrations run through `moat migrate`, which knows the ledger's URL")
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
