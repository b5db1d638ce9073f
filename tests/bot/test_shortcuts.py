""" "Use as training data" on messages that the bot may not read: what to do is said, and nothing is lost."""

import json

import pytest
from sqlmodel import select

from bot import notifier, transcript
from bot.manifest import SHORTCUTS
from bot.sandbox.driver import Person
from workers import announcements, consents
from workers.jobs import runner
from workers.rights import Actor
from workers.tables import Announcement, AuditEntry, ImportStatus, Task, ThreadImport

AWAY, HERE = "#planning", "#finetuning"
pytestmark = [
    pytest.mark.parametrize("sandbox", [{"delivery": "http", "shortcuts": SHORTCUTS}], indirect=True),
    pytest.mark.parametrize("db", ["sqlite"], indirect=True),
]


@pytest.fixture
def use(person):
    """Use the shortcut on a message; returns the message's ts."""

    def on(channel, text="How do I reset it?", who=person):
        ts = who.say(channel, text)
        message = next(one for one in who.thread(channel, ts) if one["ts"] == ts)
        assert who.shortcut("use_thread", message)["ok"]
        return ts

    return on


@pytest.fixture
def window(person, eventually):
    """The window that is open, once it says this."""

    def look(words):
        eventually(lambda: any(words in said(one) for one in person.state()["views"]))
        return person.state()["views"][-1]

    return look


def said(shown):
    return "\n".join(transcript.lines({"blocks": shown["blocks"]}))


def recorded(context):
    with context.db.read() as session:
        kinds = (ThreadImport, Task, Announcement)
        return [row for kind in kinds for row in session.exec(select(kind)).all()]


def told(person, channel):
    return [said(one) if one.get("blocks") else one["text"] for one in person.messages(channel)]


def test_where_the_bot_is_no_member_a_window_says_to_invite_it_and_nothing_is_recorded(
    bot, context, person, use, window
):
    use(AWAY)
    view = window("I am not in")
    assert "/invite @Finetune Bot" in said(view)
    assert "Nothing was recorded, and nobody was asked." in said(view)
    assert recorded(context) == []
    assert not any("are asked" in one for one in told(person, AWAY))


def test_once_invited_try_again_goes_on_with_the_same_thread(bot, context, person, use, window):
    ts = use(AWAY)
    view = window("I am not in")
    assert person.submit(view, {})["ok"]
    assert "Tried again" in said(window("it is still so"))
    assert recorded(context) == []
    assert person.command(AWAY, "/invite", "@Finetune Bot")["ok"]
    assert person.submit(window("it is still so"), {})["ok"]
    assert "The authors of this thread are asked" in said(window("are asked"))
    with context.db.read() as session:
        made = session.exec(select(ThreadImport)).one()
    assert (made.channel_id, made.thread_ts, made.creator_id) == (person.channel_id(AWAY), ts, person.id)


def test_after_the_invitation_the_shortcut_works_as_ever(bot, context, person, use, window, eventually):
    use(AWAY)
    person.close(window("I am not in"))
    person.command(AWAY, "/invite", "@Finetune Bot")
    use(AWAY)
    eventually(lambda: any("The authors of this thread are asked" in one for one in told(person, AWAY)))
    with context.db.read() as session:
        assert session.exec(select(ThreadImport)).one().status is ImportStatus.READING


@pytest.mark.parametrize(
    ("error", "words", "again"),
    [
        ("not_in_channel", "/invite @Finetune Bot", True),
        ("missing_scope", "an admin to add the scopes", True),
        ("thread_not_found", "The thread is not there any more", False),
    ],
)
def test_what_slack_refuses_is_said_in_the_window(bot, context, person, use, window, error, words, again):
    person.fault(method="conversations.replies", kind="error", error=error)
    use(HERE)
    view = window(words)
    assert bool(view["submit"]) == again
    assert recorded(context) == []


def test_a_slack_that_does_not_say_is_taken_to_let_it_be_read(bot, context, person, use):
    person.fault(method="conversations.replies", kind="ratelimited", retry_after=30)
    ts = use(HERE)
    with context.db.read() as session:
        assert session.exec(select(ThreadImport)).one().thread_ts == ts


def test_a_window_that_comes_too_late_is_said_in_a_message(bot, context, person, use, eventually):
    person.fault(method="views.open", kind="error", error="expired_trigger_id")
    use(AWAY)
    eventually(lambda: any("/invite @Finetune Bot" in one for one in told(person, AWAY)))
    assert recorded(context) == []


def test_guests_are_refused_before_anything_is_looked_up(bot, context, person, sandbox, use, eventually):
    guest = Person(sandbox.url, "Gil")
    use(HERE, who=guest)
    eventually(lambda: any("Guests" in one for one in told(guest, HERE)))
    assert not any(one.get("method") == "conversations.replies" for one in person.journal(kind="call"))
    assert recorded(context) == []


def test_a_bot_that_was_sent_away_meanwhile_tells_the_person_in_private(context, person, client, slack):
    actor = Actor(person.state()["workspace"]["team_id"], person.id, person.channel_id(AWAY))
    ts = person.say(AWAY, "q?")
    with context.db.write() as session:
        consents.start(session, actor, ts, "key")
    with context.db.read() as session:
        task = session.exec(select(Task)).one()
    runner.carry(context, task.id, task.attempt)
    with context.db.write() as session:
        claimed = announcements.take_due(session, notifier.CLAIM_SECONDS)
    for one in claimed:
        notifier.send(context, client, one)
    private = told(person, "@bot")
    assert len(private) == 1
    assert "I am not in that channel" in private[0]
    assert "Invite me there" in private[0]
    assert person.messages(AWAY)[1:] == []
    with context.db.read() as session:
        assert session.exec(select(ThreadImport)).one().status is ImportStatus.STOPPED
        assert [one.verb for one in session.exec(select(AuditEntry)).all()] == ["import_thread"]


def test_slack_is_not_waited_for_longer_than_a_click_may_take(bot, context, person, use):
    person.fault(method="conversations.replies", kind="delay", seconds=4)
    ts = use(HERE)  # it is acked in time
    with context.db.read() as session:
        assert session.exec(select(ThreadImport)).one().thread_ts == ts


def test_the_windows_metadata_names_the_thread_and_nothing_else(bot, person, use, window):
    ts = use(AWAY, "secret words")
    view = window("I am not in")
    assert json.loads(view["private_metadata"]) == {"channel": person.channel_id(AWAY), "thread": ts}
