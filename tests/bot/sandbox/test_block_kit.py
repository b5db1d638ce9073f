from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.sandbox.block_kit import problems_of_blocks, problems_of_view, with_ids
from bot.sandbox.block_kit_schema import BLOCKS, ELEMENTS, Surface
from bot.sandbox.ids import Ids

Json = dict[str, Any]


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> Json:
    return {"type": "mrkdwn", "text": text}


def section(text: str = "x", **more: Any) -> Json:
    return {"type": "section", "text": mrkdwn(text), **more}


def button(**more: Any) -> Json:
    return {"type": "button", "action_id": "go", "text": plain("Go"), **more}


def actions(*elements: Json, **more: Any) -> Json:
    return {"type": "actions", "elements": list(elements), **more}


def options(count: int) -> list[Json]:
    return [{"text": plain(f"{n}"), "value": f"{n}"} for n in range(count)]


def select(**more: Any) -> Json:
    return {"type": "static_select", "action_id": "s", "options": options(2), **more}


def table(rows: int, columns: int) -> Json:
    return {"type": "table", "rows": [[{"type": "raw_text", "text": "x"}] * columns] * rows}


def chart(**more: Any) -> Json:
    data = {"type": "line", "series": [{"name": "loss", "data": [{"label": "1", "value": 2.5}]}]}
    return {"type": "data_visualization", "title": "Loss", "chart": {**data, **more}}


FINE = [
    [section("x" * 3000)],
    [section()] * 50,
    [actions(*[button(action_id=f"{n}") for n in range(25)])],
    [{"type": "header", "text": plain("x" * 150)}, {"type": "divider"}],
    [{"type": "context", "elements": [mrkdwn("x")] * 10}],
    [section(accessory=select(option_groups=None, initial_option=options(2)[1]))],
    [table(100, 20)],
    [{"type": "data_table", "rows": [[{"type": "raw_text", "text": "x" * 900}] * 20]}],
    [chart(), chart()],
    [{"type": "markdown", "text": "x" * 12_000}],
    [{"type": "image", "image_url": "http://127.0.0.1/a.png", "alt_text": "a curve"}],
    [{"type": "plan", "title": "Plan", "tasks": [{"type": "task_card", "task_id": "1", "title": "T",
                                                  "status": "complete"}]}],
    [{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "x"}]}]}],
]  # fmt: skip

REFUSED = [
    ([section()] * 51, "no more than 50 items"),
    ([section("x" * 3001)], "less than 3001"),
    ([section("")], "more than 0"),
    ([{"type": "section"}], "missing one of: text, fields"),
    ([{"type": "section", "fields": [plain("x")] * 11}], "no more than 10"),
    ([{"type": "section", "fields": [plain("x" * 2001)]}], "less than 2001"),
    ([{"type": "header", "text": mrkdwn("x")}], "must be a text object of type plain_text"),
    ([{"type": "header", "text": plain("x" * 151)}], "less than 151"),
    ([{"type": "nope"}], "unsupported type: nope"),
    (["x"], "unsupported type"),
    ({"type": "divider"}, "must be a list"),
    ([{"type": "divider", "colour": "red"}], "invalid additional property: colour"),
    ([actions(button(text=plain("x" * 76)))], "less than 76"),
    ([actions(button(value="x" * 2001))], "less than 2001"),
    ([actions(button(url="x" * 3001))], "less than 3001"),
    ([actions(button(style="green"))], "must be one of primary, danger"),
    ([actions(*[button(action_id=f"{n}") for n in range(26)])], "no more than 25"),
    ([actions()], "no fewer than 1"),
    ([actions(button(), button())], "action_id 'go' already exists"),
    ([section(block_id="b"), section(block_id="b")], "block_id 'b' already exists"),
    ([section(block_id="b" * 256)], "less than 256"),
    ([actions({"type": "plain_text_input", "action_id": "a"})], "unsupported type: plain_text_input"),
    ([actions(select(options=options(101)))], "no more than 100"),
    ([actions(select(options=[{"text": plain("x" * 76), "value": "1"}]))], "less than 76"),
    ([actions(select(options=[{"text": plain("x"), "value": "x" * 151}]))], "less than 151"),
    ([actions(select(options=None))], "missing one of: options, option_groups"),
    ([actions(select(initial_option={"text": plain("1"), "value": "7"}))], "must be one of the options"),
    ([actions(button(confirm={"title": plain("x" * 101), "text": plain("t"), "confirm": plain("y"),
                              "deny": plain("n")}))], "less than 101"),
    ([{"type": "context", "elements": [mrkdwn("x")] * 11}], "no more than 10"),
    ([{"type": "image", "image_url": "http://127.0.0.1/a.png", "alt_text": ""}], "more than 0"),
    ([{"type": "image", "alt_text": "x"}], "missing one of: image_url, slack_file"),
    ([table(101, 2)], "no more than 100"),
    ([table(2, 21)], "no more than 20"),
    ([table(1, 1), table(1, 1)], "only_one_table_allowed"),
    ([{"type": "data_table", "rows": [[{"type": "raw_text", "text": "x"}]] * 202}], "no more than 201"),
    ([{"type": "data_table", "rows": [[{"type": "raw_text", "text": "x" * 5001}] * 4]}], "20000 characters"),
    ([chart()] * 3, "no more than 2 data_visualization"),
    ([chart(series=[{"name": "n", "data": []}] * 7)], "no more than 6"),
    ([chart(series=[{"name": "n", "data": [{"label": "x", "value": 1}] * 21}])], "no more than 20"),
    ([chart(series=[{"name": "n", "data": [{"label": "x" * 21, "value": 1}]}])], "less than 21"),
    ([{"type": "markdown", "text": "x" * 7_000}] * 2, "12000 characters of markdown together"),
    ([{"type": "alert", "text": plain("x")}], "alert is not allowed in a message"),
    ([{"type": "input", "label": plain("f"), "element": {"type": "file_input", "action_id": "f"}}],
     "file_input is not allowed in a message"),
    ([{"type": "context_actions", "elements": [{"type": "icon_button", "icon": "trash", "text": plain("x")}] * 6}],
     "no more than 5"),
]  # fmt: skip


