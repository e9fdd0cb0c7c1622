"""after which start of Weaviate a source was last compared with it

Revision: 0016, after 0015
"""

import sqlalchemy as sa
from alembic import op

revision = '0016'
down_revision = '0015'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('source', sa.Column('index_started', sa.String(length=256), nullable=True))


def downgrade() -> None:
    op.drop_column('source', 'index_started')
