"""A thread as training data: its authors are asked first, and only the words of those who agree are used.

READING -> ASKING -> WRITING -> DONE, or STOPPED. No words are kept while people are being asked; the thread is read
again when it is known who agreed. No answer within `PATIENCE_SECONDS` counts as no.
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, select

from workers import announcements, tasks, uploads
from workers.errors import NotAllowed, NotFound, RetryLater, UserError
from workers.rights import Actor, Verb, allowed, require
from workers.tables import AuditEntry, Consent, ConsentAnswer, ImportStatus, Owned, Task, ThreadImport
from workers.tasks import Lease

PATIENCE_SECONDS = 3 * 24 * 3600.0
"""How long people are waited for."""
TOO_LATE = {
    ImportStatus.WRITING: "It is too late to answer: the examples are being written with what was answered until now. "
    "To take your words back, ask the person who wanted them, or an admin, to delete the dataset that comes of it.",
    ImportStatus.DONE: "It is too late to answer: the examples are written. To take your words back, ask the person "
    "who wanted them, or an admin, to delete the dataset.",
    ImportStatus.STOPPED: "It is over: the thread was given up, and nobody's words were used.",
}
"""Why an answer is not taken any more."""
OPEN = frozenset({ImportStatus.READING, ImportStatus.ASKING, ImportStatus.WRITING})


@dataclass(frozen=True)
class Author:
    """Somebody who wrote in the thread. One who `may_not` be asked (a guest, an outsider) counts as having said no."""

    user_id: str
    messages: int
    conversation_id: str = ""
    may_not: bool = False


def start(session: Session, actor: Actor, thread_ts: str, key: str) -> ThreadImport:
    """Record that somebody wants this thread. Asking again with the same key changes nothing."""
    require(session, actor, Verb.ATTACH)
    known = session.exec(select(ThreadImport).where(ThreadImport.request_key == key)).one_or_none()
    if known is not None:
        return known
    under_way = select(ThreadImport).where(
        ThreadImport.team_id == actor.team_id,
        ThreadImport.channel_id == actor.channel_id,
        ThreadImport.thread_ts == thread_ts,
        col(ThreadImport.status).in_(OPEN),
    )
    if session.exec(under_way).first() is not None:
        raise UserError("This thread is being made into training data already: see the card in it.")
    made = ThreadImport(
        team_id=actor.team_id,
        enterprise_id=actor.enterprise_id,
        channel_id=actor.channel_id,
        creator_id=actor.user_id,
        request_key=key,
        thread_ts=thread_ts,
    )
    session.add(made)
    session.flush()
    tasks.add(session, "read_thread", made.id or 0, queue="slack", team_id=made.team_id)
    _audit(session, actor, "import_thread", made)
    return made


def ask(lease: Lease, import_id: int, authors: Sequence[Author], link: str, *, cut: bool = False) -> None:
    """Ask each author, in a message of their own. Finishes the task. `cut`: the thread has more than was read."""
    with lease.finish() as session:
        wanted = session.get_one(ThreadImport, import_id, with_for_update=True)
        if wanted.status is not ImportStatus.READING:
            return
        wanted.status, wanted.cut = ImportStatus.ASKING, cut
        session.add(wanted)
        for author in authors:
            own = author.user_id == wanted.creator_id
            known = ConsentAnswer.YES if own else ConsentAnswer.NO if author.may_not else ConsentAnswer.ASKED
            consent = Consent(
                import_id=import_id,
                user_id=author.user_id,
                conversation_id=author.conversation_id,
                messages=author.messages,
                answer=known,
                answered_at=None if known is ConsentAnswer.ASKED else time.time(),
            )
            session.add(consent)
            session.flush()
            if known is ConsentAnswer.ASKED:
                _show_question(session, wanted, consent, link)
        show(session, wanted)
        key = f"write_thread:{import_id}:late"
        tasks.add(
            session, "write_thread", import_id, queue="slack", team_id=wanted.team_id, key=key, due_in=PATIENCE_SECONDS
        )
        _go_on_if_all_answered(session, wanted)


def answer(session: Session, actor: Actor, consent_id: int, *, yes: bool) -> Consent:
    """An author's answer; it can be changed until the examples are written. Raises NotFound, NotAllowed, UserError."""
    consent = session.get(Consent, consent_id, with_for_update=True)
    wanted = session.get(ThreadImport, consent.import_id, with_for_update=True) if consent else None
    if consent is None or wanted is None or wanted.team_id != actor.team_id:
        raise NotFound("This question is not there any more.")
    if consent.user_id != actor.user_id:
        raise NotAllowed("Only the person who wrote the words can answer that.")
    if wanted.status is not ImportStatus.ASKING:
        raise UserError(TOO_LATE.get(wanted.status, "There is nothing to answer yet."))
    consent.answer = ConsentAnswer.YES if yes else ConsentAnswer.NO
    consent.answered_at = time.time()
    session.add(consent)
    session.flush()
    _audit(session, actor, "consent" if yes else "refuse_consent", wanted)
    _show_question(session, wanted, consent)
    show(session, wanted)
    _go_on_if_all_answered(session, wanted)
    return consent


def go_on(session: Session, actor: Actor, import_id: int) -> ThreadImport:
    """Do not wait for those who have not answered: that counts as no. Raises NotFound, NotAllowed, UserError."""
    wanted = _controlled(session, actor, import_id)
    _write(session, wanted)
    return wanted


