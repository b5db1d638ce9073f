"""What every listener of clicks and forms needs: whether it is new, what it is about, where it happened."""

from typing import Any

from sqlmodel import Session

from workers import inbound
from workers.errors import NotFound
from workers.rights import Actor

Body = dict[str, Any]


def arrived(session: Session, actor: Actor, body: Body) -> bool:
    """Record a click; False for one that was recorded before."""
    return inbound.first_time(session, actor.team_id, key(body))


def key(body: Body) -> str:
    """What tells one click from another, however often it is delivered."""
    action = body["actions"][0]
    return f"click:{action['action_id']}:{action.get('action_ts') or body.get('trigger_id')}"


def number(body: Body) -> int:
    """The id of what the button is about. Raises NotFound."""
    return as_number(str(body["actions"][0].get("value") or ""))


def as_number(value: str) -> int:
    """An id out of a button or menu of ours. Raises NotFound."""
    if not value.isdecimal() or len(value) > 9:
        raise NotFound("This button is too old. Use a newer message.")
    return int(value)


def thread(body: Body) -> str:
    """The thread that the button's message is in; empty if it is in none."""
    return str((body.get("message") or {}).get("thread_ts") or (body.get("container") or {}).get("thread_ts") or "")
