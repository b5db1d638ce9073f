"""Cards of hosted models: what they cost and until when, in whatever state; Slack takes them, and they ping nobody."""

import json
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.blocks import endpoint, home, hosting
from bot.sandbox.block_kit import problems_of_blocks, problems_of_view
from providers import prices
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
    elements = [one for block in blocks if block["type"] == "actions" for one in block["elements"]]
    return [one["text"]["text"] for one in elements if one["type"] == "button"]


def test_what_is_hosted_says_what_it_costs_until_when_and_when_it_was_used():
    used = SOON - 3 * 3600 - 300
    drawn = endpoint.draw(target(), "http://127.0.0.1:1", hosted(used_at=used))
    said = check(drawn)
    assert "costs $1.70/h" in said
    assert f"until <!date^{int(SOON)}^{{date_short_pretty}} {{time}}|" in said
    assert f"(<!date^{int(SOON)}^{{ago}}|" in said
    assert f"· up to 1,000 tokens a minute · used <!date^{int(used)}^{{ago}}|" in said
    assert offered(drawn.blocks) == ["Keep 24 h", "Delete now", "Get an API key", "Your API keys"]
    buttons = {one["action_id"]: one for block in drawn.blocks[-2:] for one in block.get("elements", ())
               if "action_id" in one}  # fmt: skip
    assert "about $40.80" in buttons["hosted_keep"]["confirm"]["text"]["text"]
    assert buttons["hosted_end"]["style"] == "danger"
    assert "confirm" in buttons["hosted_end"]


def test_a_price_that_is_not_known_is_said_so():
    said = check(endpoint.draw(target(), "http://127.0.0.1:1", hosted(price_per_hour=None)))
    assert "💵 what an hour costs is not known · " in said
    assert "what an hour costs is not known" in check(
        endpoint.draw(target(), "http://127.0.0.1:1", hosted(LeaseStatus.ASKED, price_per_hour=None))
    )
    warned = check(hosting.warning(hosted(price_per_hour=None, warned_at=1.0), "recipes"))
    assert "What an hour costs is not known." in warned
    assert "at a price that is not known here" in said
    assert "$" not in said


@pytest.mark.parametrize(
    ("status", "words", "buttons"),
    [
        (LeaseStatus.ENDED, "Its model is hosted nowhere, and costs nothing.", ["Deploy again · $1.70/h"]),
        (LeaseStatus.FAILED, "Its model is hosted nowhere, and costs nothing.", ["Deploy again · $1.70/h"]),
        (LeaseStatus.ENDING, "costs $1.70/h until that is done", ["Deploy again · $1.70/h"]),
        (LeaseStatus.ASKED, "is being deployed", ["Delete now"]),
        (LeaseStatus.CREATING, "then costs $1.70/h", ["Delete now"]),
    ],
)
def test_one_that_sleeps_or_wakes(status, words, buttons):
    asleep = target(status=EndpointStatus.ASLEEP)
    drawn = endpoint.draw(asleep, "http://127.0.0.1:1", hosted(status))
    assert words in check(drawn)
    assert json.dumps(drawn.blocks).count("asleep") == 1
    assert drawn.text == "😴 recipes is asleep."
    assert offered(drawn.blocks) == [*buttons, "Get an API key", "Your API keys"]
    assert offered(hosting.asleep(asleep, hosted(status), "why").blocks) == buttons


FREE = "no cost by the hour, each answer is billed by its tokens"
DAY = 24 * 3600.0
LONGER = prices.price_of("azure_openai", "gpt-4.1-nano", "globalStandard")


def free(status=LeaseStatus.READY, **more):
    """Hosted in a tier that costs nothing by the hour, and that the vendor ends a day after it was asked for."""
    made = SOON - 4 * 3600
    return hosted(status, **{"price_per_hour": 0.0, "created_at": made, "lives_until": made + DAY, **more})


def test_hosting_without_a_price_by_the_hour_is_said_in_words():
    drawn = endpoint.draw(target(), "http://127.0.0.1:1", free())
    said = check(drawn)
    assert f"💵 {FREE} · until <!date^{int(SOON)}^" in said
    assert "itself ends it" not in said.partition('"confirm"')[0]
    assert "$" not in said
    assert offered(drawn.blocks) == ["Keep to its end", "Delete now", "Get an API key", "Your API keys"]
    both = offered(endpoint.draw(target(), "http://127.0.0.1:1", free(), LONGER).blocks)
    assert both[:3] == ["Keep to its end", "Host it longer · $1.70/h", "Delete now"]
    keep = next(
        one for block in drawn.blocks for one in block.get("elements", ()) if one.get("action_id") == "hosted_keep"
    )
    assert "until Azure OpenAI itself ends it, 24 hours after it was deployed" in keep["confirm"]["text"]["text"]


def test_without_an_end_of_the_vendors_it_is_kept_for_a_day_at_no_cost_by_the_hour():
    (keep, _) = hosting.buttons(target(), free(lives_until=None))
    assert keep["text"]["text"] == "Keep 24 h"
    assert f"for 24 hours from now, {FREE}." in keep["confirm"]["text"]["text"]


