"""A thread as training data: the card in it, and the question to each author."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bot import escape
from bot.blocks.elements import Block, Drawn, actions, button, confirm, context, modal, section
from bot.blocks.findings import counted
from workers.tables import Consent, ConsentAnswer, ImportStatus, ThreadImport
from workers.thread_examples import MOST_MESSAGES

TITLE = "Use as training data"
AGAIN = "use_thread_again"
ASKED = (
    "🧵 The authors of this thread are asked whether their words may be used. Yours may, as it is you who asks. A card "
    "in the thread shows how many have agreed."
)
NOT_THERE = frozenset({"not_in_channel", "channel_not_found"})
NOTHING_DONE = "Nothing was recorded, and nobody was asked."


def barred(problem: str, channel_id: str, thread_ts: str, *, channel_name: str = "", still: bool = False) -> Block:
    """A window: why the bot cannot read the thread, and what to do. `still`: it was tried again."""
    gone = problem in {"thread_not_found", "message_not_found"}
    direct = problem in NOT_THERE and (channel_id.startswith("D") or channel_name.startswith("mpdm-"))
    if gone:
        blocks = [section("🧵 The thread is not there any more."), context(NOTHING_DONE)]
    elif direct:
        blocks = [
            section("🧵 This is a direct conversation between people. I cannot be invited to it, so I cannot read it."),
            section(
                "*What you can do:* have the conversation in a channel that I am in, or attach a file with the "
                "questions and answers to a message there, or to a direct message to me."
            ),
            context(NOTHING_DONE),
        ]
    elif problem in NOT_THERE:
        blocks = _uninvited(channel_id)
    else:
        blocks = [
            section("🧵 The app may not read messages here: it lacks a permission."),
            section(
                "*To go on:* ask an admin to add the scopes of the app's manifest and to install it again, then press "
                "*Try again*."
            ),
            context(NOTHING_DONE),
        ]
    if still:
        blocks.insert(0, section("⏳ *Tried again:* it is still so."))
    metadata = json.dumps({"channel": channel_id, "thread": thread_ts})
    return modal(AGAIN, TITLE, blocks, submit="" if gone or direct else "Try again", metadata=metadata)


def _uninvited(channel_id: str) -> list[Block]:
    place = f"<#{channel_id}>"
    return [
        section(f"🧵 I am not in {place}, so I cannot read this thread."),
        section(
            f"*To go on:*\n1. Close this window, and type `/invite @Finetune Bot` in {place}.\n"
            f"2. Choose *{TITLE}* in the message's menu again.\n"
            "Has somebody let me in meanwhile? Press *Try again*."
        ),
        context(
            f"{NOTHING_DONE} The thread's authors are always asked before their words are used. Once I am in, I can "
            "read what is written there."
        ),
    ]


def reopened(view: Mapping[str, Any]) -> tuple[str, str]:
    """The channel and the thread that such a window is about."""
    data = json.loads(view.get("private_metadata") or "{}")
    return str(data.get("channel") or ""), str(data.get("thread") or "")


def under_way() -> Block:
    """The window once the thread can be read after all."""
    return modal(AGAIN, TITLE, [section(ASKED)])


def card(wanted: ThreadImport, consents: Sequence[Consent]) -> Drawn:
    """Where it is, who has agreed, and what can be done."""
    yes, no, asked = (
        sum(one.answer is answer for one in consents)
        for answer in (ConsentAnswer.YES, ConsentAnswer.NO, ConsentAnswer.ASKED)
    )
    who = f"<@{wanted.creator_id}>"
    match wanted.status:
        case ImportStatus.READING:
            words = "🧵 Looking at who wrote in this thread …"
        case ImportStatus.ASKING:
            words = (
                f"🧵 {who} wants to use this thread as training data. Its authors are being asked: "
                f"{yes} agreed, {no} did not, *{asked} not answered yet*. Only the words of those who agree are used."
            )
        case ImportStatus.WRITING:
            words = f"🧵 The words of {counted(yes, 'author')} who agreed are being made into examples …"
        case ImportStatus.DONE:
            words = f"🧵 Made into training data with the words of {counted(yes, 'author')}; its report follows."
        case ImportStatus.STOPPED:
            words = f"🧵 Not made into training data. {escape.mrkdwn(wanted.problem, 600)}"
    if wanted.cut and wanted.status is not ImportStatus.STOPPED:
        words += f" It is long: only its first {MOST_MESSAGES:,} messages are read."
    blocks: list[Block] = [section(words)]
    if wanted.status is ImportStatus.ASKING:
        question = confirm(
            "Go on without the others?", "Who has not answered counts as not agreeing. Their words are left out.",
            "Go on", "Wait", style="primary",
        )  # fmt: skip
        blocks.append(
            actions(
                button("Go on without the others", "import_go_on", str(wanted.id), confirm=question),
                button("Stop", "import_stop", str(wanted.id)),
            )
        )
    return Drawn(text=escape.cut(words, 500), blocks=blocks)


def question(wanted: ThreadImport, consent: Consent, link: str) -> Drawn:
    """What an author is asked, or what they have answered."""
    place = f"<{link}|a thread>" if link.startswith(("https://", "http://")) else "a thread"
    where = f"{place} in <#{wanted.channel_id}>"
    intro = (
        f"<@{wanted.creator_id}> wants to train a language model on {where}, in which you wrote "
        f"{counted(consent.messages, 'message')}. May your words be used?"
    )
    answered = {
        ConsentAnswer.YES: "✅ You agreed.",
        ConsentAnswer.NO: "🚫 You did not agree: your words are not used.",
        ConsentAnswer.ASKED: "🚫 You did not answer: your words are not used.",
    }[consent.answer]
    if wanted.status is ImportStatus.ASKING:
        state = (
            "" if consent.answer is ConsentAnswer.ASKED else f"\n{answered} You can change your mind until it is done."
        )
        blocks = [
            section(intro + state),
            actions(
                button("Yes, use my words", "consent_yes", str(consent.id), style="primary"),
                button("No", "consent_no", str(consent.id)),
            ),
            context(
                "Names and mentions are replaced. The people of that channel can see and download the examples. "
                "If you do not answer within three days, your words are not used."
            ),
        ]
        return Drawn(text=f"May your words in {where} be used to train a model?", blocks=blocks)
    if wanted.status is ImportStatus.STOPPED:
        return Drawn(
            text="It was given up.", blocks=[section(f"The training on {where} was given up. Nothing was used.")]
        )
    later = (
        " To take that back, ask them or an admin to delete the dataset." if consent.answer is ConsentAnswer.YES else ""
    )
    return Drawn(text=answered, blocks=[section(f"About {where}: {answered}{later}")])
