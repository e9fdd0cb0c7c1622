"""words that each document kept

Revision: 0004, after 0003
"""

import sqlalchemy as sa
from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('revision', schema=None) as batch_op:
        batch_op.add_column(sa.Column('n_words', sa.Integer(), server_default='0', nullable=False))
        batch_op.add_column(sa.Column('n_missing', sa.Integer(), server_default='0', nullable=False))
        batch_op.add_column(sa.Column('words', sa.JSON(), server_default='{}', nullable=False))


def downgrade() -> None:
    with op.batch_alter_table('revision', schema=None) as batch_op:
        batch_op.drop_column('words')
        batch_op.drop_column('n_missing')
        batch_op.drop_column('n_words')
