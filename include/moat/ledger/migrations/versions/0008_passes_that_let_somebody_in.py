"""passes of access sync that let somebody in, and documents whose next widening waits

Revision: 0008, after 0007
"""

import sqlalchemy as sa
from alembic import op

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    id_type = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
    op.create_table('access_pass',
    sa.Column('id', id_type, autoincrement=True, nullable=False),
    sa.Column('tenant', sa.String(length=32), nullable=False),
    sa.Column('source', sa.String(length=64), nullable=False),
    sa.Column('by', sa.String(length=512), nullable=False),
    sa.Column('at', sa.DateTime(), nullable=False),
    sa.Column('reverted_at', sa.DateTime(), nullable=True),
    sa.Column('reverted_by', sa.String(length=512), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_access_pass')),
    sqlite_autoincrement=True
    )
    op.create_index(op.f('ix_access_pass_tenant_source'), 'access_pass', ['tenant', 'source'])
    op.create_table('pass_document',
    sa.Column('pass_id', id_type, nullable=False),
    sa.Column('document_id', sa.Uuid(as_uuid=False), nullable=False),
    sa.Column('was', sa.String(length=32), nullable=True),
    sa.Column('now', sa.String(length=32), nullable=False),
    sa.Column('from_version', sa.Integer(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['document_id'], ['document.id'], name=op.f('fk_pass_document_document_id_document')),
    sa.ForeignKeyConstraint(['pass_id'], ['access_pass.id'], name=op.f('fk_pass_document_pass_id_access_pass')),
    sa.ForeignKeyConstraint(['was'], ['policy.digest'], name=op.f('fk_pass_document_was_policy')),
    sa.PrimaryKeyConstraint('pass_id', 'document_id', name=op.f('pk_pass_document'))
    )
    op.create_index(op.f('ix_pass_document_document_id'), 'pass_document', ['document_id'])
    op.add_column('document', sa.Column('kept_back', sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column('document', 'kept_back')
    op.drop_table('pass_document')
    op.drop_table('access_pass')
