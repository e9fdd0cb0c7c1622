"""Alembic's entry: migrations run on the connection that `Ledger.migrate` hands over."""

from alembic import context

from moat.ledger.every_table import metadata

connection = context.config.attributes.get("connection")
if connection is None:
    raise RuntimeError("migrations run through `moat migrate`, which knows the ledger's URL")
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
