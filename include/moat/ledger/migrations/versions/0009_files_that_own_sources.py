"""the DAG file that a source belongs to

Revision: 0009, after 0008
"""

import sqlalchemy as sa
from alembic import op

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('source', sa.Column('declared_in', sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column('source', 'declared_in')
