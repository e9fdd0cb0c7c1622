"""loads that a person took back and wants to be asked about

Revision: 0013, after 0012
"""

import sqlalchemy as sa
from alembic import op

revision = '0013'
down_revision = '0012'
branch_labels = None
depends_on = None


def upgrade() -> None:
    id_type = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
    op.add_column('source', sa.Column('rolled_back', id_type, nullable=True))


def downgrade() -> None:
    op.drop_column('source', 'rolled_back')
