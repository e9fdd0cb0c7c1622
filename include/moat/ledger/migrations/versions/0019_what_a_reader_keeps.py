"""what a reader keeps from one load to the next

Revision: 0019, after 0018
"""

import sqlalchemy as sa
from alembic import op

revision = '0019'
down_revision = '0018'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('load', sa.Column('reader_state', sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column('load', 'reader_state')
