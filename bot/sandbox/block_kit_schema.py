"""Block Kit as a table: which fields each block, element and view has, which it needs, and how long they may be."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Surface(StrEnum):
    """Where blocks are shown."""

    MESSAGE = "message"
    MODAL = "modal"
    HOME = "home"


MESSAGE, MODAL, HOME = Surface.MESSAGE, Surface.MODAL, Surface.HOME
EVERYWHERE = frozenset(Surface)


@dataclass(frozen=True)
class Words:
    """A bare string."""

    most: int
    least: int = 0


@dataclass(frozen=True)
class Text:
    """A text object of one of some kinds."""

    most: int
    kinds: tuple[str, ...] = ("plain_text",)


@dataclass(frozen=True)
class Number:
    """A whole number within bounds."""

    low: int
    high: int


@dataclass(frozen=True)
class Truth:
    """true or false."""


@dataclass(frozen=True)
class Anything:
    """A field whose content is not looked at."""


@dataclass(frozen=True)
class OneOf:
    """A string out of some."""

    values: tuple[str, ...]


@dataclass(frozen=True)
class Each:
    """A list of things of one kind."""

    of: Any
    most: int
    least: int = 1


@dataclass(frozen=True)
class Typed:
    """An object whose `type` is one of some, looked up among the elements or (`blocks`) the blocks."""

    types: AbstractSet[str]
    blocks: bool = False


@dataclass(frozen=True)
class Shape:
    """An object: its fields, those it needs, and groups of which at least one is needed."""

    fields: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    needs_one_of: tuple[str, ...] = ()
    surfaces: frozenset[Surface] = field(default=EVERYWHERE)
    is_open: bool = False


ANY, TRUTH = Anything(), Truth()
BOTH = ("plain_text", "mrkdwn")
ID = Words(255, 1)
PLACEHOLDER = Text(150)
URL = Words(3000, 1)

CONFIRM = Shape(
    {"title": Text(100), "text": Text(300, BOTH), "confirm": Text(30), "deny": Text(30),
     "style": OneOf(("primary", "danger"))},
    needs=("title", "text", "confirm", "deny"),
)  # fmt: skip


def _option(*kinds: str, value: int = 150) -> Shape:
    fields = {"text": Text(75, kinds), "value": Words(value, 1), "description": Text(75, kinds), "url": URL}
    return Shape(fields, needs=("text", "value"))


OPTION, RICH_OPTION = _option("plain_text"), _option(*BOTH)
OPTIONS = Each(OPTION, 100)
GROUPS = Each(Shape({"label": Text(75), "options": OPTIONS}, needs=("label", "options")), 100)
DISPATCH = Shape({"trigger_actions_on": Each(OneOf(("on_enter_pressed", "on_character_entered")), 2)})
SLACK_FILE = Shape({"id": Words(255, 1), "url": URL}, needs_one_of=("id", "url"))
COMMON = {"action_id": ID, "confirm": CONFIRM, "focus_on_load": TRUTH}
TYPED = {"action_id": ID, "focus_on_load": TRUTH, "placeholder": PLACEHOLDER, "dispatch_action_config": DISPATCH}


def _select(initial: str, kind: Any, *, multiple: bool = False, **more: Any) -> Shape:
    fields = {**COMMON, "placeholder": PLACEHOLDER, **more}
    fields["initial_" + initial + ("s" if multiple else "")] = Each(kind, 100, 0) if multiple else kind
    if multiple:
        fields["max_selected_items"] = Number(1, 100)
    else:
        fields["response_url_enabled"] = TRUTH
    return Shape(fields, needs_one_of=("options", "option_groups") if "options" in more else ())


def _selects() -> dict[str, Shape]:
    conversations = {"default_to_current_conversation": TRUTH, "filter": ANY}
    made: dict[str, Shape] = {}
    for multiple in (False, True):
        prefix = "multi_" if multiple else ""
        made[f"{prefix}static_select"] = _select(
            "option", OPTION, multiple=multiple, options=OPTIONS, option_groups=GROUPS
        )
        made[f"{prefix}external_select"] = _select("option", OPTION, multiple=multiple, min_query_length=Number(0, 100))
        made[f"{prefix}users_select"] = _select("user", ID, multiple=multiple)
        made[f"{prefix}channels_select"] = _select("channel", ID, multiple=multiple)
        made[f"{prefix}conversations_select"] = _select("conversation", ID, multiple=multiple, **conversations)
    return made


SELECTS = _selects()
_PICKER = {**COMMON, "placeholder": PLACEHOLDER}
_FEEDBACK = Shape(
    {"text": Text(75), "value": Words(2000, 1), "accessibility_label": Words(75)}, needs=("text", "value")
)
_BUTTON = {"text": Text(75), "accessibility_label": Words(75), "style": OneOf(("primary", "danger")), **COMMON}

ELEMENTS: dict[str, Shape] = {
    **SELECTS,
    "plain_text": Shape({"text": Words(3000, 1), "emoji": TRUTH}, needs=("text",)),
    "mrkdwn": Shape({"text": Words(3000, 1), "verbatim": TRUTH}, needs=("text",)),
    "image": Shape(
        {"image_url": URL, "slack_file": SLACK_FILE, "alt_text": Words(2000, 1)},
        needs=("alt_text",), needs_one_of=("image_url", "slack_file"),
    ),
    "button": Shape({**_BUTTON, "value": Words(2000), "url": URL}, needs=("text",)),
    "workflow_button": Shape({**_BUTTON, "workflow": ANY}, needs=("text", "workflow")),
    "overflow": Shape({**COMMON, "options": Each(OPTION, 5)}, needs=("options",)),
    "radio_buttons": Shape(
        {**COMMON, "options": Each(RICH_OPTION, 10), "initial_option": RICH_OPTION}, needs=("options",)
    ),
    "checkboxes": Shape(
        {**COMMON, "options": Each(RICH_OPTION, 10), "initial_options": Each(RICH_OPTION, 10)}, needs=("options",)
    ),
    "datepicker": Shape({**_PICKER, "initial_date": Words(10, 10)}),
    "timepicker": Shape({**_PICKER, "initial_time": Words(5, 5), "timezone": Words(100)}),
    "datetimepicker": Shape({**COMMON, "initial_date_time": Number(1_000_000_000, 9_999_999_999)}),
    "plain_text_input": Shape(
        {**TYPED, "initial_value": Words(3000), "multiline": TRUTH, "min_length": Number(0, 3000),
         "max_length": Number(1, 3000)}
    ),
    "rich_text_input": Shape({**TYPED, "initial_value": ANY}),
    "number_input": Shape(
        {**TYPED, "is_decimal_allowed": TRUTH, "initial_value": Words(100), "min_value": Words(100),
         "max_value": Words(100)},
        needs=("is_decimal_allowed",),
    ),
    "email_text_input": Shape({**TYPED, "initial_value": Words(3000)}),
    "url_text_input": Shape({**TYPED, "initial_value": Words(3000)}),
    "file_input": Shape(
        {"action_id": ID, "filetypes": Each(Words(50, 1), 100), "max_files": Number(1, 10)},
        surfaces=frozenset({MODAL}),
    ),
    "feedback_buttons": Shape(
        {"action_id": ID, "positive_button": _FEEDBACK, "negative_button": _FEEDBACK},
        needs=("positive_button", "negative_button"),
    ),
    "icon_button": Shape(
        {"action_id": ID, "icon": OneOf(("trash",)), "text": Text(75), "value": Words(2000), "confirm": CONFIRM,
         "accessibility_label": Words(75), "visible_to_user_ids": Each(ID, 100)},
        needs=("icon", "text"),
    ),
    "raw_text": Shape({"text": Words(10_000, 1)}, needs=("text",)),
    "raw_number": Shape({"value": ANY, "text": Words(255)}, needs=("value",)),
    "rich_text": Shape({"elements": Each(ANY, 1000), "block_id": ID}, needs=("elements",)),
    "url": Shape({"url": URL, "text": Words(3000), "icon_url": URL}, needs=("url", "text")),
}  # fmt: skip

SINGLE = frozenset(name for name in SELECTS if not name.startswith("multi_"))
PICKERS = frozenset({"datepicker", "timepicker", "datetimepicker", "checkboxes", "radio_buttons"})
IN_ACTIONS = SINGLE | PICKERS | {"button", "workflow_button", "overflow"}
IN_SECTION = frozenset(SELECTS) | PICKERS | {"button", "workflow_button", "overflow", "image"}
IN_INPUT = frozenset(SELECTS) | PICKERS | {
    "plain_text_input", "rich_text_input", "number_input", "email_text_input", "url_text_input", "file_input"
}  # fmt: skip

_POINTS = Each(Shape({"label": Words(20)}, is_open=True), 20, 0)
_SERIES = Shape({"name": Words(20), "data": _POINTS, "points": _POINTS}, is_open=True)
CHART = Shape(
    {"type": OneOf(("line", "area", "bar", "pie")), "series": Each(_SERIES, 6, 0), "segments": _POINTS},
    needs=("type",), is_open=True,
)  # fmt: skip
_IMAGE = Typed(frozenset({"image"}))
_CELLS = Typed(frozenset({"raw_text", "raw_number", "rich_text"}))
_RICH = Typed(frozenset({"rich_text"}))
_TASK = {
    "task_id": Words(255, 1), "title": Words(255, 1), "details": _RICH, "output": _RICH,
    "sources": Each(Typed(frozenset({"url"})), 100), "status": OneOf(("pending", "in_progress", "complete", "error")),
}  # fmt: skip
_ON_PAGES = frozenset({MESSAGE, HOME})
_ONLY_MESSAGE = frozenset({MESSAGE})

BLOCKS: dict[str, Shape] = {
    "section": Shape(
        {"text": Text(3000, BOTH), "fields": Each(Text(2000, BOTH), 10), "accessory": Typed(IN_SECTION),
         "expand": TRUTH},
        needs_one_of=("text", "fields"),
    ),
    "header": Shape({"text": Text(150), "level": Number(1, 4)}, needs=("text",)),
    "divider": Shape({}),
    "context": Shape(
        {"elements": Each(Typed(frozenset({"image", "plain_text", "mrkdwn"})), 10)}, needs=("elements",)
    ),
    "actions": Shape({"elements": Each(Typed(IN_ACTIONS), 25)}, needs=("elements",)),
    "context_actions": Shape(
        {"elements": Each(Typed(frozenset({"feedback_buttons", "icon_button"})), 5)},
        needs=("elements",), surfaces=_ONLY_MESSAGE,
    ),
    "image": Shape(
        {"image_url": URL, "slack_file": SLACK_FILE, "alt_text": Words(2000, 1), "title": Text(2000)},
        needs=("alt_text",), needs_one_of=("image_url", "slack_file"),
    ),
    "input": Shape(
        {"label": Text(2000), "element": Typed(IN_INPUT), "hint": Text(2000), "optional": TRUTH,
         "dispatch_action": TRUTH},
        needs=("label", "element"),
    ),
    "markdown": Shape({"text": Words(12_000, 1)}, needs=("text",), surfaces=_ONLY_MESSAGE),
    "rich_text": Shape({"elements": Each(ANY, 1000)}, needs=("elements",)),
    "file": Shape({"external_id": Words(255, 1), "source": OneOf(("remote",))}, needs=("external_id", "source")),
    "video": Shape(
        {"title": Text(199), "video_url": URL, "thumbnail_url": URL, "alt_text": Words(2000, 1),
         "author_name": Words(49), "description": Text(199), "provider_icon_url": URL, "provider_name": Words(255),
         "title_url": URL},
        needs=("title", "video_url", "thumbnail_url", "alt_text"),
    ),
    "table": Shape(
        {"rows": Each(Each(_CELLS, 20), 100), "column_settings": Each(ANY, 20)}, needs=("rows",), surfaces=_ON_PAGES
    ),
    "data_table": Shape({"rows": Each(Each(_CELLS, 20), 201)}, needs=("rows",), surfaces=_ON_PAGES, is_open=True),
    "data_visualization": Shape(
        {"title": Words(50, 1), "chart": CHART}, needs=("title", "chart"), surfaces=_ON_PAGES, is_open=True
    ),
    "task_card": Shape(_TASK, needs=("task_id", "title", "status"), surfaces=_ONLY_MESSAGE),
    "plan": Shape(
        {"title": Words(255, 1), "tasks": Each(Typed(frozenset({"task_card"}), blocks=True), 50, 0)},
        needs=("title",), surfaces=_ONLY_MESSAGE,
    ),
    "alert": Shape(
        {"text": Text(3000, BOTH), "level": OneOf(("default", "info", "warning", "error", "success"))},
        needs=("text",), surfaces=frozenset({MODAL}),
    ),
    "card": Shape(
        {"hero_image": _IMAGE, "icon": _IMAGE, "title": Text(150, BOTH), "subtitle": Text(150, BOTH),
         "body": Text(200, BOTH), "subtext": Text(200, BOTH), "actions": Each(Typed(frozenset({"button"})), 25)},
        needs_one_of=("hero_image", "title", "actions", "body"), is_open=True,
    ),
    "carousel": Shape(
        {"elements": Each(Typed(frozenset({"card"}), blocks=True), 10)}, needs=("elements",)
    ),
    "container": Shape(
        {"title": Text(150, BOTH), "subtitle": Text(150, BOTH), "icon": _IMAGE,
         "child_blocks": Each(Typed(frozenset({"section", "context", "divider", "image", "actions", "header",
                                               "rich_text", "table", "data_table", "data_visualization", "card"}),
                                    blocks=True), 10)},
        needs=("child_blocks",), surfaces=_ON_PAGES, is_open=True,
    ),
}  # fmt: skip

MOST_BLOCKS = {MESSAGE: 50, MODAL: 100, HOME: 100}
VIEW = {
    "type": OneOf(("modal", "home")), "private_metadata": Words(3000), "callback_id": Words(255),
    "external_id": Words(255), "clear_on_close": TRUTH, "notify_on_close": TRUTH, "blocks": ANY,
}  # fmt: skip
MODAL_VIEW = Shape(
    {**VIEW, "title": Text(24), "submit": Text(24), "close": Text(24), "submit_disabled": TRUTH},
    needs=("type", "title", "blocks"),
)
HOME_VIEW = Shape(VIEW, needs=("type", "blocks"))
