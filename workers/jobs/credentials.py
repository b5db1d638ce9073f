"""Whether a vendor lets a workspace in with its credentials: a harmless call, and who saved them is told."""

import re
import traceback
from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from sqlmodel import Session

from providers import credentials as fields
from providers.errors import ProviderError
from workers import announcements, credentials
from workers.bounded import within
from workers.context import Context
from workers.errors import FinetuneBotError, RetryLater
from workers.logs import redacted
from workers.runs import watching
from workers.tables import Credential, CredentialStatus, Owned, Task
from workers.tasks import Lease

log = structlog.get_logger()

CALL_SECONDS = 45.0
"""A vendor that has not answered by then is away."""
PAUSES = (5.0, 20.0, 60.0)
"""In seconds, before a vendor that is away or busy is asked again; after the last of them it could not be asked."""
LONGEST_PAUSE = 120.0
"""A vendor that wants to be left alone for longer is asked after so many seconds all the same."""
MOST_WORDS = 500
"""Characters of what a vendor says that are kept."""
MOST_READ = 50_000
HIDDEN = "[secret]"
HALF_HIDDEN = "***"
"""Vendors quote a key with stars in its middle, its last characters included."""


class CheckBroke(FinetuneBotError):
    """A fault of our own while asking; the message is its traceback, without secrets."""


@dataclass(frozen=True)
class Outcome:
    """How the harmless call went: `words` of who answered, or the `problem`, which may be a passing one."""

    words: str = ""
    problem: str = ""
    is_passing: bool = False
    retry_after: float | None = None  # seconds, where the vendor said so


def ask(context: Context, team_id: str, provider: str, *, seconds: float = CALL_SECONDS) -> Outcome:
    """Make the harmless call with a workspace's credentials; never longer than so many seconds. Raises CheckBroke."""
    values: Mapping[str, str] = {}
    try:
        with context.db.read() as session:
            values = credentials.of(session, context.vault, team_id, provider)
        said = within(seconds, lambda: context.providers.models(provider, values).check())
    except ProviderError as error:
        problem = _harmless(error.user_message, provider, values)
        return Outcome(problem=problem, is_passing=error.retryable, retry_after=error.retry_after)
    except TimeoutError:
        return Outcome(problem=f"There was no answer within {seconds:g} seconds.", is_passing=True)
    except Exception:  # noqa: BLE001 -- raised again, without secrets
        raise CheckBroke(_harmless(traceback.format_exc(), provider, values, most=20_000)) from None
    return Outcome(words=_harmless(str(said), provider, values))


def check(context: Context, lease: Lease) -> None:
    """Try credentials that were saved; a vendor that is away is asked a few times."""
    with context.db.read() as session:
        row = session.get(Credential, lease.task.subject_id)
    if row is None or row.status is not CredentialStatus.CHECKING:  # forgotten, or another check was first
        with lease.finish():
            return
    outcome = ask(context, row.team_id, row.provider)
    tried = lease.task.attempt - 1
    if outcome.is_passing and tried < len(PAUSES):
        raise RetryLater(outcome.problem, min(max(outcome.retry_after or 0.0, PAUSES[tried]), LONGEST_PAUSE))
    status = CredentialStatus.UNREACHED if outcome.is_passing else None
    with lease.finish() as session:
        noted = credentials.checked(
            session, row.id or 0, row.revision, problem=outcome.problem, words=outcome.words, status=status
        )
        if noted is not None:
            _tell(session, noted, lease.task)
            if noted.status is CredentialStatus.WORKING:
                watching.hurry_all(session, (noted.team_id, noted.provider))


def gave_up(session: Session, task: Task) -> None:
    """The check broke too often: whether they work is not known."""
    row = session.get(Credential, task.subject_id)
    if row is None:
        return
    problem = "The check broke several times in a row because of a fault on our side."
    noted = credentials.checked(session, row.id or 0, row.revision, problem=problem, status=CredentialStatus.UNREACHED)
    if noted is not None:
        _tell(session, noted, task)


def _tell(session: Session, row: Credential, task: Task) -> None:
    """Announce the outcome to the person who saved them: in their channel, or directly where there is none."""
    in_channel = row.channel_id and not row.channel_id.startswith("D")
    owner = Owned(
        team_id=row.team_id,
        enterprise_id=row.enterprise_id,
        channel_id=row.channel_id or row.creator_id,
        creator_id=row.creator_id,
    )
    announcements.post(
        session,
        owner=owner,
        slot=f"credential:{task.id}",
        kind="credential_checked",
        subject_id=row.id,
        data={
            "provider": row.provider,
            "status": str(row.status),
            "words": row.words,
            "problem": row.problem,
            "error_id": task.error_id,
        },
        only_for=row.creator_id if in_channel else "",
    )


def _harmless(text: str, provider: str, values: Mapping[str, str], *, most: int = MOST_WORDS) -> str:
    """What a vendor (or a traceback) says, without our secrets and without what a database cannot keep."""
    secret = {values[one.name] for one in fields.FIELDS[provider] if one.secret and one.name in values}
    text = text[:MOST_READ]
    for one in sorted(secret, key=len, reverse=True):
        text = text.replace(one, HIDDEN)
    words = re.split(r"(\s+)", str(redacted(text)))
    text = "".join(HIDDEN if HALF_HIDDEN in word else word for word in words)
    return "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in text)[:most]
