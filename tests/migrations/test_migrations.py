"""The migrations make exactly the tables that the code believes in, and take no rows along."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlmodel import select

from workers import bootstrap
from workers.bootstrap import MIGRATIONS, migrate
from workers.db import Database
from workers.errors import SetupProblem
from workers.tables import Dataset, Upload, metadata

NEXT = '''"""a later revision"""
from alembic import op
import sqlalchemy as sa
revision = "later"
down_revision = {head!r}
branch_labels = depends_on = None


def upgrade():
    with op.batch_alter_table("upload", recreate="{recreate}") as batch:
        batch.add_column(sa.Column("checked_by", sa.String(), nullable=False, server_default=""))
    {more}
'''


@pytest.fixture
def later(monkeypatch, tmp_path):
    """Adds a revision to the project's own, in a copy of the folder."""

    def add(recreate="auto", more="pass"):
        import shutil

        folder = tmp_path / "migrations"
        shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
        head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
        (folder / "versions" / "9999_later.py").write_text(NEXT.format(head=head, recreate=recreate, more=more))
        monkeypatch.setattr(bootstrap, "MIGRATIONS", folder)

    return add


def fill(db):
    with db.write() as session:
        upload = Upload(team_id="T1", slack_file_id="F1", message_ts="1.1", name="a")
        session.add(upload)
        session.flush()
        session.add(
            Dataset(
                team_id="T1", name="a", sha256="a", storage_key="a", format="f", method="sft", examples=1,
                trainable=True, upload_id=upload.id,
            )
        )  # fmt: skip


def test_the_migrated_tables_are_the_coded_ones(db):
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "render_as_batch": True})
        assert compare_metadata(context, metadata) == []


def test_there_is_one_head():
    assert len(ScriptDirectory(str(MIGRATIONS)).get_heads()) == 1


def test_migrating_again_changes_nothing(db):
    fill(db)
    migrate(db)
    with db.read() as session:
        assert len(session.exec(select(Dataset)).all()) == 1


def test_a_rebuilt_parent_keeps_its_children(db, later):
    fill(db)
    later(recreate="always" if db.is_sqlite else "auto")
    migrate(db)
    with db.read() as session:
        assert session.scalar(text("SELECT checked_by FROM upload")) == ""
        assert session.exec(select(Dataset)).one().upload_id == session.exec(select(Upload)).one().id
    if db.is_sqlite:  # and references are watched again
        with db.write() as session:
            assert session.scalar(text("PRAGMA foreign_keys")) == 1


def test_a_migration_that_breaks_changes_nothing(db, later):
    fill(db)
    later(more="op.execute('SELECT * FROM nowhere')")
    with pytest.raises(Exception, match="nowhere"):
        migrate(db)
    with db.engine.connect() as connection:
        assert MigrationContext.configure(connection).get_current_revision() != "later"
        columns = connection.execute(text("SELECT * FROM upload")).keys()
    assert "checked_by" not in columns


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_migration_that_would_orphan_rows_is_refused(db, later):
    fill(db)
    later(more="op.execute('DELETE FROM upload')")
    with pytest.raises(SetupProblem, match="Nothing was changed"):
        migrate(db)
    with db.read() as session:
        assert len(session.exec(select(Upload)).all()) == 1


def test_the_next_revision_of_unchanged_tables_is_empty(tmp_path, monkeypatch, later):
    import shutil

    folder = tmp_path / "project" / "migrations"
    shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(bootstrap, "MIGRATIONS", folder)
    before = set((folder / "versions").glob("*.py"))
    bootstrap.write_revision("nothing changes")
    (new,) = set((folder / "versions").glob("*.py")) - before
    assert new.name == f"{len(before) + 1:04d}_nothing_changes.py"
    assert "op." not in new.read_text()
    db = Database(f"sqlite:///{tmp_path / 'fresh.db'}")
    migrate(db)
    db.dispose()


def test_reports_of_the_first_release_stay_in_their_threads(tmp_path):
    from alembic import command
    from alembic.config import Config

    db = Database(f"sqlite:///{tmp_path / 'old.db'}")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with db.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(
            text(
                "INSERT INTO upload (team_id, enterprise_id, channel_id, creator_id, created_at, slack_file_id, "
                "message_ts, name, size, status, storage_key, problem) "
                "VALUES ('T1', '', 'C1', 'U1', 1.0, 'F1', '1.1', 'a', 1, 'CHECKED', 'k', '')"
            )
        )
    migrate(db)
    with db.read() as session:
        row = session.exec(select(Upload)).one()
    db.dispose()
    assert (row.thread_ts, row.mapping, row.progress, row.checks) == ("1.1", {}, {}, 0)
