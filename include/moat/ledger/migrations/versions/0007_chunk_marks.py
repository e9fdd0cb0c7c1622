"""marks of chunks, by which the same text is found in another document

Revision: 0007, after 0006
"""

import sqlalchemy as sa
from alembic import op

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None

WINDOW = 2_000


def upgrade() -> None:
    op.add_column('chunk', sa.Column('mark', sa.BigInteger(), nullable=True))
    _mark_chunks()
    op.create_index(op.f('ix_chunk_mark'), 'chunk', ['mark'], unique=False)


def downgrade() -> None:
    op.drop_index(op.f('ix_chunk_mark'), table_name='chunk')
    op.drop_column('chunk', 'mark')


def _mark_chunks() -> None:
    """Mark the chunks that are there, a window at a time: each text is read once."""
    from moat.shingles import mark

    connection, last = op.get_bind(), None
    chunk = sa.table('chunk', sa.column('id', sa.Uuid(as_uuid=False)), sa.column('text', sa.Text), sa.column('mark', sa.BigInteger))
    query = sa.select(chunk.c.id, chunk.c.text).order_by(chunk.c.id).limit(WINDOW)
    change = sa.update(chunk).where(chunk.c.id == sa.bindparam('of')).values(mark=sa.bindparam('now'))
    while rows := connection.execute(query.where(chunk.c.id > last) if last else query).all():
        connection.execute(change, [{'of': id_, 'now': mark(text)} for id_, text in rows])
        last = rows[-1][0]
