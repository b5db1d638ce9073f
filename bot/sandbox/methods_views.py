"""views.*: modals and home tabs."""

from bot.sandbox import stacks
from bot.sandbox.errors import SlackProblem, missing
from bot.sandbox.registry import Call, method
from bot.sandbox.workspace import Json, View


@method("views.open")
def open_(call: Call) -> Json:
    """Open a modal for whoever the trigger is of."""
    body = _modal(call)
    user_id = call.hub.triggers.exchange(_trigger(call))
    return {"view": stacks.shown(call.hub, stacks.open_(call.hub, user_id, body))}


@method("views.push")
def push(call: Call) -> Json:
    """Put a modal upon the one in which the trigger came about."""
    body = _modal(call)
    user_id = call.hub.triggers.exchange(_trigger(call))
    return {"view": stacks.shown(call.hub, stacks.push(call.hub, user_id, body))}


@method("views.update")
def update(call: Call) -> Json:
    """Replace what a view shows."""
    body = stacks.checked(call.arguments.nested("view"))
    view = _named(call)
    _check_hash(call, view)
    return {"view": stacks.shown(call.hub, stacks.update(call.hub, view, body))}


@method("views.publish")
def publish(call: Call) -> Json:
    """Set a person's home tab."""
    body = stacks.checked(call.arguments.nested("view"))
    if body["type"] != "home":
        raise SlackProblem("invalid_arguments", ["[ERROR] only a view of type home is published"])
    user = call.workspace.user(call.arguments.needed("user_id"))
    if user.id in call.workspace.homes:
        _check_hash(call, call.workspace.homes[user.id])
    return {"view": stacks.shown(call.hub, stacks.publish(call.hub, user.id, body))}


def _modal(call: Call) -> Json:
    body = stacks.checked(call.arguments.nested("view"))
    if body["type"] != "modal":
        raise SlackProblem("invalid_arguments", ["[ERROR] only a view of type modal is opened"])
    return body


def _trigger(call: Call) -> str:
    return call.arguments.text("trigger_id") or call.arguments.needed("interactivity_pointer")


def _named(call: Call) -> View:
    if call.arguments.text("view_id"):
        return call.workspace.view(call.arguments.text("view_id"))
    external_id = call.arguments.text("external_id")
    if not external_id:
        raise missing("view_id")
    for view in call.workspace.open_views():
        if view.body.get("external_id") == external_id:
            return view
    raise SlackProblem("not_found")


def _check_hash(call: Call, view: View) -> None:
    if call.arguments.text("hash") and call.arguments.text("hash") != view.hash:
        raise SlackProblem("hash_conflict")
