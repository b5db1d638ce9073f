"""From what a person put into a control, in plain values, to Slack's state and action objects; and what is wrong."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bot.sandbox.block_kit import elements_of
from bot.sandbox.errors import SlackProblem
from bot.sandbox.hub import Hub
from bot.sandbox.workspace import Json

STRINGS = frozenset({"plain_text_input", "number_input", "email_text_input", "url_text_input"})
DATES = {
    "datepicker": ("selected_date", "initial_date"),
    "timepicker": ("selected_time", "initial_time"),
    "datetimepicker": ("selected_date_time", "initial_date_time"),
}
ENTITIES = {"users_select": "user", "channels_select": "channel", "conversations_select": "conversation"}
OPTION_LISTS = frozenset({"checkboxes", "multi_static_select", "multi_external_select"})
OPTIONS = frozenset({"radio_buttons", "static_select", "external_select"})
STATELESS = frozenset({"button", "workflow_button", "overflow", "feedback_buttons", "icon_button"})
REQUIRED = "Please complete this required field."
EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
WEB_ADDRESS = re.compile(r"https?://\S+")


def with_block(blocks: Sequence[Json]) -> Iterator[tuple[Json, Json]]:
    """Every interactive element with the block it stands in."""
    for block in blocks:
        for element in elements_of(block):
            yield block, element
        yield from with_block(block.get("child_blocks") or [])


def find(blocks: Sequence[Json], action_id: str, block_id: str = "") -> tuple[Json, Json]:
    """The block and the element of an action. Raises SlackProblem."""
    for block, element in with_block(blocks):
        if element.get("action_id") == action_id and block_id in {"", block.get("block_id")}:
            return block, element
    raise SlackProblem("action_not_found")


def state_of(hub: Hub, blocks: Sequence[Json], values: Mapping[str, Json]) -> Json:
    """The `state.values` of blocks: for each control what was chosen, else what it starts with.

    So it is too where an update took away the option that was chosen.
    """
    state: dict[str, Json] = {}
    for block, element in with_block(blocks):
        if element["type"] in STATELESS:
            continue
        chosen = values.get(block["block_id"]) or {}
        action_id = element["action_id"]
        value = chosen[action_id] if action_id in chosen else initial(element)
        try:
            fields = selected(hub, element, value)
        except SlackProblem:
            fields = selected(hub, element, initial(element))
        state.setdefault(block["block_id"], {})[action_id] = {"type": element["type"], **fields}
    return state


def give_files(hub: Hub, blocks: Sequence[Json], values: Mapping[str, Json]) -> None:
    """Let the app read the files that are submitted."""
    for block, element in with_block(blocks):
        if element["type"] == "file_input":
            for one in _listed((values.get(block["block_id"]) or {}).get(element["action_id"])):
                hub.workspace.file(str(one)).given = True


def merged(known: Mapping[str, Json], given: Any) -> dict[str, Json]:
    """Values by block and action with newer ones over them. Raises SlackProblem if they are not of that form."""
    given = given or {}
    if not isinstance(given, dict) or not all(isinstance(one, dict) for one in given.values()):
        raise SlackProblem("invalid_arguments", ["values must be by block, then by action"])
    return {block_id: {**known.get(block_id, {}), **given.get(block_id, {})} for block_id in {**known, **given}}


def initial(element: Json) -> Any:
    """The plain value a control starts with."""
    kind = element["type"]
    single = kind.removeprefix("multi_")
    if kind in DATES:
        return element.get(DATES[kind][1])
    if kind in OPTIONS:
        return (element.get("initial_option") or {}).get("value")
    if kind in OPTION_LISTS:
        return [one["value"] for one in element.get("initial_options") or []]
    if single in ENTITIES:
        return element.get(f"initial_{ENTITIES[single]}{'s' if kind != single else ''}")
    return element.get("initial_value")


def selected(hub: Hub, element: Json, value: Any) -> Json:
    """The fields that tell a control's value, as in Slack's payloads. Raises SlackProblem for an unknown option."""
    kind = element["type"]
    single = kind.removeprefix("multi_")
    if kind in STRINGS:
        return {"value": None if value in (None, "") else str(value)}
    if kind == "rich_text_input":
        return {"rich_text_value": _rich(value)}
    if kind in DATES:
        return {DATES[kind][0]: value or None}
    if kind in OPTIONS or kind == "overflow":
        return {"selected_option": None if value is None else _option(hub, element, value)}
    if kind in OPTION_LISTS:
        return {"selected_options": [_option(hub, element, one) for one in _listed(value)]}
    if single in ENTITIES and kind != single:
        return {f"selected_{ENTITIES[single]}s": _listed(value)}
    if single in ENTITIES:
        return {f"selected_{ENTITIES[single]}": value or None}
    if kind == "file_input":
        return {"files": [hub.present.file(hub.workspace.file(str(one))) for one in _listed(value)]}
    return {}


def action(hub: Hub, block: Json, element: Json, value: Any) -> Json:
    """One entry of a block_actions payload."""
    kind = element["type"]
    made: Json = {"type": kind, "action_id": element["action_id"], "block_id": block["block_id"]}
    if kind in {"button", "workflow_button", "icon_button"}:
        made |= {name: element[name] for name in ("text", "value", "style") if element.get(name) is not None}
    elif kind == "feedback_buttons":
        sides = [element["positive_button"], element["negative_button"]]
        side = next((one for one in sides if one["value"] == value), None)
        if side is None:
            raise SlackProblem("invalid_option")
        made |= {"text": side["text"], "value": side["value"]}
    else:
        made |= selected(hub, element, value)
        if element.get("placeholder") is not None:
            made["placeholder"] = element["placeholder"]
    return {**made, "action_ts": hub.workspace.ids.ts()}


def problems(hub: Hub, blocks: Sequence[Json], values: Mapping[str, Json]) -> dict[str, str]:
    """What Slack's own client refuses to submit, by block: empty required fields, lengths, numbers, addresses."""
    found = {}
    for block in blocks:
        if block.get("type") != "input":
            continue
        element = block["element"]
        chosen = values.get(block["block_id"]) or {}
        action_id = element["action_id"]
        value = chosen[action_id] if action_id in chosen else initial(element)
        if value in ("", None, []):
            problem = "" if block.get("optional") else REQUIRED
        else:
            problem = _problem(hub, element, value)
        if problem:
            found[block["block_id"]] = problem
    return found


