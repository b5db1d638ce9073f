"""vendors' credentials, hosted models under lease, checkpoints, job files

Revision: 0003, after 0002
"""

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.create_table('credential',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('team_id', sa.String(), nullable=False),
    sa.Column('enterprise_id', sa.String(), nullable=False),
    sa.Column('channel_id', sa.String(), nullable=False),
    sa.Column('creator_id', sa.String(), nullable=False),
    sa.Column('created_at', sa.Float(), nullable=False),
    sa.Column('provider', sa.String(), nullable=False),
    sa.Column('sealed', sa.Text(), nullable=False),
    sa.Column('shown', sa.JSON(), nullable=False),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('status', sa.Enum('CHECKING', 'WORKING', 'REFUSED', 'UNREACHED', name='credentialstatus'), nullable=False),
    sa.Column('words', sa.String(), nullable=False),
    sa.Column('problem', sa.Text(), nullable=False),
    sa.Column('checked_at', sa.Float(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_credential')),
    sa.UniqueConstraint('team_id', 'provider', name=op.f('uq_credential_team_id'))
    )
    with op.batch_alter_table('credential', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_credential_channel_id'), ['channel_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_credential_team_id'), ['team_id'], unique=False)

    op.create_table('jobfile',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('team_id', sa.String(), nullable=False),
    sa.Column('enterprise_id', sa.String(), nullable=False),
    sa.Column('channel_id', sa.String(), nullable=False),
    sa.Column('creator_id', sa.String(), nullable=False),
    sa.Column('created_at', sa.Float(), nullable=False),
    sa.Column('upload_id', sa.Integer(), nullable=True),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('message_ts', sa.String(), nullable=False),
    sa.Column('thread_ts', sa.String(), nullable=False),
    sa.Column('plan', sa.JSON(), nullable=False),
    sa.Column('notes', sa.JSON(), nullable=False),
    sa.ForeignKeyConstraint(['upload_id'], ['upload.id'], name=op.f('fk_jobfile_upload_id_upload')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_jobfile'))
    )
    with op.batch_alter_table('jobfile', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_jobfile_channel_id'), ['channel_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_jobfile_message_ts'), ['message_ts'], unique=False)
        batch_op.create_index(batch_op.f('ix_jobfile_team_id'), ['team_id'], unique=False)

    op.create_table('plandraft',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('team_id', sa.String(), nullable=False),
    sa.Column('enterprise_id', sa.String(), nullable=False),
    sa.Column('channel_id', sa.String(), nullable=False),
    sa.Column('creator_id', sa.String(), nullable=False),
    sa.Column('created_at', sa.Float(), nullable=False),
    sa.Column('plan', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_plandraft'))
    )
    with op.batch_alter_table('plandraft', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_plandraft_channel_id'), ['channel_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_plandraft_team_id'), ['team_id'], unique=False)

    op.create_table('runcheckpoint',
    sa.Column('run_id', sa.Integer(), nullable=False),
    sa.Column('step', sa.Integer(), nullable=False),
    sa.Column('model', sa.String(), nullable=False),
    sa.Column('loss', sa.Float(), nullable=True),
    sa.Column('validation_loss', sa.Float(), nullable=True),
    sa.Column('accuracy', sa.Float(), nullable=True),
    sa.Column('validation_accuracy', sa.Float(), nullable=True),
    sa.ForeignKeyConstraint(['run_id'], ['run.id'], name=op.f('fk_runcheckpoint_run_id_run')),
    sa.PrimaryKeyConstraint('run_id', 'step', name=op.f('pk_runcheckpoint'))
    )
    op.create_table('hostedmodel',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('team_id', sa.String(), nullable=False),
    sa.Column('enterprise_id', sa.String(), nullable=False),
    sa.Column('channel_id', sa.String(), nullable=False),
    sa.Column('creator_id', sa.String(), nullable=False),
    sa.Column('created_at', sa.Float(), nullable=False),
    sa.Column('run_id', sa.Integer(), nullable=False),
    sa.Column('endpoint_id', sa.Integer(), nullable=True),
    sa.Column('provider', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('model', sa.String(), nullable=False),
    sa.Column('purpose', sa.String(), nullable=False),
    sa.Column('tier', sa.String(), nullable=False),
    sa.Column('capacity', sa.Integer(), nullable=False),
    sa.Column('target', sa.String(), nullable=False),
    sa.Column('status', sa.Enum('ASKED', 'CREATING', 'READY', 'ENDING', 'ENDED', 'FAILED', name='leasestatus'), nullable=False),
    sa.Column('vendor_status', sa.String(), nullable=False),
    sa.Column('problem', sa.Text(), nullable=False),
    sa.Column('price_per_hour', sa.Float(), nullable=True),
    sa.Column('price_words', sa.String(), nullable=False),
    sa.Column('lease_hours', sa.Float(), nullable=False),
    sa.Column('extended', sa.Integer(), nullable=False),
    sa.Column('lives_until', sa.Float(), nullable=True),
    sa.Column('asked_at', sa.Float(), nullable=True),
    sa.Column('ready_at', sa.Float(), nullable=True),
    sa.Column('ends_at', sa.Float(), nullable=True),
    sa.Column('warned_at', sa.Float(), nullable=True),
    sa.Column('used_at', sa.Float(), nullable=True),
    sa.Column('looked_at', sa.Float(), nullable=True),
    sa.Column('ended_at', sa.Float(), nullable=True),
    sa.ForeignKeyConstraint(['endpoint_id'], ['endpoint.id'], name=op.f('fk_hostedmodel_endpoint_id_endpoint')),
    sa.ForeignKeyConstraint(['run_id'], ['run.id'], name=op.f('fk_hostedmodel_run_id_run')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_hostedmodel')),
    sa.UniqueConstraint('team_id', 'provider', 'name', name=op.f('uq_hostedmodel_team_id'))
    )
    with op.batch_alter_table('hostedmodel', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_hostedmodel_channel_id'), ['channel_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_hostedmodel_endpoint_id'), ['endpoint_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_hostedmodel_ends_at'), ['ends_at'], unique=False)
        batch_op.create_index(batch_op.f('ix_hostedmodel_run_id'), ['run_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_hostedmodel_status'), ['status'], unique=False)
        batch_op.create_index(batch_op.f('ix_hostedmodel_team_id'), ['team_id'], unique=False)

    with op.batch_alter_table('upload', schema=None) as batch_op:
        batch_op.add_column(sa.Column('addressed', sa.Boolean(), nullable=False, server_default=sa.true()))

    with op.batch_alter_table('run', schema=None) as batch_op:
        batch_op.add_column(sa.Column('tuned_model', sa.String(), nullable=False, server_default=''))
        batch_op.add_column(sa.Column('rehomed_from_id', sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column('actual', sa.JSON(), nullable=False, server_default='{}'))
        batch_op.create_foreign_key(batch_op.f('fk_run_rehomed_from_id_run'), 'run', ['rehomed_from_id'], ['id'])

    if op.get_context().dialect.name == 'postgresql':  # elsewhere the states are plain text
        op.execute("ALTER TYPE endpointstatus ADD VALUE IF NOT EXISTS 'ASLEEP'")
