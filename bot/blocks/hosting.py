"""What a hosted model costs and until when, and the buttons that change it."""

import time

from bot import escape
from bot.blocks.elements import Block, Drawn, actions, button, confirm, context, option, section
from providers import prices
from providers.prices import Price
from workers.hosting.estimate import BY_ITS_TOKENS, UNKNOWN_HOUR, costs, per_hour, throughput
from workers.hosting.models import BILLED, COMING
from workers.hosting.people import KEEP_HOURS, is_at_vendors_end
from workers.tables import Endpoint, EndpointStatus, HostedModel, LeaseStatus

CAPACITIES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
"""Those that are offered where a model is deployed again; a plan may have any between."""
UNKNOWN = UNKNOWN_HOUR[0].upper() + UNKNOWN_HOUR[1:]


def line(hosted: HostedModel | None) -> str:
    """How an endpoint's model is hosted now, on one line of mrkdwn; whether it sleeps is said beside it."""
    if hosted is None or hosted.status not in BILLED:
        return "Its model is hosted nowhere, and costs nothing."
    cost = costs(hosted.price_per_hour)
    if hosted.status in COMING:
        return f"⏳ is being deployed, which takes some minutes · then {cost}"
    if hosted.status is LeaseStatus.ENDING:
        billed = "" if hosted.price_per_hour == 0 else f" · {cost} until that is done"
        return f"🧹 Its deployment is being deleted{billed}"
    parts = [cost]
    if hosted.ends_at is not None:
        ends = f", when {_vendor(hosted)} itself ends it" if is_at_vendors_end(hosted) else ""
        parts.append(f"until {moment(hosted.ends_at)} ({span(hosted.ends_at)}){ends}")
    if most := throughput(hosted.provider, hosted.capacity):
        parts.append(most)
    parts.append(f"used {span(hosted.used_at)}" if hosted.used_at is not None else "not used yet")
    return "💵 " + " · ".join(parts)


def moment(at: float) -> str:
    """A time as the reader's own clock shows it; with its day where that is another one."""
    fallback = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))
    return f"<!date^{int(at)}^{{date_short_pretty}} {{time}}|{fallback}>"


def span(at: float) -> str:
    """How far away a time is; Slack keeps it up to date."""
    fallback = time.strftime("%H:%M UTC", time.gmtime(at))
    return f"<!date^{int(at)}^{{ago}}|{fallback}>"


def buttons(endpoint: Endpoint, hosted: HostedModel | None, longer: Price | None = None, owed: str = "") -> list[Block]:
    """What can be done about it now.

    `longer`: the tier to go on in where the vendor itself would end it. `owed`: what is compared, and for how much,
    once it is deployed again.
    """
    if hosted is not None and hosted.status is LeaseStatus.READY:
        return [*_keeping(hosted, longer), _end(hosted)]
    if hosted is not None and hosted.status in COMING:
        return [_end(hosted)]
    if endpoint.status is not EndpointStatus.ASLEEP:
        return []
    question = _waking_question(hosted, owed)
    return [_wake(endpoint, hosted, question), *_wake_otherwise(endpoint, hosted, question)]


def kept(hosted: HostedModel) -> str:
    """Until when it stays now, for the person who has kept it."""
    until = moment(hosted.ends_at or 0.0)
    if is_at_vendors_end(hosted):
        return f"✅ It stays deployed until {until}. {_vendor(hosted)} itself ends it then; it can be deployed again."
    return f"✅ It stays deployed until {until}."


def warning(hosted: HostedModel, name: str, longer: Price | None = None) -> Drawn:
    """The lease ends soon; later, what became of that. `longer`: as for the buttons."""
    name = escape.mrkdwn(name, 60)
    if hosted.status is not LeaseStatus.READY or hosted.ends_at is None:
        return Drawn(text=f"{name}: its deployment is over.", blocks=[context(f"{name}: its deployment is over.")])
    if hosted.warned_at is None:
        rate = f", at {per_hour(hosted.price_per_hour)}" if hosted.price_per_hour else ""
        text = f"✅ {name} stays deployed until {moment(hosted.ends_at)}{rate}."
        return Drawn(text=text, blocks=[context(text)])
    until = moment(hosted.ends_at)
    if is_at_vendors_end(hosted):
        said = f"⏰ *{name}* is deployed until {until}, when {_vendor(hosted)} itself ends it."
    elif hosted.extended:
        said = f"⏰ *{name}* is in use, so it stays deployed for an hour more: until {until}."
    else:
        said = f"⏰ *{name}* is deployed until {until}; then it is deleted."
    rules = ["The tuned model itself is kept, and can be deployed again."]
    if not is_at_vendors_end(hosted):
        rules.insert(0, "Used within the last half an hour, it gets an hour more, for a day at most.")
    if hosted.price_per_hour != 0:
        known = hosted.price_per_hour is not None
        rules.insert(0, f"It {costs(hosted.price_per_hour)} while it is deployed." if known else f"{UNKNOWN}.")
    rule = " ".join(rules)
    made = [*_keeping(hosted, longer), _end(hosted)]
    return Drawn(text=f"{said} {rule}", blocks=[section(said), context(rule), actions(*made)])


def waking(endpoint: Endpoint, hosted: HostedModel, owed: str = "") -> Drawn:
    """Who has had the model deployed again, and what that costs; `owed`: as for the buttons."""
    who = f"<@{hosted.creator_id}>" if hosted.creator_id else "Somebody"
    cost = f" From then on: {costs(hosted.price_per_hour)}." if hosted.tier else ""
    again = f"⏳ {who} has *{escape.mrkdwn(endpoint.name, 60)}* deployed again, which takes some minutes."
    said = f"{again}{cost} {owed}".rstrip()
    return Drawn(text=said, blocks=[context(said)])


