"""older versions beside newer ones, swaps of directories that let somebody in, and who was answered from what

Revision: 0011, after 0010
"""

import sqlalchemy as sa
from alembic import op

revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None


def upgrade() -> None:
    id_type = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
    op.create_table('older_version',
    sa.Column('older_id', sa.Uuid(as_uuid=False), nullable=False),
    sa.Column('newer_id', sa.Uuid(as_uuid=False), nullable=False),
    sa.Column('load_id', id_type, nullable=False),
    sa.Column('older_hash', sa.String(length=64), nullable=False),
    sa.Column('newer_hash', sa.String(length=64), nullable=False),
    sa.ForeignKeyConstraint(['older_id'], ['document.id'], name=op.f('fk_older_version_older_id_document')),
    sa.ForeignKeyConstraint(['newer_id'], ['document.id'], name=op.f('fk_older_version_newer_id_document')),
    sa.ForeignKeyConstraint(['load_id'], ['load.id'], name=op.f('fk_older_version_load_id_load')),
    sa.PrimaryKeyConstraint('older_id', 'newer_id', 'load_id', name=op.f('pk_older_version'))
    )
    op.create_index(op.f('ix_older_version_newer_id'), 'older_version', ['newer_id'])
    op.add_column('source', sa.Column('versions', sa.String(length=8), nullable=True))
    op.add_column('access_pass', sa.Column('kind', sa.String(length=16), nullable=False, server_default='access'))
    op.create_table('pass_member',
    sa.Column('pass_id', id_type, nullable=False),
    sa.Column('group', sa.String(length=512), nullable=False),
    sa.Column('member', sa.String(length=512), nullable=False),
    sa.Column('kept_out', sa.Boolean(), nullable=False, server_default=sa.false()),
    sa.ForeignKeyConstraint(['pass_id'], ['access_pass.id'], name=op.f('fk_pass_member_pass_id_access_pass')),
    sa.PrimaryKeyConstraint('pass_id', 'group', 'member', name=op.f('pk_pass_member'))
    )
    op.create_table('answered',
    sa.Column('document_id', sa.Uuid(as_uuid=False), nullable=False),
    sa.Column('asker', sa.String(length=512), nullable=False),
    sa.Column('day', sa.String(length=10), nullable=False),
    sa.Column('first_at', sa.DateTime(), nullable=False),
    sa.Column('last_at', sa.DateTime(), nullable=False),
    sa.Column('n', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['document_id'], ['document.id'], name=op.f('fk_answered_document_id_document')),
    sa.PrimaryKeyConstraint('document_id', 'asker', 'day', name=op.f('pk_answered'))
    )
    op.create_index(op.f('ix_answered_day'), 'answered', ['day'])


def downgrade() -> None:
    op.drop_table('answered')
    op.drop_table('pass_member')
    op.drop_column('access_pass', 'kind')
    op.drop_column('source', 'versions')
    op.drop_table('older_version')
