"""conversations.*, and reactions.*."""

from bot.sandbox import posting
from bot.sandbox.cast import BOT
from bot.sandbox.errors import SlackProblem
from bot.sandbox.paging import page
from bot.sandbox.registry import Call, method
from bot.sandbox.workspace import Channel, Json, Message


@method("conversations.info")
def info(call: Call) -> Json:
    """One channel."""
    channel = call.workspace.channel(call.arguments.needed("channel"))
    return {"channel": call.hub.present.channel(channel)}


@method("conversations.list")
def list_(call: Call) -> Json:
    """The channels that the bot may know of."""
    return _listed(call, [one for one in call.workspace.channels.values() if not _hidden(one, BOT.id)])


@method("users.conversations")
def of_user(call: Call) -> Json:
    """The channels that somebody is in, as far as the bot may know of them."""
    user = call.workspace.user(call.arguments.text("user") or BOT.id)
    known = [one for one in call.workspace.channels.values() if not _hidden(one, BOT.id)]
    return _listed(call, [one for one in known if user.id in one.members])


def _listed(call: Call, channels: list[Channel]) -> Json:
    types = {one.strip() for one in (call.arguments.text("types") or "public_channel").split(",")}
    if types - {"public_channel", "private_channel", "im", "mpim"}:
        raise SlackProblem("invalid_types")
    wanted = {"public_channel": "channel", "private_channel": "group", "im": "im"}
    kinds = {wanted[one] for one in types if one in wanted}
    shown, more = page([one for one in channels if one.kind in kinds], call.arguments)
    return {
        "channels": [call.hub.present.channel(one) for one in shown],
        "response_metadata": more["response_metadata"],
    }


def _hidden(channel: Channel, user_id: str) -> bool:
    return (channel.is_private or channel.is_im) and user_id not in channel.members


@method("conversations.members")
def members(call: Call) -> Json:
    """Who is in a channel."""
    channel = call.workspace.channel(call.arguments.needed("channel"))
    shown, more = page(channel.members, call.arguments)
    return {"members": shown, "response_metadata": more["response_metadata"]}


@method("conversations.history")
def history(call: Call) -> Json:
    """What stands in a channel, newest first."""
    channel = call.workspace.joined(call.arguments.needed("channel"))
    found = [one for one in reversed(channel.timeline()) if _between(call, one)]
    return _messages(call, found)


@method("conversations.replies")
def replies(call: Call) -> Json:
    """A thread: its parent first, then the replies, oldest first."""
    channel = call.workspace.joined(call.arguments.needed("channel"))
    asked = channel.messages.get(call.arguments.needed("ts"))
    if asked is None:
        raise SlackProblem("thread_not_found")
    root = channel.messages.get(asked.thread_ts or asked.ts, asked)
    return _messages(call, [root, *(one for one in channel.thread(root.ts) if _between(call, one))])


def _between(call: Call, message: Message) -> bool:
    oldest, latest = call.arguments.text("oldest") or "0", call.arguments.text("latest") or "9999999999.999999"
    try:
        after, before, ts = float(oldest), float(latest), float(message.ts)
    except ValueError as error:
        raise SlackProblem("invalid_ts_oldest") from error
    if call.arguments.flag("inclusive"):
        return after <= ts <= before
    return after < ts < before


def _messages(call: Call, found: list[Message]) -> Json:
    shown, more = page(found, call.arguments)
    metadata = call.arguments.flag("include_all_metadata")
    return {"messages": [call.hub.present.message(one, metadata=metadata) for one in shown], "pin_count": 0, **more}


@method("conversations.open")
def open_(call: Call) -> Json:
    """The direct conversation with a person."""
    if call.arguments.text("channel"):
        channel = call.workspace.joined(call.arguments.text("channel"))
    else:
        users = [one.strip() for one in call.arguments.needed("users").split(",")]
        if len(users) != 1:
            raise SlackProblem("not_enough_users" if not users else "method_not_supported_for_channel_type")
        if users[0] == BOT.id:
            raise SlackProblem("cannot_dm_bot")
        channel = call.workspace.direct(users[0])
    shown = call.hub.present.channel(channel) if call.arguments.flag("return_im") else {"id": channel.id}
    return {"channel": shown, "no_op": True, "already_open": True}


@method("conversations.join")
def join(call: Call) -> Json:
    """Become a member of a public channel."""
    channel = call.workspace.channel(call.arguments.needed("channel"))
    if channel.is_im or channel.is_private:
        raise SlackProblem("method_not_supported_for_channel_type")
    if BOT.id not in channel.members:
        channel.members.append(BOT.id)
    return {"channel": call.hub.present.channel(channel)}


@method("reactions.add")
def add_reaction(call: Call) -> Json:
    """React to a message."""
    message, name = _reaction(call)
    if BOT.id in message.reactions.get(name, []):
        raise SlackProblem("already_reacted")
    posting.react(call.hub, message, BOT.id, name, add=True)
    return {}


@method("reactions.remove")
def remove_reaction(call: Call) -> Json:
    """Take the bot's reaction back."""
    message, name = _reaction(call)
    if BOT.id not in message.reactions.get(name, []):
        raise SlackProblem("no_reaction")
    posting.react(call.hub, message, BOT.id, name, add=False)
    return {}


@method("reactions.get")
def get_reactions(call: Call) -> Json:
    """A message with its reactions."""
    channel = call.workspace.joined(call.arguments.needed("channel"))
    message = call.workspace.message(channel, call.arguments.needed("timestamp"))
    return {"type": "message", "channel": channel.id, "message": call.hub.present.message(message)}


def _reaction(call: Call) -> tuple[Message, str]:
    channel = call.workspace.joined(call.arguments.needed("channel"))
    name = call.arguments.needed("name").strip(":")
    if not all(letter.isalnum() or letter in "_+-'" for letter in name):
        raise SlackProblem("invalid_name")
    return call.workspace.message(channel, call.arguments.needed("timestamp")), name
