"""A model's answer in a thread: its text as Markdown, and what one thinks of it."""

from bot import escape
from bot.blocks.elements import MOST_FALLBACK, Block, Drawn

MOST_MARKDOWN = 11_500
"""Slack shows 12,000 characters of Markdown in a message."""


def feedback(turn_id: int) -> list[Block]:
    """Thumbs up, thumbs down."""

    def one(text: str, value: str) -> Block:
        return {"text": {"type": "plain_text", "text": text}, "value": f"{value}:{turn_id}"}

    buttons = {
        "type": "feedback_buttons",
        "action_id": "feedback",
        "positive_button": one("Good answer", "good"),
        "negative_button": one("Bad answer", "bad"),
    }
    return [{"type": "context_actions", "elements": [buttons]}]


def waiting(stage: str) -> Drawn:
    """What is done before the answer can begin: the same message becomes the answer."""
    text = f"⏳ _{escape.mrkdwn(stage, 100).capitalize()} …_"
    return Drawn(text=text, blocks=[{"type": "context", "elements": [{"type": "mrkdwn", "text": text}]}])


def draw(text: str, turn_id: int | None = None) -> Drawn:
    """A whole answer; `text` is harmless Markdown already. With a turn: complete, to be judged."""
    shown = escape.cut(text, MOST_MARKDOWN) or "…"
    blocks: list[Block] = [{"type": "markdown", "text": shown}]
    return Drawn(text=escape.cut(shown, MOST_FALLBACK), blocks=blocks + (feedback(turn_id) if turn_id else []))
