"""what a hit tells beside its text: modified time, language, and a link for people

Revision: 0015, after 0014
"""

import sqlalchemy as sa
from alembic import op

revision = '0015'
down_revision = '0014'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('source', sa.Column('link', sa.Text(), nullable=True))
    op.add_column('revision', sa.Column('modified_at', sa.DateTime(), nullable=True))
    op.add_column('revision', sa.Column('language', sa.String(length=8), nullable=True))
    op.create_index(op.f('ix_revision_modified_at'), 'revision', ['modified_at'])
    op.create_index(op.f('ix_document_tenant_source_policy'), 'document', ['tenant', 'source', 'policy'])


def downgrade() -> None:
    op.drop_index(op.f('ix_document_tenant_source_policy'), table_name='document')
    op.drop_index(op.f('ix_revision_modified_at'), table_name='revision')
    op.drop_column('revision', 'language')
    op.drop_column('revision', 'modified_at')
    op.drop_column('source', 'link')