def stop(session: Session, actor: Actor, import_id: int) -> ThreadImport:
    """Give it up; nobody's words are used. Raises NotFound, NotAllowed, UserError."""
    wanted = _controlled(session, actor, import_id)
    give_up(session, wanted, "It was stopped. Nobody's words were used.")
    _audit(session, actor, "stop_import", wanted)
    return wanted


def agreed(session: Session, wanted: ThreadImport) -> set[str]:
    """The ids of those whose words may be used."""
    rows = session.exec(
        select(Consent.user_id).where(Consent.import_id == wanted.id, Consent.answer == ConsentAnswer.YES)
    )
    return set(rows)


def begin(lease: Lease, import_id: int) -> set[str] | None:
    """From now on no answer is taken. The ids of those who agreed; None where nothing is to be written any more."""
    with lease.write() as session:
        wanted = session.get_one(ThreadImport, import_id, with_for_update=True)
        if wanted.status not in {ImportStatus.ASKING, ImportStatus.WRITING}:
            return None
        if wanted.status is ImportStatus.ASKING:
            _close(session, wanted)
        return agreed(session, wanted)


def of(session: Session, wanted: ThreadImport) -> list[Consent]:
    """Every author's answer."""
    return list(session.exec(select(Consent).where(Consent.import_id == wanted.id).order_by(col(Consent.id))))


def written(lease: Lease, import_id: int, used: Collection[str], *, name: str, key: str, size: int) -> bool:
    """The examples are in storage: they are an upload like any other. Finishes the task; False: it is not wanted.

    Raises RetryLater if others have agreed than those whose words were `used`.
    """
    with lease.finish() as session:
        wanted = session.get_one(ThreadImport, import_id, with_for_update=True)
        if wanted.status is not ImportStatus.WRITING:
            return False
        if set(used) != agreed(session, wanted):
            raise RetryLater("others have agreed than those whose words were used", 0.0)
        made = f"thread:{import_id}"
        upload = uploads.add_made(session, wanted, name=name, key=key, thread_ts=wanted.thread_ts, made=made, size=size)
        wanted.status, wanted.upload_id = ImportStatus.DONE, upload.id
        session.add(wanted)
        _close_questions(session, wanted)
        return True


def give_up(session: Session, wanted: ThreadImport, words: str) -> None:
    """Nothing comes of it: say why."""
    wanted.status, wanted.problem = ImportStatus.STOPPED, words
    session.add(wanted)
    _close_questions(session, wanted)


def gave_up(session: Session, task: Task) -> None:
    """Reading or writing broke too often."""
    wanted = session.get_one(ThreadImport, task.subject_id, with_for_update=True)
    if wanted.status in OPEN:
        words = (
            f"It broke because of a fault on our side (error id {task.error_id or 'none'}). Nobody's words were used."
        )
        give_up(session, wanted, words)


def show(session: Session, wanted: ThreadImport) -> None:
    """Want the card in the thread to show where it is."""
    announcements.post(
        session,
        owner=wanted,
        slot=f"thread:{wanted.id}:card",
        kind="thread_import",
        subject_id=wanted.id,
        thread_ts=wanted.thread_ts,
    )


def _show_question(session: Session, wanted: ThreadImport, consent: Consent, link: str | None = None) -> None:
    where = Owned(
        team_id=wanted.team_id,
        enterprise_id=wanted.enterprise_id,
        channel_id=consent.conversation_id,
        creator_id=consent.user_id,
    )
    data = None if link is None else {"link": link}
    slot = f"consent:{consent.id}"
    announcements.post(session, owner=where, slot=slot, kind="consent", subject_id=consent.id, data=data)


def _close_questions(session: Session, wanted: ThreadImport) -> None:
    """Redraw everything that has buttons."""
    session.flush()
    show(session, wanted)
    for consent in of(session, wanted):
        if consent.conversation_id and consent.user_id != wanted.creator_id:
            _show_question(session, wanted, consent)


def _go_on_if_all_answered(session: Session, wanted: ThreadImport) -> None:
    if all(one.answer is not ConsentAnswer.ASKED for one in of(session, wanted)):
        _write(session, wanted)


def _close(session: Session, wanted: ThreadImport) -> None:
    """Take no answer any more."""
    wanted.status = ImportStatus.WRITING
    session.add(wanted)
    _close_questions(session, wanted)


def _write(session: Session, wanted: ThreadImport) -> None:
    _close(session, wanted)
    tasks.add(session, "write_thread", wanted.id or 0, queue="slack", team_id=wanted.team_id)


def _controlled(session: Session, actor: Actor, import_id: int) -> ThreadImport:
    wanted = session.get(ThreadImport, import_id, with_for_update=True)
    if wanted is None or not allowed(session, actor, Verb.VIEW, wanted):
        raise NotFound("This is not there any more, or not visible from this channel.")
    if not allowed(session, actor, Verb.CONTROL, wanted):
        raise NotAllowed("Only the person who asked for it, or an admin, can do that.")
    if wanted.status is not ImportStatus.ASKING:
        raise UserError("It is over already, or being written.")
    return wanted


def _audit(session: Session, actor: Actor, verb: str, wanted: ThreadImport) -> None:
    session.add(
        AuditEntry(
            team_id=actor.team_id,
            enterprise_id=actor.enterprise_id,
            channel_id=wanted.channel_id,
            creator_id=actor.user_id,
            verb=verb,
            object_kind="thread_import",
            object_id=wanted.id,
        )
    )
