"""where documents of golden questions went

Revision: 0010, after 0009
"""

import sqlalchemy as sa
from alembic import op

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None


def upgrade() -> None:
    id_type = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
    op.create_table('moved_document',
    sa.Column('document_id', sa.Uuid(as_uuid=False), nullable=False),
    sa.Column('to_id', sa.Uuid(as_uuid=False), nullable=False),
    sa.Column('load_id', id_type, nullable=False),
    sa.ForeignKeyConstraint(['document_id'], ['document.id'], name=op.f('fk_moved_document_document_id_document')),
    sa.ForeignKeyConstraint(['load_id'], ['load.id'], name=op.f('fk_moved_document_load_id_load')),
    sa.ForeignKeyConstraint(['to_id'], ['document.id'], name=op.f('fk_moved_document_to_id_document')),
    sa.PrimaryKeyConstraint('document_id', 'to_id', 'load_id', name=op.f('pk_moved_document'))
    )


def downgrade() -> None:
    op.drop_table('moved_document')
