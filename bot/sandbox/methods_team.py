"""Who is who: auth.test, team.info, users.*, bots.info; opening sockets; the status line of assistant threads."""

from bot.sandbox.cast import APP_ID, APP_NAME, BOT, BOT_ID, TEAM_ID
from bot.sandbox.errors import SlackProblem
from bot.sandbox.paging import page
from bot.sandbox.registry import Call, method
from bot.sandbox.workspace import Json


@method("api.test")
def api_test(call: Call) -> Json:
    """Say what was said."""
    if call.arguments.text("error"):
        raise SlackProblem(call.arguments.text("error"), args=call.arguments.readable())
    return {"args": call.arguments.readable()}


@method("auth.test")
def auth_test(call: Call) -> Json:
    """Whose token it is."""
    return {
        "url": f"{call.hub.plan.url}/",
        "team": call.workspace.name,
        "user": BOT.name,
        "team_id": TEAM_ID,
        "user_id": BOT.id,
        "bot_id": BOT_ID,
        "is_enterprise_install": False,
    }


@method("apps.connections.open")
def open_connection(call: Call) -> Json:
    """The address of a WebSocket for Socket Mode."""
    if call.hub.plan.delivery != "socket":
        raise SlackProblem("forbidden_team", ["Socket Mode is off in this workspace"])
    host = call.hub.plan.url.removeprefix("http://")
    return {"url": f"ws://{host}/link/?ticket={call.hub.sockets.ticket()}&app_id={APP_ID}"}


@method("team.info")
def team_info(call: Call) -> Json:
    """The workspace."""
    return {"team": {"name": call.workspace.name, "email_domain": "", "icon": {}, **call.workspace.team()}}


@method("users.info")
def user_info(call: Call) -> Json:
    """One person."""
    return {"user": call.hub.present.user(call.workspace.user(call.arguments.needed("user")))}


@method("users.list")
def user_list(call: Call) -> Json:
    """Everybody."""
    shown, more = page(list(call.workspace.users.values()), call.arguments)
    return {"members": [call.hub.present.user(one) for one in shown], "response_metadata": more["response_metadata"]}


@method("bots.info")
def bot_info(call: Call) -> Json:
    """The bot itself."""
    if call.arguments.text("bot", BOT_ID) != BOT_ID:
        raise SlackProblem("bot_not_found")
    return {"bot": {"id": BOT_ID, "app_id": APP_ID, "user_id": BOT.id, "name": APP_NAME, "deleted": False, "icons": {}}}


@method("assistant.threads.setStatus")
def set_status(call: Call) -> Json:
    """What the app is doing, shown in a thread until it posts there."""
    channel = call.workspace.joined(call.arguments.needed("channel_id"))
    frame: Json = {"type": "status", "channel": channel.id, "thread_ts": call.arguments.needed("thread_ts")}
    call.workspace.message(channel, frame["thread_ts"])
    frame["status"] = call.arguments.text("status")
    frame["loading_messages"] = call.arguments.nested("loading_messages") or []
    call.hub.live.tell(frame, channel.members)
    return {}


@method("assistant.threads.setTitle")
def set_title(call: Call) -> Json:
    """The title of an assistant thread; it is only noted in the journal."""
    _assistant_thread(call)
    call.arguments.needed("title")
    return {}


@method("assistant.threads.setSuggestedPrompts")
def set_prompts(call: Call) -> Json:
    """Prompts to choose from in an assistant thread; they are only noted in the journal."""
    _assistant_thread(call)
    prompts = call.arguments.nested("prompts")
    proper = isinstance(prompts, list) and all(isinstance(one, dict) and one.get("message") for one in prompts)
    if not proper or not 1 <= len(prompts) <= 4:
        raise SlackProblem("invalid_arguments", ["[ERROR] prompts must be 1 to 4 objects with title and message"])
    return {}


def _assistant_thread(call: Call) -> None:
    channel = call.workspace.joined(call.arguments.needed("channel_id"))
    if not channel.is_im:
        raise SlackProblem("invalid_thread_ts" if call.arguments.text("thread_ts") else "channel_not_found")
