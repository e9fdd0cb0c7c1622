"""the rebuild of the index that is under way

Revision: 0020, after 0019
"""

import sqlalchemy as sa
from alembic import op

revision = '0020'
down_revision = '0019'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('rebuild',
    sa.Column('tenant', sa.String(length=32), nullable=False),
    sa.Column('collection', sa.String(length=128), nullable=False),
    sa.Column('run', sa.String(length=255), nullable=False),
    sa.Column('by', sa.String(length=255), nullable=False),
    sa.Column('begun_at', sa.DateTime(), nullable=False),
    sa.Column('lease_until', sa.DateTime(), nullable=False),
    sa.PrimaryKeyConstraint('tenant', name=op.f('pk_rebuild'))
    )


def downgrade() -> None:
    op.drop_table('rebuild')
