"""Vendor credentials: the overview for admins, the form that takes them, and how their check went.

Nothing secret is ever drawn: a form starts with what is no secret, and a secret that is kept is only named.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bot import escape
from bot.blocks.elements import (
    Block,
    Drawn,
    actions,
    button,
    confirm,
    context,
    divider,
    field_block,
    modal,
    section,
    text_input,
)
from providers.credentials import FIELDS, CredentialField
from providers.prices import vendor
from workers.credentials import Known
from workers.tables import Credential, CredentialStatus

LONGEST_VALUE = 500
"""Characters of a value; `providers.credentials.problems` takes no longer ones."""
WHERE: Mapping[str, str] = {
    "openai": (
        "Where to find it: at platform.openai.com, under API keys of a project. A key with restricted permissions "
        "needs Models, Model capabilities, Files and Fine-tuning."
    ),
    "azure_openai": (
        "Where to find them: in the Azure portal, at the resource, under Keys and Endpoint. With an API key alone "
        "models are trained but not deployed. To deploy them too, give the Entra fields of an app registration with "
        "the role *Cognitive Services OpenAI Contributor* on the resource, and where the resource is."
    ),
    "azure_ml": (
        "Where to find them: in the Azure portal, at the workspace and at an app registration, which needs the role "
        "*Azure AI Developer* on the workspace's resource group."
    ),
}
"""What to look for at each vendor, in mrkdwn."""
HOW_IT_IS_KEPT = (
    "🔒 Kept encrypted, not shown again, posted nowhere; only admins can open this form. Slack has no password "
    "fields: a secret can be read on your screen while you enter it."
)
ABOUT_WEBHOOKS = "A webhook is not needed: it lets us know of a job's end at once, where we would ask a little later."
NOT_THESE = (
    "The API keys of a tuned model's endpoint are something else: they are behind *Get an API key* and *Your API keys* "
    "at its message, in the run's thread."
)
TO_MEND = "Replace them, or mend it at the vendor and check again."
TO_FORGET = (
    "Runs that train there, and models that answer from there, are not reached any more until somebody enters new "
    "ones. What is there stays there, and may go on costing."
)


def overview(found: Sequence[Credential], runs: Mapping[str, int] | None = None) -> Drawn:
    """Each vendor with its state and its buttons. `runs`: how many are not over, by provider."""
    rows = {row.provider: row for row in found}
    blocks = [section("🔑 *Vendor credentials* of this workspace")]
    for provider in FIELDS:
        blocks += [divider(), *_about(provider, rows.get(provider), (runs or {}).get(provider, 0))]
    return Drawn(text="Vendor credentials of this workspace", blocks=[*blocks, divider(), context(NOT_THESE)])


def form(provider: str, known: Known, channel_id: str, webhook: str = "") -> Block:
    """The form of one vendor, around what is known already.

    `webhook` is where the vendor reaches this installation's gateway; empty where it cannot.
    """
    blocks: list[Block] = [section(WHERE[provider]), context(HOW_IT_IS_KEPT)]
    blocks += [_input(one, known) for one in FIELDS[provider]]
    if any(one.name == "webhook_secret" for one in FIELDS[provider]):
        blocks.append(context(f"{ABOUT_WEBHOOKS} {_webhook(webhook)}"))
    if known.kept:
        blocks.append(
            context(
                "A secret that you leave empty stays as it is, unless the address or the id that it belongs to "
                "changes. To take one away, use Forget, then Add."
            )
        )
    return modal(
        "keys_form",
        _name(provider),
        blocks,
        submit="Save and check",
        close="Cancel",
        metadata=json.dumps({"channel": channel_id, "provider": provider}),
    )


def _webhook(address: str) -> str:
    if not address:
        return (
            "It needs a gateway that the vendor can reach: whoever runs Finetune Bot sets FINETUNE_BOT_GATEWAY_URL to "
            "its address."
        )
    return (
        f"Create it at the vendor for the address `{escape.code(address, 500)}` and the events "
        "`fine_tuning.job.succeeded`, `fine_tuning.job.failed` and `fine_tuning.job.cancelled`."
    )


def opened(view: Mapping[str, Any]) -> tuple[str, str]:
    """The channel that the form was opened in, and the provider it is about."""
    data = json.loads(view.get("private_metadata") or "{}")
    return str(data.get("channel") or ""), str(data.get("provider") or "")


def entered(provider: str, values: Mapping[str, Any]) -> dict[str, str]:
    """What was entered, by field; all of it is secret until it is known to be none."""
    return {
        one.name: str(((values.get(one.name) or {}).get("value") or {}).get("value") or "")
        for one in FIELDS.get(provider, ())
    }


def saved(provider: str, runs: int = 0) -> str:
    """What is said at once, until the vendor has answered. `runs`: how many there are not over."""
    said = f"🔑 The credentials for {_name(provider)} are saved and being checked. You are told here how it went."
    return (
        f"{said} ⚠️ {_not_over(runs)}: {'it goes' if runs == 1 else 'they go'} on only if these reach the same account."
        if runs
        else said
    )


def _not_over(runs: int) -> str:
    return f"{runs:,} runs there are not over" if runs != 1 else "1 run there is not over"


def outcome(data: Mapping[str, Any]) -> Drawn:
    """How the check went, for the person who asked for it."""
    provider, status = str(data["provider"]), CredentialStatus(str(data["status"]))
    name, problem = _name(provider), _quoted(str(data.get("problem") or ""))
    match status:
        case CredentialStatus.WORKING:
            words = _sentence(escape.mrkdwn(str(data.get("words") or ""), 300))
            text = f"✅ *{name}* takes these credentials. {words} Runs can be trained there from now on."
        case CredentialStatus.REFUSED:
            text = f"❌ *{name}* cannot be used with these credentials.{problem}{TO_MEND}"
        case _:
            text = (
                f"⚠️ *{name}* could not be asked whether it takes these credentials.{problem}They are kept, and may be "
                "right: check again in a while."
            )
    blocks: list[Block] = [section(text)]
    if status is not CredentialStatus.WORKING:
        blocks.append(actions(*_buttons(provider, status)))
    if data.get("error_id"):
        blocks.append(context(f"error id `{escape.code(str(data['error_id']), 40)}` – it is in the logs"))
    return Drawn(text=text.replace("*", ""), blocks=blocks)


def _name(provider: str) -> str:
    return vendor(provider).text


def _state(row: Credential | None) -> str:
    if row is None:
        return "not set up"
    problem = _quoted(row.problem)
    match row.status:
        case CredentialStatus.CHECKING:
            return "⏳ being checked"
        case CredentialStatus.WORKING:
            words = _sentence(escape.mrkdwn(row.words, 300))
            return f"✅ works · asked {_when(row.checked_at)}\n{words}".rstrip()
        case CredentialStatus.REFUSED:
            return f"❌ does not work · asked {_when(row.checked_at)}{problem}{TO_MEND}"
        case CredentialStatus.UNREACHED:
            return f"⚠️ could not be asked {_when(row.checked_at)}{problem}They are kept. Check again in a while."


def _about(provider: str, row: Credential | None, runs: int) -> list[Block]:
    text = f"*{_name(provider)}* · {_state(row)}"
    if row is None:
        return [section(text, accessory=button("Add", "keys_enter", provider, style="primary"))]
    shown = [context(_shown(row))] if row.shown else []
    used = [context(f"⏳ {_not_over(runs)}. Forget these credentials only after that.")] if runs else []
    return [section(text), *shown, *used, actions(*_buttons(provider, row.status, runs))]


def _shown(row: Credential) -> str:
    """What of them is no secret."""
    return " · ".join(
        f"{one.text.lower()} {escape.mrkdwn(str(row.shown[one.name]), 120)}"
        for one in FIELDS[row.provider]
        if one.name in row.shown
    )


def _when(at: float | None) -> str:
    """A time in the reader's own zone."""
    return f"<!date^{int(at or 0)}^{{date_short_pretty}}, {{time}}|lately>"