def asleep(endpoint: Endpoint, hosted: HostedModel | None, why: str, owed: str = "") -> Drawn:
    """Nobody answers here now, and what to do about it; `owed`: as for the buttons."""
    name, reason = escape.mrkdwn(endpoint.name, 60), escape.mrkdwn(why, 500)
    if endpoint.status is EndpointStatus.DELETED:
        return Drawn(text=f"🗑️ {name} is deleted.", blocks=[context(f"🗑️ {name} is deleted: nobody answers here.")])
    if endpoint.status is EndpointStatus.ACTIVE:
        return Drawn(text=f"☀️ {name} is awake.", blocks=[context(f"☀️ {name} is awake: reply in this thread.")])
    if hosted is not None and hosted.status in COMING:
        said = f"⏳ *{name}* is being deployed again. That takes some minutes; this thread is told when it answers."
        return Drawn(text=said, blocks=[section(said), actions(*buttons(endpoint, hosted))])
    said = f"😴 *{name}* is asleep: its model is not deployed, so nobody answers here."
    blocks = [section(said), *([context(reason)] if reason else [])]
    made = actions(*buttons(endpoint, hosted, owed=owed))
    return Drawn(text=f"{said} {reason}".strip(), blocks=[*blocks, made])


def _vendor(hosted: HostedModel) -> str:
    return prices.vendor(hosted.provider).text


def _keeping(hosted: HostedModel, longer: Price | None) -> list[Block]:
    """What makes it stay: keeping it, or another tier where the vendor itself will end it."""
    kept = [] if is_at_vendors_end(hosted) else [_keep(hosted)]
    return [*kept, *([_longer(hosted, longer)] if longer is not None else [])]


def _keep(hosted: HostedModel) -> Block:
    rate, hours = hosted.price_per_hour, f"{KEEP_HOURS:.0f}"
    cost = "at a price that is not known here" if rate is None else f"about ${rate * KEEP_HOURS:,.2f}"
    if rate == 0:
        cost = BY_ITS_TOKENS
    name, title, stays = f"Keep {hours} h", f"Keep it for {hours} hours?", f"for {hours} hours from now, {cost}"
    if hosted.lives_until is not None and hosted.lives_until < time.time() + KEEP_HOURS * 3600:
        name, title = "Keep to its end", f"Keep it until {_vendor(hosted)} ends it?"
        lives = (hosted.lives_until - hosted.created_at) / 3600
        stays = f"until {_vendor(hosted)} itself ends it, {lives:.0f} hours after it was deployed"
    question = confirm(title, f"It stays deployed {stays}. You can delete it at any time.", "Keep it", "Not now",
                       style="primary")  # fmt: skip
    return button(name, "hosted_keep", str(hosted.id), confirm=question)


def _longer(hosted: HostedModel, price: Price) -> Block:
    rate = per_hour(price.hosting_per_hour)
    text = (
        f"{_vendor(hosted)} ends it where it is hosted now. It is deployed anew where that does not happen, at {rate} "
        "until it is deleted. That takes some minutes, in which nobody answers. Unused it is deleted after a while."
    )
    question = confirm(f"Host it for {rate}?", text, "Host it longer", "Not now", style="primary")
    return button(f"Host it longer · {rate}", "hosted_longer", str(hosted.id), confirm=question)


def _end(hosted: HostedModel) -> Block:
    text = "Nobody can chat with it then, also not over HTTP. The tuned model itself stays and can be deployed again."
    question = confirm("Delete the deployment?", text, "Delete it", "Leave it")
    return button("Delete now", "hosted_end", str(hosted.id), style="danger", confirm=question)


def _wake(endpoint: Endpoint, hosted: HostedModel | None, question: Block) -> Block:
    rate = _last_rate(hosted)
    price = f" · {per_hour(rate)}" if rate else ""
    if rate == 0:
        price = " · billed by its tokens"
    return button(f"Deploy again{price}", "endpoint_wake", str(endpoint.id), style="primary", confirm=question)


def _wake_otherwise(endpoint: Endpoint, hosted: HostedModel | None, question: Block) -> list[Block]:
    """The menu of capacities to deploy it again with, where one can be chosen."""
    if not throughput(endpoint.provider, 1):
        return []
    last = hosted.capacity if hosted is not None else None
    offered = [
        option(f"{throughput(endpoint.provider, one)}{' (as before)' if one == last else ''}", f"{endpoint.id}:{one}")
        for one in CAPACITIES
    ]
    return [
        {
            "type": "static_select",
            "action_id": "endpoint_wake_with",
            "placeholder": {"type": "plain_text", "text": "Deploy with another capacity"},
            "options": offered,
            "confirm": question,
        }
    ]


def _last_rate(hosted: HostedModel | None) -> float | None:
    """What an hour cost where it last answered; None where it never did, or that is not known."""
    return hosted.price_per_hour if hosted is not None and hosted.ready_at is not None else None


def _waking_question(hosted: HostedModel | None, owed: str) -> Block:
    known, rate = hosted is not None and hosted.ready_at is not None, _last_rate(hosted)
    hours = f"{hosted.lease_hours:g} hours" if hosted is not None and known else "some hours"
    cost = f": {costs(rate)}"
    if rate and hosted is not None:
        cost = f" at {per_hour(rate)}, about ${rate * hosted.lease_hours:,.2f} in all"
    text = (
        f"It is deployed for {hours}{cost}. Unused at their end it is deleted; in use it gets an hour "
        f"more each time, for a day at most. {owed or 'It can be deleted at any time.'}"
    )
    return confirm("Deploy it again?", text, "Deploy it", "Not now", style="primary")
