"""The people's side: what a browser, the demo and tests do in the workspace, as one of its people."""

import time
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.sandbox import events, interactions, invitations, posting, stacks, streams
from bot.sandbox.cast import APP_NAME, BOT, OTHER_TEAM_ID, TEAM_ID, User
from bot.sandbox.errors import SlackProblem
from bot.sandbox.faults import FaultKind
from bot.sandbox.hub import Hub
from bot.sandbox.methods_files import MOST_BYTES
from bot.sandbox.workspace import Channel, File, Json, View

Act = Callable[[Hub, str, Json], Awaitable[Json]]
ORDINARY = frozenset({TEAM_ID, OTHER_TEAM_ID})


def person(hub: Hub, user_id: str | None) -> User:
    """Who is acting. Raises SlackProblem for nobody, or for the bot."""
    user = hub.workspace.user(user_id or next(iter(hub.workspace.users)))
    if user.is_bot:
        raise SlackProblem("user_not_found")
    return user


async def state(hub: Hub, request: Request) -> Json:
    """Everything this person may see."""
    me = person(hub, request.query_params.get("user")).id
    mine = [channel for channel in hub.workspace.channels.values() if me in channel.members]
    home = hub.workspace.homes.get(me)
    users = [
        {"id": one.id, "name": one.name, "real_name": one.real_name, "role": one.role.value, "color": one.color,
         "is_bot": one.is_bot}
        for one in hub.workspace.users.values()
    ]  # fmt: skip
    about = {"name": hub.workspace.name, "team_id": TEAM_ID, "bot_user_id": BOT.id, "app_name": APP_NAME}
    return {
        "ok": True,
        "workspace": about,
        "me": me,
        "users": users,
        "channels": [_channel(channel) for channel in mine],
        "messages": {channel.id: _messages(hub, channel, me) for channel in mine},
        "views": [stacks.shown(hub, view) for view in hub.workspace.stacks.get(me, [])],
        "home": stacks.shown(hub, home) if home else None,
        "commands": [*hub.plan.commands, invitations.COMMAND],
        "shortcuts": list(hub.plan.shortcuts),
        "delivery": hub.plan.delivery,
        "connected": hub.carrier.connected,
    }


def _channel(channel: Channel) -> Json:
    return {
        "id": channel.id, "name": channel.name, "topic": channel.topic, "is_private": channel.is_private,
        "is_im": channel.is_im, "members": list(channel.members),
    }  # fmt: skip


def _messages(hub: Hub, channel: Channel, me: str) -> list[Json]:
    hidden = [one for one in channel.ephemerals.values() if one.only_for == me]
    seen = sorted([*channel.messages.values(), *hidden], key=lambda one: one.ts)
    return [hub.present.shown(one) for one in seen]


async def upload(hub: Hub, request: Request) -> Json:
    """Keep a file's bytes until a message takes it along."""
    me = person(hub, request.query_params.get("user")).id
    name = request.query_params.get("name") or "file"
    data = await request.body()
    if len(data) > MOST_BYTES:
        raise SlackProblem("file_upload_size_restricted")
    file_id = hub.workspace.ids.new("F")
    file = File(file_id, name, name, me, len(data), int(time.time()), data=data, complete=True)
    hub.workspace.files[file_id] = file
    return {"ok": True, "id": file_id}


async def say(hub: Hub, me: str, given: Json) -> Json:
    """Write a message, perhaps with files, perhaps in a thread."""
    channel = hub.workspace.joined(str(given.get("channel")), me)
    text = str(given.get("text") or "")
    files = [hub.workspace.file(str(one)) for one in given.get("files") or []]
    if not text.strip() and not files:
        raise SlackProblem("no_text")
    if any(file.user != me or file.shares for file in files):
        raise SlackProblem("file_not_found")
    thread_ts = given.get("thread_ts")
    if thread_ts:
        root = hub.workspace.message(channel, str(thread_ts))
        thread_ts = root.thread_ts or root.ts
    message = posting.post(
        hub,
        channel,
        me,
        text,
        thread_ts=thread_ts or None,
        files=[file.id for file in files],
        subtype="file_share" if files else None,
    )
    return {"ok": True, "ts": message.ts}


async def command(hub: Hub, me: str, given: Json) -> Json:
    """Type a slash command."""
    channel = hub.workspace.joined(str(given.get("channel")), me)
    name = str(given.get("command"))
    if given.get("thread_ts"):
        return {"ok": False, "error": f"{name} is not supported in threads. Sorry!"}
    if name == invitations.COMMAND["command"]:
        return invitations.invite(hub, channel, str(given.get("text") or ""))
    return await interactions.command(hub, me, channel, name, str(given.get("text") or ""))


async def act(hub: Hub, me: str, given: Json) -> Json:
    """Use a control in a message, a form or the home tab."""
    return await interactions.act(hub, me, _target(hub, me, given), given)


async def options(hub: Hub, request: Request) -> Json:
    """What an external select offers."""
    given = dict(request.query_params)
    me = person(hub, given.get("user")).id
    target = _target(hub, me, given)
    action_id, block_id = given.get("action_id", ""), given.get("block_id", "")
    return await interactions.suggestions(hub, me, target, action_id, block_id, given.get("value", ""))


