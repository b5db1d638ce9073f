"""What errors of the database say, and what they keep to themselves."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from workers.tables import InboundEvent


def test_an_error_does_not_print_what_was_to_be_written(db):
    def write():
        with db.write() as session:
            session.add(InboundEvent(key="canary-1", team_id="canary-2"))

    write()
    with pytest.raises(DBAPIError) as caught:
        write()
    told = str(caught.value).replace(str(caught.value.orig), "")  # PostgreSQL itself names the key that is there
    assert "INSERT INTO inboundevent" in told
    assert "canary" not in told


def test_an_error_of_a_reader_does_not_print_what_was_asked_for(db):
    with pytest.raises(DBAPIError) as caught, db.read() as session:
        session.execute(text("SELECT nothing FROM nowhere WHERE a = :a"), {"a": "canary"})
    assert "canary" not in str(caught.value)