def _problem(hub: Hub, element: Json, value: Any) -> str:
    kind = element["type"]
    if kind in STRINGS:
        value = str(value)
        if len(value) < element.get("min_length", 0):
            return f"At least {element['min_length']} characters."
        if len(value) > element.get("max_length", 3000):
            return f"At most {element.get('max_length', 3000)} characters."
        if kind == "number_input":
            return _number_problem(element, value)
        if kind == "email_text_input" and not EMAIL.fullmatch(value):
            return "Please enter an email address."
        if kind == "url_text_input" and not WEB_ADDRESS.fullmatch(value):
            return "Please enter an address that starts with http:// or https://."
        return ""
    try:
        selected(hub, element, value)
    except SlackProblem:
        return "This is not among the choices."
    return ""


def _number_problem(element: Json, value: str) -> str:
    try:
        number = float(value)
    except ValueError:
        return "Please enter a number."
    if not element.get("is_decimal_allowed") and not number.is_integer():
        return "Please enter a whole number."
    if element.get("min_value") is not None and number < float(element["min_value"]):
        return f"The smallest value is {element['min_value']}."
    if element.get("max_value") is not None and number > float(element["max_value"]):
        return f"The largest value is {element['max_value']}."
    return ""


def _listed(value: Any) -> list[Any]:
    if value and not isinstance(value, list):
        raise SlackProblem("invalid_option")
    return list(value or [])


def _option(hub: Hub, element: Json, value: Any) -> Json:
    groups = [element.get("options") or []]
    groups += [group["options"] for group in element.get("option_groups") or []]
    groups += [element.get("initial_options") or [], [element.get("initial_option") or {}]]
    for options in groups:
        for option in options:
            if option.get("value") == value:
                return dict(option)
    suggested = hub.workspace.suggested.get((element["action_id"], str(value)))
    if suggested is None:
        raise SlackProblem("invalid_option")
    return suggested


def _rich(value: Any) -> Json | None:
    if not value:
        return None
    if isinstance(value, dict):
        return value
    section = {"type": "rich_text_section", "elements": [{"type": "text", "text": str(value)}]}
    return {"type": "rich_text", "elements": [section]}
