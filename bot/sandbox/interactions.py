"""What people do with the app: commands, clicks, forms, shortcuts. Each is told to the bot, and its answer acted on."""

from dataclasses import dataclass, field
from typing import Any

from bot.sandbox import content, posting, stacks, states
from bot.sandbox.arguments import Arguments
from bot.sandbox.cast import APP_ID, BOT, TEAM_ID
from bot.sandbox.delivery import Answer, Failure, What
from bot.sandbox.errors import SlackProblem
from bot.sandbox.hub import Hub
from bot.sandbox.response_urls import Occasion
from bot.sandbox.workspace import Channel, Json, Message, View

WORDS = {
    Failure.AWAY: "dispatch_failed",
    Failure.LATE: "operation_timeout",
    Failure.REFUSED: "http_service_error",
}


@dataclass
class Target:
    """Where an element stands: in a message or in a view."""

    blocks: list[Json]
    values: dict[str, Json]
    message: Message | None = None
    view: View | None = None
    fields: Json = field(default_factory=dict)


async def command(hub: Hub, user_id: str, channel: Channel, name: str, text: str) -> Json:
    """Run a slash command. The answer's "error" is what Slack shows in its place."""
    if name not in {one["command"] for one in hub.plan.commands}:
        raise SlackProblem(f"{name} is not a valid command.")
    user = hub.workspace.user(user_id)
    payload = {
        "token": "sandbox", "team_id": TEAM_ID, "team_domain": hub.workspace.domain, "channel_id": channel.id,
        "channel_name": "directmessage" if channel.is_im else channel.name, "user_id": user.id,
        "user_name": user.name, "command": name, "text": text, "api_app_id": APP_ID, "is_enterprise_install": "false",
        "response_url": hub.response_urls.new(Occasion(user.id, channel.id)), "trigger_id": hub.triggers.new(user.id),
    }  # fmt: skip
    answer = await hub.delivery.ask(What.COMMAND, payload)
    if answer.failure:
        error = f'{name} failed with the error "{WORDS[answer.failure]}"'
        return {"ok": False, "error": error, "ack_seconds": round(answer.seconds, 3)}
    if answer.payload.get("text") or answer.payload.get("blocks"):
        try:
            said = content.read(Arguments(answer.payload))
        except SlackProblem as problem:
            return {"ok": False, "error": f'{name} failed with the error "{problem.code}"'}
        _say(hub, channel, user_id, said, in_channel=answer.payload.get("response_type") == "in_channel")
    return {"ok": True, "ack_seconds": round(answer.seconds, 3)}


async def act(hub: Hub, user_id: str, target: Target, given: Json) -> Json:
    """Use one control. Raises SlackProblem if there is no such control."""
    block, element = states.find(target.blocks, str(given.get("action_id")), str(given.get("block_id") or ""))
    value = plain_value(element, given)
    made = states.action(hub, block, element, value)
    target.values.update(states.merged(target.values, given.get("values")))
    if element["type"] not in states.STATELESS:
        target.values.setdefault(block["block_id"], {})[element["action_id"]] = value
    payload: Json = {**_common(hub, user_id, "block_actions"), **target.fields, "actions": [made]}
    state = states.state_of(hub, target.blocks, target.values)
    if target.view is not None:
        view = stacks.shown(hub, target.view)
        payload |= {"view": view, "container": {"type": "view", "view_id": view["id"]}}
    else:
        payload["state"] = {"values": state}
    return _told(await hub.delivery.ask(What.INTERACTION, payload))


def in_message(hub: Hub, user_id: str, channel: Channel, message: Message) -> Target:
    """The controls of a message."""
    occasion = Occasion(user_id, channel.id, message.ts, message.thread_ts)
    container: Json = {"type": "message", "message_ts": message.ts, "channel_id": channel.id}
    container["is_ephemeral"] = message.only_for is not None
    if message.thread_ts:
        container["thread_ts"] = message.thread_ts
    fields: Json = {"container": container, "channel": {"id": channel.id, "name": _name(channel)}}
    fields["response_url"] = hub.response_urls.new(occasion)
    if message.only_for is None:
        fields["message"] = hub.present.message(message)
    values = hub.workspace.message_values.setdefault((user_id, channel.id, message.ts), {})
    return Target(message.blocks, values, message=message, fields=fields)