def test_at_the_vendors_own_end_nothing_is_kept_and_another_tier_is_offered():
    row = free(ends_at=SOON - 4 * 3600 + DAY)
    drawn = endpoint.draw(target(), "http://127.0.0.1:1", row, LONGER)
    said = check(drawn)
    assert ", when Azure OpenAI itself ends it · " in said
    buttons = ["Host it longer · $1.70/h", "Delete now"]
    assert offered(drawn.blocks) == [*buttons, "Get an API key", "Your API keys"]
    assert "takes some minutes, in which nobody answers" in said
    assert offered(endpoint.draw(target(), "http://127.0.0.1:1", row).blocks)[0] == "Delete now"
    assert hosting.kept(row).endswith("Azure OpenAI itself ends it then; it can be deployed again.")
    assert hosting.kept(hosted()).endswith(">.")
    row.warned_at = SOON
    warned = hosting.warning(row, "recipes", LONGER)
    assert "when Azure OpenAI itself ends it." in check(warned)
    assert "an hour more" not in check(warned)
    assert "It costs" not in check(warned)
    assert offered(warned.blocks) == buttons


@pytest.mark.parametrize(
    ("row", "words", "button"),
    [
        (free(LeaseStatus.CREATING), f"then {FREE}", "Delete now"),
        (free(LeaseStatus.ENDING), 'Its deployment is being deleted"', "Deploy again · billed by its tokens"),
        (
            free(LeaseStatus.ENDED),
            "Its model is hosted nowhere, and costs nothing.",
            "Deploy again · billed by its tokens",
        ),
        (hosted(LeaseStatus.FAILED, ready_at=None), "Its model is hosted nowhere, and costs nothing.", "Deploy again"),
    ],
)
def test_waking_and_sleeping_without_a_price_by_the_hour(row, words, button):
    drawn = endpoint.draw(target(status=EndpointStatus.ASLEEP), "http://127.0.0.1:1", row)
    said = check(drawn)
    assert words in said
    assert "$" not in said
    assert offered(drawn.blocks)[0] == button


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (hosted(LeaseStatus.ENDED, lease_hours=2.0), "for 2 hours at $1.70/h, about $3.40 in all."),
        (free(LeaseStatus.ENDED), f"for 4 hours: {FREE}."),
        (hosted(LeaseStatus.ENDED, price_per_hour=None), "for 4 hours: what an hour costs is not known."),
        (hosted(LeaseStatus.FAILED, ready_at=None), "for some hours: what an hour costs is not known."),
        (None, "for some hours: what an hour costs is not known."),
    ],
)
def test_deploying_again_asks_first_with_the_price_the_hours_and_the_end(row, words):
    wake, otherwise = hosting.buttons(target(status=EndpointStatus.ASLEEP), row)
    assert otherwise["confirm"] == wake["confirm"]
    question = wake["confirm"]["text"]["text"]
    assert question.startswith(f"It is deployed {words}")
    assert "Unused at their end it is deleted" in question
    assert question.endswith("It can be deleted at any time.")


def test_where_a_capacity_can_be_chosen_it_can_be_another_when_it_is_deployed_again():
    asleep = target(status=EndpointStatus.ASLEEP)
    (menu,) = hosting.buttons(asleep, hosted(LeaseStatus.FAILED, capacity=20))[1:]
    shown = {one["value"]: one["text"]["text"] for one in menu["options"]}
    assert shown["4:1"] == "up to 1,000 tokens a minute"
    assert shown["4:20"] == "up to 20,000 tokens a minute (as before)"
    check(hosting.asleep(asleep, hosted(LeaseStatus.FAILED, capacity=20), "why"))
    elsewhere = target(status=EndpointStatus.ASLEEP, provider="azure_ml")
    assert len(hosting.buttons(elsewhere, hosted(LeaseStatus.FAILED, provider="azure_ml"))) == 1
    assert "tokens a minute" not in hosting.line(hosted(provider="azure_ml"))


def test_what_is_compared_once_it_is_deployed_again_is_in_the_question_with_its_price():
    asleep = target(status=EndpointStatus.ASLEEP)
    owed = (
        "Both models are then compared, as was planned: 1,000 answers, price unknown; the base model is hosted "
        "meanwhile."
    )
    row = hosted(LeaseStatus.FAILED, price_per_hour=1234.56, lease_hours=1234.5)
    wake, otherwise = hosting.buttons(asleep, row, owed=owed)
    for one in (wake, otherwise):
        assert one["confirm"]["text"]["text"].endswith(owed)  # Slack takes 300 characters
    view = home.draw([], [], [(asleep, row)], owed={4: owed})
    assert json.dumps(owed)[1:-1] in json.dumps(view)
    assert problems_of_view(view) == []
    assert hosting.waking(asleep, hosted(LeaseStatus.ASKED), owed).text.endswith(owed)


def test_who_has_had_it_deployed_again():
    row = hosted(LeaseStatus.ASKED, tier="standard", creator_id="U2")
    drawn = hosting.waking(target("a <b>"), row)
    assert (
        drawn.text
        == "⏳ <@U2> has *a &lt;b&gt;* deployed again, which takes some minutes. From then on: costs $1.70/h."
    )
    assert problems_of_blocks(drawn.blocks) == []
    row.tier, row.price_per_hour = "", None
    assert hosting.waking(target(), row).text.endswith("which takes some minutes.")


def test_the_home_tab_has_the_buttons_of_the_thread():
    thread = endpoint.draw(target(), "http://127.0.0.1:1", free(), LONGER)
    view = home.draw([], [], [(target(), free())], {4: LONGER})
    own = [one for one in offered(thread.blocks) if "API key" not in one]
    assert offered(view["blocks"]) == own == ["Keep to its end", "Host it longer · $1.70/h", "Delete now"]


def test_kept_without_a_price_by_the_hour():
    assert hosting.warning(free(warned_at=None), "recipes").text.endswith("UTC>.")


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
        row.lives_until = SOON
        check(endpoint.draw(target(text), "http://127.0.0.1:1", row, LONGER))
        check(hosting.warning(row, text, LONGER))
        assert problems_of_view(home.draw([], [], [(target(text, EndpointStatus.ASLEEP), row)] * 10)) == []
