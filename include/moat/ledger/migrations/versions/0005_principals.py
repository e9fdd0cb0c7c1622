"""principals that pass for nobody else, and ids that nobody can guess

Revision: 0005, after 0004
"""

import json

import sqlalchemy as sa
from alembic import op

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('id_secret',
    sa.Column('tenant', sa.String(length=32), nullable=False),
    sa.Column('value', sa.String(length=64), nullable=False),
    sa.PrimaryKeyConstraint('tenant', name=op.f('pk_id_secret'))
    )
    # Who has loads has given ids, which stay as they are.
    op.execute(
        "INSERT INTO id_secret (tenant, value) SELECT tenant, '' FROM document UNION SELECT tenant, '' FROM load"
    )
    _mask_unreadable_policies()
    _rename_members()


def downgrade() -> None:
    op.drop_table('id_secret')


def _canonical(principal: str) -> str | None:
    """The form that a principal has from now on; None where it is refused."""
    from moat.access.policy import PUBLIC, canonical
    from moat.errors import AccessUnknown

    try:
        return principal if principal == PUBLIC else canonical(principal)
    except AccessUnknown:
        return None


def _mask_unreadable_policies() -> None:
    """Mask the documents of policies with a principal that is written otherwise now, until their access is read."""
    connection = op.get_bind()
    for digest, body in connection.execute(sa.text('SELECT digest, body FROM policy')).all():
        policy = json.loads(body)
        principals = {p for layer in (*policy.get('layers', ()), policy.get('deny', ())) for p in layer}
        if all(_canonical(p) == p for p in principals):
            continue
        for statement in (
            'UPDATE document SET policy = NULL, access_version = access_version + 1 WHERE policy = :digest',
            'DELETE FROM access_change WHERE policy = :digest',
            'DELETE FROM hold_document WHERE policy = :digest',
            'DELETE FROM policy_entry WHERE digest = :digest',
            'DELETE FROM policy WHERE digest = :digest',
        ):
            connection.execute(sa.text(statement), {'digest': digest})


def _rename_members() -> None:
    """Give members and groups the form that their askers have. A name that is refused is nobody's, and stays."""
    connection = op.get_bind()
    rows = connection.execute(sa.text('SELECT tenant, directory, "group", member FROM member')).all()
    for tenant, directory, *pair in rows:
        now = [_canonical(p) or p for p in pair]
        if now == pair:
            continue
        old = {'tenant': tenant, 'directory': directory, 'g': pair[0], 'm': pair[1]}
        new = {'tenant': tenant, 'directory': directory, 'g': now[0], 'm': now[1]}
        where = ' WHERE tenant = :tenant AND directory = :directory AND "group" = :g AND member = :m'
        connection.execute(sa.text('DELETE FROM member' + where), old)
        if connection.execute(sa.text('SELECT 1 FROM member' + where), new).first() is None:
            connection.execute(
                sa.text('INSERT INTO member (tenant, directory, "group", member) VALUES (:tenant, :directory, :g, :m)'),
                new,
            )