def in_view(view: View) -> Target:
    """The controls of a modal or a home tab."""
    return Target(view.body["blocks"], view.values, view=view)


async def submit(hub: Hub, view: View, given: Any) -> Json:
    """Submit a form, and do with it what the app says. Raises SlackProblem."""
    values = states.merged(view.values, given)
    problems = states.problems(hub, view.body["blocks"], values)
    if problems:
        return {"ok": True, "errors": problems, "closed": False}
    view.values = values
    states.give_files(hub, view.body["blocks"], values)
    shown = stacks.shown(hub, view)
    payload = {**_common(hub, view.user, "view_submission"), "view": shown, "response_urls": []}
    answer = await hub.delivery.ask(What.INTERACTION, payload)
    if answer.failure:
        return {"ok": False, "error": WORDS[answer.failure], "closed": False, "ack_seconds": round(answer.seconds, 3)}
    try:
        outcome = _respond(hub, view, answer.payload)
    except SlackProblem as problem:
        return {"ok": False, "error": problem.code, "closed": False, "messages": problem.messages}
    return {"ok": True, **outcome, "ack_seconds": round(answer.seconds, 3)}


def _respond(hub: Hub, view: View, payload: Json) -> Json:
    """Carry out a response_action. Raises SlackProblem for one that Slack would not understand."""
    is_open = view in hub.workspace.stacks.get(view.user, [])
    match payload.get("response_action"):
        case None:
            if is_open:
                stacks.close(hub, view)
            return {"closed": True}
        case "clear":
            stacks.clear(hub, view.user)
            return {"closed": True}
        case "errors":
            errors = payload.get("errors")
            inputs = {block["block_id"] for block in view.body["blocks"] if block["type"] == "input"}
            if not isinstance(errors, dict) or not errors or not set(errors) <= inputs:
                raise SlackProblem("invalid_arguments", ["errors must name input blocks of the view"])
            return {"closed": False, "errors": errors}
        case "update":
            updated = stacks.update(hub, view, stacks.checked(payload.get("view")))
            return {"closed": False, "view": stacks.shown(hub, updated)}
        case "push":
            pushed = stacks.push(hub, view.user, stacks.checked(payload.get("view")))
            return {"closed": False, "view": stacks.shown(hub, pushed)}
        case other:
            raise SlackProblem("invalid_arguments", [f"no such response_action: {other}"])


async def close(hub: Hub, view: View) -> Json:
    """A person closes a form; the app is told if it asked to be."""
    shown = stacks.shown(hub, view)
    stacks.close(hub, view)
    if view.body.get("notify_on_close"):
        payload = {**_common(hub, view.user, "view_closed", trigger=False), "view": shown, "is_cleared": False}
        await hub.delivery.ask(What.INTERACTION, payload)
    return {"ok": True}


async def shortcut(hub: Hub, user_id: str, callback_id: str, channel: Channel | None, message: Message | None) -> Json:
    """Use a shortcut: a global one, or one of a message."""
    known = {one["callback_id"]: one for one in hub.plan.shortcuts}
    if callback_id not in known:
        raise SlackProblem("shortcut_not_found")
    payload = {**_common(hub, user_id, "shortcut"), "callback_id": callback_id, "action_ts": hub.workspace.ids.ts()}
    if known[callback_id]["type"] == "message":
        if channel is None or message is None:
            raise SlackProblem("message_not_found")
        occasion = Occasion(user_id, channel.id, message.ts, message.thread_ts)
        payload |= {
            "type": "message_action", "message": hub.present.message(message), "message_ts": message.ts,
            "channel": {"id": channel.id, "name": _name(channel)}, "response_url": hub.response_urls.new(occasion),
        }  # fmt: skip
    return _told(await hub.delivery.ask(What.INTERACTION, payload))


