"""digests of contents that documents had

Revision: 0006, after 0005
"""

import sqlalchemy as sa
from alembic import op

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('past_content',
    sa.Column('document_id', sa.Uuid(as_uuid=False), nullable=False),
    sa.Column('content_hash', sa.String(length=64), nullable=False),
    sa.Column('at', sa.DateTime(), nullable=False),
    sa.ForeignKeyConstraint(['document_id'], ['document.id'], name=op.f('fk_past_content_document_id_document')),
    sa.PrimaryKeyConstraint('document_id', 'content_hash', name=op.f('pk_past_content'))
    )


def downgrade() -> None:
    op.drop_table('past_content')