def _quoted(problem: str) -> str:
    """A vendor's words on a line of their own."""
    return f"\n> {escape.mrkdwn(' '.join(problem.split()), 1000) or '–'}\n"


def _sentence(text: str) -> str:
    return text if not text or text.endswith((".", "!", "?", "…")) else f"{text}."


def _buttons(provider: str, status: CredentialStatus, runs: int = 0) -> list[Block]:
    replace = button("Replace", "keys_enter", provider)
    again = [] if status is CredentialStatus.CHECKING else [button("Check again", "keys_check", provider)]
    warned = f"{_not_over(runs)}! {TO_FORGET}" if runs else TO_FORGET
    question = confirm("Forget these credentials?", warned, "Forget them", "Keep them")
    return [replace, *again, button("Forget", "keys_forget", provider, style="danger", confirm=question)]


def _input(one: CredentialField, known: Known) -> Block:
    is_kept, is_example = one.name in known.kept, "://" in one.hint
    return field_block(
        one.name,
        one.text,
        text_input(
            "value",
            "" if one.secret else str(known.shown.get(one.name) or ""),
            placeholder="there is one: leave this empty to keep it" if is_kept else one.hint if is_example else "",
            most=LONGEST_VALUE,
        ),
        optional=is_kept or not one.needed,
        hint="" if is_example else f"{one.hint[:1].upper()}{one.hint[1:]}",
    )