async def suggestions(hub: Hub, user_id: str, target: Target, action_id: str, block_id: str, typed: str) -> Json:
    """What an external select offers for what was typed."""
    block, _ = states.find(target.blocks, action_id, block_id)
    payload = {**_common(hub, user_id, "block_suggestion", trigger=False), **target.fields}
    payload |= {"action_id": action_id, "block_id": block["block_id"], "value": typed}
    if target.view is not None:
        payload |= {"view": stacks.shown(hub, target.view), "container": {"type": "view", "view_id": target.view.id}}
    answer = await hub.delivery.ask(What.INTERACTION, payload)
    if answer.failure:
        return {"ok": False, "error": WORDS[answer.failure]}
    groups = answer.payload.get("option_groups") or []
    options = answer.payload.get("options") or [one for group in groups for one in group.get("options") or []]
    hub.workspace.suggested.update({(action_id, one["value"]): one for one in options})
    return {
        "ok": True,
        **{name: answer.payload[name] for name in ("options", "option_groups") if name in answer.payload},
    }


def respond(hub: Hub, occasion: Occasion, given: Arguments) -> None:
    """What an app says to a response_url. Raises SlackProblem."""
    channel = hub.workspace.channels[occasion.channel]
    original: Message | None = None
    if occasion.message_ts:
        original = channel.ephemerals.get(occasion.message_ts) or channel.messages.get(occasion.message_ts)
    if given.flag("delete_original"):
        if original is None:
            raise SlackProblem("message_not_found")
        posting.remove(hub, original)
        return
    said = content.read(given)
    if said.is_empty:
        raise SlackProblem("no_text")
    if given.flag("replace_original") and original is not None and original.by_bot:
        posting.change(hub, original, text=said.text or "", blocks=said.blocks or [])
        return
    thread_ts = given.text("thread_ts") or occasion.thread_ts
    in_channel = given.text("response_type") == "in_channel"
    _say(hub, channel, occasion.user, said, in_channel=in_channel, thread_ts=thread_ts)


def plain_value(element: Json, given: Json) -> Any:
    """The value an action request carries, whatever its field is called."""
    kind = element["type"]
    if kind in states.STATELESS - {"overflow", "feedback_buttons"}:
        return element.get("value")
    for name in (
        "selected_option", "selected_options", "selected_user", "selected_users", "selected_channel",
        "selected_channels", "selected_conversation", "selected_conversations", "selected_date", "selected_time",
        "selected_date_time", "files", "value", "text",
    ):  # fmt: skip
        if name in given:
            return given[name]
    return None


def _say(hub: Hub, channel: Channel, user_id: str, said: content.Content, *, in_channel: bool, **more: Any) -> None:
    fields = {"blocks": said.blocks or [], "attachments": said.attachments or [], **more}
    if in_channel:
        posting.post(hub, channel, BOT.id, said.text or "", **fields)
    else:
        posting.post_ephemeral(hub, channel, BOT.id, user_id, said.text or "", **fields)


def _common(hub: Hub, user_id: str, kind: str, *, trigger: bool = True) -> Json:
    body: Json = {
        "type": kind, "token": "sandbox", "api_app_id": APP_ID, "team": hub.workspace.team(), "enterprise": None,
        "user": hub.present.person(user_id), "is_enterprise_install": False,
    }  # fmt: skip
    if trigger:
        body["trigger_id"] = hub.triggers.new(user_id)
    return body


def _told(answer: Answer) -> Json:
    if answer.failure:
        return {"ok": False, "error": WORDS[answer.failure], "ack_seconds": round(answer.seconds, 3)}
    return {"ok": True, "ack_seconds": round(answer.seconds, 3)}


def _name(channel: Channel) -> str:
    return "directmessage" if channel.is_im else channel.name
