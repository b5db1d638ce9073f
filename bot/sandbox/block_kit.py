"""Says what Slack would refuse in a message's blocks or in a view: one walk over the table of `block_kit_schema`."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from bot.sandbox import block_kit_schema as schema
from bot.sandbox.block_kit_schema import Surface
from bot.sandbox.ids import Ids

Json = dict[str, Any]
MOST_MARKDOWN = 12_000
MOST_DATA_TABLE = 20_000
MOST_VIEW_BYTES = 250_000
WITH_ACTION = frozenset(schema.ELEMENTS) - {
    "image", "plain_text", "mrkdwn", "raw_text", "raw_number", "rich_text", "url"
}  # fmt: skip


def problems_of_blocks(blocks: Any, surface: Surface = Surface.MESSAGE) -> list[str]:
    """What is wrong with a list of blocks, in words, each with its place."""
    return list(_blocks(blocks, surface, "/blocks"))


def problems_of_view(view: Any) -> list[str]:
    """What is wrong with a view."""
    return list(_view(view))


def with_ids(blocks: Sequence[Json], ids: Ids) -> list[Json]:
    """The blocks with the ids that were left out, as Slack fills them in."""
    return [_with_ids(block, ids, is_block=True) for block in blocks]


def _with_ids(node: Any, ids: Ids, *, is_block: bool = False) -> Any:
    if isinstance(node, list):
        return [_with_ids(child, ids, is_block=is_block) for child in node]
    if not isinstance(node, dict):
        return node
    made = {name: _with_ids(child, ids, is_block=name == "child_blocks") for name, child in node.items()}
    if is_block and not made.get("block_id"):
        made["block_id"] = ids.new("")[-5:]
    if _kind(made) in WITH_ACTION and not made.get("action_id"):
        made["action_id"] = ids.new("")[-5:]
    return made


def _view(view: Any) -> Iterator[str]:
    if not isinstance(view, dict):
        yield _at("", "must be an object")
        return
    surface = Surface.HOME if view.get("type") == "home" else Surface.MODAL
    shape = schema.HOME_VIEW if surface is Surface.HOME else schema.MODAL_VIEW
    yield from _shape(view, shape, surface, "", ignore=("type",))
    yield from _check(view.get("type"), schema.VIEW["type"], surface, "/type")
    if "blocks" in view:
        yield from _blocks(view["blocks"], surface, "/blocks")
        shown = view["blocks"] if isinstance(view["blocks"], list) else []
        has_input = any(_kind(block) == "input" for block in shown)
        if surface is Surface.MODAL and has_input and not view.get("submit"):
            yield _at("/submit", "must be there when there is an input block")


def _blocks(blocks: Any, surface: Surface, place: str) -> Iterator[str]:
    if not isinstance(blocks, list):
        yield _at(place, "must be a list")
        return
    if len(blocks) > schema.MOST_BLOCKS[surface]:
        yield _at(place, f"no more than {schema.MOST_BLOCKS[surface]} items allowed")
    every = schema.Typed(frozenset(schema.BLOCKS), blocks=True)
    problems: list[str] = []
    for index, block in enumerate(blocks):
        problems += _check(block, every, surface, f"{place}/{index}")
    yield from problems
    if not problems:
        yield from _duplicates(blocks, place)
        yield from _together(blocks, place)


def _duplicates(blocks: Sequence[Json], place: str) -> Iterator[str]:
    ids = Counter(block["block_id"] for block in blocks if block.get("block_id"))
    for name, count in ids.items():
        if count > 1:
            yield _at(place, f"block_id {name!r} already exists")
    actions = Counter(
        (index, one["action_id"])
        for index, block in enumerate(blocks)
        for one in elements_of(block)
        if one.get("action_id")
    )
    for (index, name), count in actions.items():
        if count > 1:
            yield _at(f"{place}/{index}", f"action_id {name!r} already exists")


def _together(blocks: Sequence[Json], place: str) -> Iterator[str]:
    """The limits on all blocks of a message at once."""
    markdown = sum(len(str(block.get("text", ""))) for block in blocks if block.get("type") == "markdown")
    if markdown > MOST_MARKDOWN:
        yield _at(place, f"no more than {MOST_MARKDOWN} characters of markdown together")
    kinds = Counter(block.get("type") for block in blocks)
    if kinds["data_visualization"] > 2:
        yield _at(place, "no more than 2 data_visualization blocks")
    if kinds["table"] > 1:
        yield _at(place, "only_one_table_allowed")


def elements_of(node: Any) -> Iterator[Json]:
    """Every interactive element under a block."""
    if isinstance(node, list):
        for child in node:
            yield from elements_of(child)
    elif isinstance(node, dict):
        if _kind(node) in WITH_ACTION:
            yield node
            return
        for name, child in node.items():
            if name != "child_blocks":
                yield from elements_of(child)


def _kind(node: Any) -> str:
    kind = node.get("type") if isinstance(node, dict) else None
    return kind if isinstance(kind, str) else ""


def _check(value: Any, rule: Any, surface: Surface, place: str) -> Iterator[str]:
    """What is wrong with one value."""
    match rule:
        case schema.Words(most, least):
            if not isinstance(value, str):
                yield _at(place, "must be a string")
            else:
                yield from _length(value, most, least, place)
        case schema.Text(most, kinds):
            yield from _text(value, most, kinds, place)
        case schema.Number(low, high):
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                yield _at(place, f"must be a whole number from {low} to {high}")
        case schema.Truth():
            if not isinstance(value, bool):
                yield _at(place, "must be true or false")
        case schema.OneOf(values):
            if value not in values:
                yield _at(place, f"must be one of {', '.join(values)}")
        case schema.Each(of, most, least):
            yield from _each(value, of, most, least, surface, place)
        case schema.Typed(types, is_block):
            yield from _typed(value, types, surface, place, is_block=is_block)
        case schema.Shape():
            yield from _shape(value, rule, surface, place)


def _each(value: Any, of: Any, most: int, least: int, surface: Surface, place: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield _at(place, "must be a list")
        return
    if len(value) > most:
        yield _at(place, f"no more than {most} items allowed")
    if len(value) < least:
        yield _at(place, f"no fewer than {least} items allowed")
    for index, item in enumerate(value[: most + 1]):
        yield from _check(item, of, surface, f"{place}/{index}")


def _typed(value: Any, types: Any, surface: Surface, place: str, *, is_block: bool) -> Iterator[str]:
    kind = _kind(value)
    if kind not in types:
        yield _at(f"{place}/type", f"unsupported type: {kind}")
        return
    shape = (schema.BLOCKS if is_block else schema.ELEMENTS)[kind]
    if surface not in shape.surfaces:
        yield _at(f"{place}/type", f"{kind} is not allowed in a {surface.value}")
    problems = list(_shape(value, shape, surface, place, ignore=("type",)))
    if is_block and value.get("block_id") is not None:
        problems += _check(value["block_id"], schema.ID, surface, f"{place}/block_id")
    yield from problems
    if problems:
        return  # what follows relies on its shape
    if kind == "data_table" and sum(map(len, _cell_texts(value["rows"]))) > MOST_DATA_TABLE:
        yield _at(f"{place}/rows", f"no more than {MOST_DATA_TABLE} characters together")
    yield from _initial(value, place)


def _shape(value: Any, shape: schema.Shape, surface: Surface, place: str, ignore: Sequence[str] = ()) -> Iterator[str]:
    if not isinstance(value, dict):
        yield _at(place, "must be an object")
        return
    for name in shape.needs:
        if value.get(name) is None:
            yield _at(place, f"missing required field: {name}")
    if shape.needs_one_of and not any(value.get(name) for name in shape.needs_one_of):
        yield _at(place, f"missing one of: {', '.join(shape.needs_one_of)}")
    for name, child in value.items():
        if name in shape.fields:
            if child is not None:
                yield from _check(child, shape.fields[name], surface, f"{place}/{name}")
        elif not shape.is_open and name not in (*ignore, "block_id"):
            yield _at(place, f"invalid additional property: {name}")


def _text(value: Any, most: int, kinds: Sequence[str], place: str) -> Iterator[str]:
    if not isinstance(value, dict) or value.get("type") not in kinds:
        yield _at(place, f"must be a text object of type {' or '.join(kinds)}")
        return
    extra = set(value) - {"type", "text", "emoji" if value["type"] == "plain_text" else "verbatim"}
    for name in sorted(extra):
        yield _at(place, f"invalid additional property: {name}")
    if not isinstance(value.get("text"), str):
        yield _at(f"{place}/text", "must be a string")
    else:
        yield from _length(value["text"], most, 1, f"{place}/text")


def _length(value: str, most: int, least: int, place: str) -> Iterator[str]:
    if len(value) > most:
        yield _at(place, f"must be less than {most + 1} characters")
    if len(value) < least:
        yield _at(place, f"must be more than {least - 1} characters")


def _initial(element: Json, place: str) -> Iterator[str]:
    """What is chosen at first must be one of the options, in every detail."""
    options = [*(element.get("options") or [])]
    for group in element.get("option_groups") or []:
        options += group["options"]
    chosen = [element.get("initial_option"), *(element.get("initial_options") or [])]
    if options and any(one is not None and one not in options for one in chosen):
        yield _at(place, "initial_option must be one of the options")


def _cell_texts(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for child in node:
            yield from _cell_texts(child)
    elif isinstance(node, dict):
        yield str(node.get("text", ""))


def _at(place: str, problem: str) -> str:
    return f"[ERROR] {problem} [json-pointer:{place or '/'}]"
