"""hosts that train, with what they have

Revision: 0004, after 0003
"""

import sqlalchemy as sa
from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.create_table('traininghost',
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('hardware', sa.JSON(), nullable=False),
    sa.Column('seen_at', sa.Float(), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_traininghost'))
    )

    with op.batch_alter_table('runmetric', schema=None) as batch_op:
        batch_op.add_column(sa.Column('figures', sa.JSON(), nullable=False, server_default=sa.text("'{}'")))


def downgrade() -> None:
    """Go back to the revision before."""
    with op.batch_alter_table('runmetric', schema=None) as batch_op:
        batch_op.drop_column('figures')

    op.drop_table('traininghost')
