"""versions, mappings, sharing and deletion of datasets; threads as datasets, with consent

Revision: 0002, after 0001
"""

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.create_table('threadimport',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('team_id', sa.String(), nullable=False),
    sa.Column('enterprise_id', sa.String(), nullable=False),
    sa.Column('channel_id', sa.String(), nullable=False),
    sa.Column('creator_id', sa.String(), nullable=False),
    sa.Column('created_at', sa.Float(), nullable=False),
    sa.Column('request_key', sa.String(), nullable=False),
    sa.Column('thread_ts', sa.String(), nullable=False),
    sa.Column('status', sa.Enum('READING', 'ASKING', 'WRITING', 'DONE', 'STOPPED', name='importstatus'), nullable=False),
    sa.Column('cut', sa.Boolean(), nullable=False),
    sa.Column('problem', sa.Text(), nullable=False),
    sa.Column('upload_id', sa.Integer(), nullable=True),
    sa.ForeignKeyConstraint(['upload_id'], ['upload.id'], name=op.f('fk_threadimport_upload_id_upload')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_threadimport')),
    sa.UniqueConstraint('request_key', name=op.f('uq_threadimport_request_key'))
    )
    with op.batch_alter_table('threadimport', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_threadimport_channel_id'), ['channel_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_threadimport_team_id'), ['team_id'], unique=False)

    op.create_table('consent',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('import_id', sa.Integer(), nullable=False),
    sa.Column('user_id', sa.String(), nullable=False),
    sa.Column('conversation_id', sa.String(), nullable=False),
    sa.Column('messages', sa.Integer(), nullable=False),
    sa.Column('answer', sa.Enum('ASKED', 'YES', 'NO', name='consentanswer'), nullable=False),
    sa.Column('asked_at', sa.Float(), nullable=False),
    sa.Column('answered_at', sa.Float(), nullable=True),
    sa.ForeignKeyConstraint(['import_id'], ['threadimport.id'], name=op.f('fk_consent_import_id_threadimport')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_consent')),
    sa.UniqueConstraint('import_id', 'user_id', name=op.f('uq_consent_import_id'))
    )
    with op.batch_alter_table('consent', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_consent_import_id'), ['import_id'], unique=False)

    op.create_table('derivation',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('team_id', sa.String(), nullable=False),
    sa.Column('enterprise_id', sa.String(), nullable=False),
    sa.Column('channel_id', sa.String(), nullable=False),
    sa.Column('creator_id', sa.String(), nullable=False),
    sa.Column('created_at', sa.Float(), nullable=False),
    sa.Column('dataset_id', sa.Integer(), nullable=False),
    sa.Column('kind', sa.Enum('FIXES', 'CONVERSION', 'COMPARISON', name='derivationkind'), nullable=False),
    sa.Column('request_key', sa.String(), nullable=False),
    sa.Column('choice', sa.JSON(), nullable=False),
    sa.Column('status', sa.Enum('ASKED', 'DONE', 'REFUSED', name='derivationstatus'), nullable=False),
    sa.Column('problem', sa.Text(), nullable=False),
    sa.Column('storage_key', sa.String(), nullable=False),
    sa.Column('result_id', sa.Integer(), nullable=True),
    sa.Column('outcome', sa.JSON(), nullable=False),
    sa.ForeignKeyConstraint(['dataset_id'], ['dataset.id'], name=op.f('fk_derivation_dataset_id_dataset')),
    sa.ForeignKeyConstraint(['result_id'], ['dataset.id'], name=op.f('fk_derivation_result_id_dataset')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_derivation')),
    sa.UniqueConstraint('request_key', name=op.f('uq_derivation_request_key'))
    )
    with op.batch_alter_table('derivation', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_derivation_channel_id'), ['channel_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_derivation_dataset_id'), ['dataset_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_derivation_team_id'), ['team_id'], unique=False)

    with op.batch_alter_table('dataset', schema=None) as batch_op:
        batch_op.add_column(sa.Column('parent_id', sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column('thread_ts', sa.String(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column('mapping', sa.JSON(), nullable=False, server_default=sa.text("'{}'")))
        batch_op.add_column(sa.Column('changes', sa.JSON(), nullable=False, server_default=sa.text("'{}'")))
        batch_op.add_column(sa.Column('shared', sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(sa.Column('deleted_at', sa.Float(), nullable=True))
        batch_op.add_column(sa.Column('deleted_by', sa.String(), nullable=False, server_default=""))
        batch_op.create_index(batch_op.f('ix_dataset_deleted_at'), ['deleted_at'], unique=False)
        batch_op.create_foreign_key(batch_op.f('fk_dataset_parent_id_dataset'), 'dataset', ['parent_id'], ['id'])

    with op.batch_alter_table('upload', schema=None) as batch_op:
        batch_op.add_column(sa.Column('thread_ts', sa.String(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column('source', sa.String(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column('meant_for', sa.String(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column('mapping', sa.JSON(), nullable=False, server_default=sa.text("'{}'")))
        batch_op.add_column(sa.Column('checks', sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column('progress', sa.JSON(), nullable=False, server_default=sa.text("'{}'")))

    # Until now every report stood in the thread of its own message.
    op.execute("UPDATE upload SET thread_ts = message_ts")
    op.execute("UPDATE dataset SET thread_ts = message_ts")
