"""what askers say of passages that they were answered with

Revision: 0017, after 0016
"""

import sqlalchemy as sa
from alembic import op

revision = '0017'
down_revision = '0016'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('feedback',
    sa.Column('document_id', sa.Uuid(as_uuid=False), nullable=False),
    sa.Column('chunk_id', sa.Uuid(as_uuid=False), nullable=False),
    sa.Column('asker', sa.String(length=512), nullable=False),
    sa.Column('at', sa.DateTime(), nullable=False),
    sa.Column('verdict', sa.String(length=8), nullable=False),
    sa.Column('why', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['document_id'], ['document.id'], name=op.f('fk_feedback_document_id_document')),
    sa.PrimaryKeyConstraint('document_id', 'chunk_id', 'asker', name=op.f('pk_feedback'))
    )
    op.create_index(op.f('ix_feedback_at'), 'feedback', ['at'])


def downgrade() -> None:
    op.drop_table('feedback')