def _target(hub: Hub, me: str, given: Json) -> interactions.Target:
    if given.get("view_id"):
        return interactions.in_view(_view(hub, me, str(given["view_id"])))
    if given.get("home"):
        if me not in hub.workspace.homes:
            raise SlackProblem("not_found")
        return interactions.in_view(hub.workspace.homes[me])
    channel = hub.workspace.joined(str(given.get("channel")), me)
    message = hub.workspace.seen_message(channel, str(given.get("ts")), me)
    return interactions.in_message(hub, me, channel, message)


def _view(hub: Hub, me: str, view_id: str) -> View:
    view = hub.workspace.view(view_id)
    if view.user != me:
        raise SlackProblem("not_found")
    return view


async def submit(hub: Hub, me: str, given: Json) -> Json:
    """Submit a form."""
    return await interactions.submit(hub, _modal(hub, me, given), given.get("values"))


async def close(hub: Hub, me: str, given: Json) -> Json:
    """Close a form; one that is closed already stays so."""
    try:
        view = _modal(hub, me, given)
    except SlackProblem:
        return {"ok": True}
    return await interactions.close(hub, view)


def _modal(hub: Hub, me: str, given: Json) -> View:
    view = _view(hub, me, str(given["view_id"]))
    if view.body["type"] != "modal":
        raise SlackProblem("not_found")
    return view


async def shortcut(hub: Hub, me: str, given: Json) -> Json:
    """Use a shortcut."""
    channel = hub.workspace.joined(str(given["channel"]), me) if given.get("channel") else None
    message = hub.workspace.message(channel, str(given["ts"])) if channel and given.get("ts") else None
    return await interactions.shortcut(hub, me, str(given.get("callback_id")), channel, message)


async def home(hub: Hub, me: str, _given: Json) -> Json:
    """Look at the app's home tab."""
    events.home_opened(hub, me)
    return {"ok": True}


async def stop_stream(hub: Hub, me: str, given: Json) -> Json:
    """Stop a streaming answer."""
    channel = hub.workspace.joined(str(given.get("channel")), me)
    streams.stop(hub, hub.workspace.message(channel, str(given.get("ts"))))
    return {"ok": True}


async def react(hub: Hub, me: str, given: Json) -> Json:
    """React to a message, or take one's reaction back."""
    channel = hub.workspace.joined(str(given.get("channel")), me)
    message = hub.workspace.message(channel, str(given.get("ts")))
    name = str(given.get("name") or "").strip(":")
    if not name:
        raise SlackProblem("invalid_name")
    posting.react(hub, message, me, name, add=me not in message.reactions.get(name, []))
    return {"ok": True}


async def add_fault(hub: Hub, _me: str, given: Json) -> Json:
    """Let something go wrong."""
    fault = hub.faults.add(given)
    if fault.kind is FaultKind.DISCONNECT:
        await hub.sockets.disconnect(fault.error)
    return {"ok": True}


async def clear_faults(hub: Hub, _request: Request) -> Json:
    """Let nothing go wrong any more."""
    hub.faults.clear()
    return {"ok": True}


async def journal(hub: Hub, request: Request) -> Json:
    """The exchanges since number `after`."""
    after = request.query_params.get("after", "0")
    if not after.isdecimal():
        raise SlackProblem("invalid_arguments")
    return {"ok": True, "entries": hub.journal.read(int(after), request.query_params.get("kind", ""))}


POSTS: dict[str, Act] = {
    "/sandbox/messages": say,
    "/sandbox/commands": command,
    "/sandbox/actions": act,
    "/sandbox/views/{view_id}/submit": submit,
    "/sandbox/views/{view_id}/close": close,
    "/sandbox/shortcuts": shortcut,
    "/sandbox/home": home,
    "/sandbox/streams/stop": stop_stream,
    "/sandbox/reactions": react,
    "/sandbox/faults": add_fault,
}


def routes(hub: Hub) -> list[Route]:
    """The people's addresses."""

    def posted(act: Act) -> Callable[[Request], Awaitable[Response]]:
        async def run(request: Request) -> Json:
            try:
                given = await request.json()
            except ValueError as error:
                raise SlackProblem("invalid_json") from error
            if not isinstance(given, dict):
                raise SlackProblem("json_not_object")
            return await act(hub, person(hub, given.get("user")).id, {**given, **request.path_params})

        return answered(run)

    def asked(look: Callable[[Hub, Request], Awaitable[Json]]) -> Callable[[Request], Awaitable[Response]]:
        return answered(lambda request: look(hub, request))

    return [
        Route("/sandbox/state", asked(state)),
        Route("/sandbox/files", asked(upload), methods=["POST"]),
        Route("/sandbox/options", asked(options)),
        Route("/sandbox/journal", asked(journal)),
        Route("/sandbox/faults", asked(clear_faults), methods=["DELETE"]),
        *(Route(path, posted(act), methods=["POST"]) for path, act in POSTS.items()),
    ]


def answered(run: Callable[[Request], Awaitable[Json]]) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint whose refusals are answers too."""

    async def endpoint(request: Request) -> Response:
        try:
            return JSONResponse(await run(request))
        except SlackProblem as problem:
            return JSONResponse(problem.answer())

    return endpoint
