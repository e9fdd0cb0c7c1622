"""whether a check had anything to judge

Revision: 0014, after 0013
"""

import sqlalchemy as sa
from alembic import op

revision = '0014'
down_revision = '0013'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('check_result', sa.Column('judged', sa.Boolean(), nullable=False, server_default=sa.true()))


def downgrade() -> None:
    with op.batch_alter_table('check_result') as batch:
        batch.drop_column('judged')
