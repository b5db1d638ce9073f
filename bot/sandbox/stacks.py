"""The modals a person has open, one upon another, and the home tab: opened, pushed, updated, closed."""

import json

from bot.sandbox.block_kit import MOST_VIEW_BYTES, problems_of_view, with_ids
from bot.sandbox.errors import SlackProblem
from bot.sandbox.hub import Hub
from bot.sandbox.ids import secret
from bot.sandbox.states import state_of
from bot.sandbox.workspace import Json, View

DEEPEST = 3


def checked(body: object) -> Json:
    """A view as an app gave it, if Slack would take it. Raises SlackProblem."""
    if not isinstance(body, dict):
        raise SlackProblem("invalid_arguments", ["[ERROR] missing required field: view"])
    problems = problems_of_view(body)
    if problems:
        raise SlackProblem("invalid_arguments", problems)
    if len(json.dumps(body)) > MOST_VIEW_BYTES:
        raise SlackProblem("view_too_large")
    return body


def open_(hub: Hub, user_id: str, body: Json) -> View:
    """Open a modal; what was open before goes."""
    clear(hub, user_id)
    return _add(hub, user_id, body, None)


def push(hub: Hub, user_id: str, body: Json) -> View:
    """Put a modal upon those that are open. Raises SlackProblem."""
    stack = hub.workspace.stacks.get(user_id) or []
    if len(stack) >= DEEPEST:
        raise SlackProblem("push_limit_reached")
    return _add(hub, user_id, body, stack[-1] if stack else None)


def update(hub: Hub, view: View, body: Json) -> View:
    """Replace what a view shows; values stay where block and action stay."""
    if body["type"] != view.body["type"]:
        raise SlackProblem("invalid_arguments", ["[ERROR] a view keeps its type"])
    view.body = _with_block_ids(hub, body)
    view.hash = _hash()
    if view.body["type"] == "home":
        hub.live.tell({"type": "home_published", "view": shown(hub, view)}, [view.user])
    else:
        hub.live.tell({"type": "view_updated", "view": shown(hub, view)}, [view.user])
    return view


def publish(hub: Hub, user_id: str, body: Json) -> View:
    """Set a person's home tab."""
    home = hub.workspace.homes.get(user_id)
    if home:
        return update(hub, home, body)
    view_id = hub.workspace.ids.new("V")
    home = View(view_id, user_id, _with_block_ids(hub, body), _hash(), view_id)
    hub.workspace.homes[user_id] = home
    hub.live.tell({"type": "home_published", "view": shown(hub, home)}, [user_id])
    return home


def close(hub: Hub, view: View) -> None:
    """Take one modal away."""
    hub.workspace.stacks[view.user].remove(view)
    hub.live.tell({"type": "view_closed", "view_id": view.id}, [view.user])


def clear(hub: Hub, user_id: str) -> None:
    """Take all of a person's modals away."""
    for view in reversed(list(hub.workspace.stacks.get(user_id) or [])):
        close(hub, view)


def shown(hub: Hub, view: View) -> Json:
    """A view object with the state of its controls."""
    return hub.present.view(view, state_of(hub, view.body.get("blocks") or [], view.values))


def _add(hub: Hub, user_id: str, body: Json, below: View | None) -> View:
    external_id = body.get("external_id")
    if external_id and any(one.body.get("external_id") == external_id for one in hub.workspace.open_views()):
        raise SlackProblem("duplicate_external_id")
    view_id = hub.workspace.ids.new("V")
    root = below.root_id if below else view_id
    view = View(view_id, user_id, _with_block_ids(hub, body), _hash(), root, below.id if below else None)
    hub.workspace.stacks.setdefault(user_id, []).append(view)
    hub.live.tell({"type": "view_opened", "view": shown(hub, view)}, [user_id])
    return view


def _with_block_ids(hub: Hub, body: Json) -> Json:
    return {**body, "blocks": with_ids(body["blocks"], hub.workspace.ids)}


def _hash() -> str:
    return f"{secret(10)}.{secret(8).lower()}"
