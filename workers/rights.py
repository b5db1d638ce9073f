"""The one question "may this person do that?", asked on every command and again on every click.

Those named in FINETUNE_BOT_ADMINS are admins, members are tuners, guests and people of other organisations
are refused. Nothing of one workspace or channel is visible from another, to admins neither.
"""

from dataclasses import dataclass
from enum import StrEnum

from sqlmodel import Session, select

from workers.errors import NotAllowed
from workers.tables import Member, Owned, Role


class Verb(StrEnum):
    """What a person may want to do."""

    VIEW = "view"  # look at a dataset, run or endpoint
    CHAT = "chat"  # talk to an endpoint
    ATTACH = "attach"  # hand in a file
    START = "start"  # start a run
    CONTROL = "control"  # cancel or pause a run
    CREATE_KEY = "create_key"  # get a key to an endpoint over HTTP
    REVOKE_KEY = "revoke_key"  # take one back
    ADMINISTER = "administer"  # roles, settings, credentials


_VIEWER = frozenset({Verb.VIEW, Verb.CHAT})
_TUNER = _VIEWER | {Verb.ATTACH, Verb.START, Verb.CONTROL, Verb.CREATE_KEY, Verb.REVOKE_KEY}

VERBS: dict[Role, frozenset[Verb]] = {
    Role.NONE: frozenset(),
    Role.VIEWER: _VIEWER,
    Role.TUNER: _TUNER,
    Role.ADMIN: _TUNER | {Verb.ADMINISTER},
}

OWN_ONLY = frozenset({Verb.CONTROL, Verb.REVOKE_KEY})
"""A tuner does these to what they made themselves; an admin to everything."""


@dataclass(frozen=True)
class Actor:
    """The person who asks, as Slack describes them, and the channel they ask from."""

    team_id: str
    user_id: str
    channel_id: str = ""
    enterprise_id: str = ""
    is_guest: bool = False
    is_external: bool = False
    is_admin: bool = False
    """Whether the installation's settings name this person."""


def role_of(session: Session, actor: Actor) -> Role:
    """The person's role: admin by the settings, else that of a Member row, else tuner; guests have none."""
    if actor.is_external or actor.is_guest:
        return Role.NONE
    if actor.is_admin:
        return Role.ADMIN
    member = session.exec(
        select(Member).where(Member.team_id == actor.team_id, Member.user_id == actor.user_id)
    ).one_or_none()
    return member.role if member else Role.TUNER


def allowed(session: Session, actor: Actor, verb: Verb, obj: Owned | None = None) -> bool:
    """Whether the actor may do `verb` (to `obj`)."""
    role = role_of(session, actor)
    if verb not in VERBS[role]:
        return False
    if obj is None:
        return True
    if obj.team_id != actor.team_id:
        return False
    if obj.channel_id and actor.channel_id and obj.channel_id != actor.channel_id:
        return False
    if obj.channel_id and not actor.channel_id and obj.creator_id != actor.user_id:
        return False  # asked from outside any channel: only one's own things
    return verb not in OWN_ONLY or obj.creator_id == actor.user_id or role is Role.ADMIN


def require(session: Session, actor: Actor, verb: Verb, obj: Owned | None = None) -> None:
    """Raise NotAllowed, with words for the person, unless `allowed`."""
    if allowed(session, actor, verb, obj):
        return
    if role_of(session, actor) is Role.NONE:
        raise NotAllowed("Guests and people from other organisations cannot use Finetune Bot here.")
    if obj is not None and obj.team_id == actor.team_id and verb in OWN_ONLY:
        raise NotAllowed("Only the person who started this, or an admin, can do that.")
    raise NotAllowed("You cannot do that from here. Ask in the channel it belongs to, or ask an admin.")
