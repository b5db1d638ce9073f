"""What Alembic runs. Upgrading is `python -m workers prepare`; a new step, from the tables as they are now:

    python -m workers revision "what changes"

The caller hands over an open connection (`config.attributes["connection"]`); see `workers.bootstrap`.
"""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlmodel.sql.sqltypes import AutoString

from workers.tables import metadata


def render_item(kind: str, item: Any, _autogen: AutogenContext) -> str | Literal[False]:
    """Write SQLModel's string type as SQLAlchemy's own, so that revisions depend on nothing else."""
    if kind == "type" and isinstance(item, AutoString):
        return f"sa.String(length={item.length})" if item.length else "sa.String()"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    render_item=render_item,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