@pytest.mark.parametrize("blocks", FINE)
def test_what_slack_takes(blocks: list[Json]) -> None:
    assert problems_of_blocks(blocks) == []


@pytest.mark.parametrize(("blocks", "problem"), REFUSED, ids=[problem for _, problem in REFUSED])
def test_what_slack_refuses(blocks: Any, problem: str) -> None:
    assert any(problem in found for found in problems_of_blocks(blocks)), problems_of_blocks(blocks)


def modal(*blocks: Json, **more: Any) -> Json:
    return {"type": "modal", "title": plain("T"), "blocks": list(blocks), **more}


INPUT = {"type": "input", "label": plain("Name"), "element": {"type": "plain_text_input", "action_id": "n"}}


@pytest.mark.parametrize(
    ("view", "problem"),
    [
        (modal(INPUT), "/submit"),
        (modal(title=plain("x" * 25)), "less than 25"),
        (modal(private_metadata="x" * 3001), "less than 3001"),
        (modal(*[section()] * 101), "no more than 100"),
        (modal(table(1, 1)), "table is not allowed in a modal"),
        ({"type": "modal", "blocks": []}, "missing required field: title"),
        ({"type": "home", "blocks": [{"type": "markdown", "text": "x"}]}, "markdown is not allowed in a home"),
        ({"type": "home", "title": plain("T"), "blocks": []}, "invalid additional property: title"),
        ({"type": "workflow", "blocks": []}, "must be one of modal, home"),
        ("modal", "must be an object"),
    ],
)
def test_views_slack_refuses(view: Any, problem: str) -> None:
    assert any(problem in found for found in problems_of_view(view)), problems_of_view(view)


def test_views_slack_takes() -> None:
    everything = modal(INPUT, {"type": "alert", "text": plain("x")}, submit=plain("Go"), notify_on_close=True)
    assert problems_of_view(everything) == []
    assert problems_of_view({"type": "home", "blocks": [section(), table(2, 2)]}) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda child: st.lists(child, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["type", "text", "elements", "element", "options", "rows", "chart", "series", "data", "blocks", "tasks",
             "accessory", "initial_option", "initial_options", "option_groups", "child_blocks", "block_id", "action_id",
             "confirm", "value", "label", "fields", "title"]
        ),
        child | st.sampled_from([*BLOCKS, *ELEMENTS, "line"]),
        max_size=5,
    ),
    max_leaves=25,
)  # fmt: skip


@given(JSON)
@settings(max_examples=300, deadline=None)
def test_nothing_it_is_given_breaks_it(anything: Any) -> None:
    for surface in Surface:
        assert all(isinstance(problem, str) for problem in problems_of_blocks(anything, surface))
        assert all(isinstance(problem, str) for problem in problems_of_blocks([anything], surface))
    assert isinstance(problems_of_view(anything), list)


def test_ids_that_were_left_out_are_filled_in() -> None:
    first, second = with_ids([section(), actions({"type": "button", "text": plain("x")}, block_id="mine")], Ids())
    assert first["block_id"]
    assert second["block_id"] == "mine"
    assert second["elements"][0]["action_id"]
