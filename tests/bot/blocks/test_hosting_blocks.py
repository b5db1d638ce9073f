"""Cards of hosted models: what they cost and until when, in whatever state; Slack takes them, and they ping nobody."""

import json
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.blocks import endpoint, home, hosting
from bot.sandbox.block_kit import problems_of_blocks, problems_of_view
from workers.tables import Endpoint, EndpointStatus, HostedModel, LeaseStatus

TEXT = st.text(alphabet=st.sampled_from(list("<!@#>|&*_~`\n ")) | st.characters(exclude_categories=["Cs"]), min_size=1)
DATE = re.compile(r"<!date\^\d+\^[ {}a-z_]+\|[-:0-9A-Z ]+>")
SOON = time.time() + 3 * 3600


def target(name="recipes", status=EndpointStatus.ACTIVE, **more):
    return Endpoint(**{
        "id": 4, "team_id": "T1", "name": name, "provider": "azure_openai", "model": "r-1", "status": status, **more
    })  # fmt: skip


def hosted(status=LeaseStatus.READY, **more):
    return HostedModel(**{
        "id": 9, "team_id": "T1", "run_id": 1, "endpoint_id": 4, "provider": "azure_openai", "name": "ftb-r1-t-0",
        "model": "m", "status": status, "price_per_hour": 1.7, "ready_at": SOON - 4 * 3600, "ends_at": SOON, **more,
    })  # fmt: skip


def check(drawn):
    assert drawn.text.strip()
    assert problems_of_blocks(drawn.blocks) == []
    for shown in (drawn.text, json.dumps(drawn.blocks, ensure_ascii=False)):
        assert "<" not in DATE.sub("", shown)
    return drawn.text + json.dumps(drawn.blocks, ensure_ascii=False)


def offered(blocks):
    return [one["text"]["text"] for block in blocks if block["type"] == "actions" for one in block["elements"]]


def test_what_is_hosted_says_what_it_costs_until_when_and_when_it_was_used():
    used = SOON - 3 * 3600 - 300
    drawn = endpoint.draw(target(), "http://127.0.0.1:1", hosted(used_at=used))
    said = check(drawn)
    assert "costs $1.70/h" in said
    assert f"until <!date^{int(SOON)}^{{date_short_pretty}} {{time}}|" in said
    assert f"(<!date^{int(SOON)}^{{ago}}|" in said
    assert f"used <!date^{int(used)}^{{ago}}|" in said
    assert offered(drawn.blocks) == ["Keep 24 h", "Delete now", "Get an API key", "Your API keys"]
    buttons = {one["action_id"]: one for block in drawn.blocks[-2:] for one in block.get("elements", ())
               if "action_id" in one}  # fmt: skip
    assert "about $40.80" in buttons["hosted_keep"]["confirm"]["text"]["text"]
    assert buttons["hosted_end"]["style"] == "danger"
    assert "confirm" in buttons["hosted_end"]


def test_a_price_that_is_not_known_is_said_so():
    said = check(endpoint.draw(target(), "http://127.0.0.1:1", hosted(price_per_hour=None)))
    assert "an unknown price an hour" in said
    assert "at a price that is not known here" in said
    assert "$" not in said


@pytest.mark.parametrize(
    ("status", "words", "buttons"),
    [
        (LeaseStatus.ENDED, "asleep: hosted nowhere, costs nothing", ["Deploy again · $1.70/h"]),
        (LeaseStatus.FAILED, "asleep: hosted nowhere, costs nothing", ["Deploy again · $1.70/h"]),
        (LeaseStatus.ENDING, "costs $1.70/h until that is done", ["Deploy again · $1.70/h"]),
        (LeaseStatus.ASKED, "is being deployed", ["Delete now"]),
        (LeaseStatus.CREATING, "then costs $1.70/h", ["Delete now"]),
    ],
)
def test_one_that_sleeps_or_wakes(status, words, buttons):
    asleep = target(status=EndpointStatus.ASLEEP)
    drawn = endpoint.draw(asleep, "http://127.0.0.1:1", hosted(status))
    assert words in check(drawn)
    assert offered(drawn.blocks) == [*buttons, "Get an API key", "Your API keys"]
    assert offered(hosting.asleep(asleep, hosted(status), "why").blocks) == buttons


def test_what_costs_nothing_by_the_hour_says_nothing_of_it():
    drawn = endpoint.draw(target(provider="local"), "http://127.0.0.1:1")
    assert "$" not in check(drawn)
    assert offered(drawn.blocks) == ["Get an API key", "Your API keys"]


def test_the_warning_and_what_becomes_of_it():
    due = hosting.warning(hosted(warned_at=SOON - 1800), "recipes")
    assert "is deployed until" in check(due)
    assert offered(due.blocks) == ["Keep 24 h", "Delete now"]
    longer = hosting.warning(hosted(warned_at=SOON - 1800, extended=2), "recipes")
    assert "is in use, so it stays deployed for an hour more" in check(longer)
    kept = hosting.warning(hosted(warned_at=None), "recipes")
    assert "stays deployed until" in check(kept)
    assert offered(kept.blocks) == []
    over = hosting.warning(hosted(LeaseStatus.ENDED, warned_at=1.0), "recipes")
    assert "is over" in check(over)
    assert offered(over.blocks) == []


def test_the_home_tab_shows_every_endpoint_with_its_cost():
    shown = [
        (target(id=1), hosted()),
        (target(id=2, status=EndpointStatus.ASLEEP), hosted(LeaseStatus.ENDED, id=2)),
        (target(id=3, provider="local"), None),
        *((target(id=number), hosted(id=number)) for number in range(4, 20)),
    ]
    view = home.draw([], [], shown)
    assert problems_of_view(view) == []
    text = json.dumps(view, ensure_ascii=False)
    assert "costs $1.70/h" in text
    assert "asleep" in text
    assert "answers, whenever it is asked" in text
    assert "and 9 older ones" in text
    assert "None yet: a run that is ready has one." in json.dumps(home.draw([], []))


@given(text=TEXT)
@settings(max_examples=25, deadline=None)
def test_whatever_people_and_vendors_say(text):
    for status in LeaseStatus:
        row = hosted(status, warned_at=1.0)
        for state in EndpointStatus:
            check(endpoint.draw(target(text, state), "http://127.0.0.1:1", row))
            check(hosting.asleep(target(text, state), row, text))
        check(hosting.warning(row, text))
        assert problems_of_view(home.draw([], [], [(target(text, EndpointStatus.ASLEEP), row)] * 10)) == []
