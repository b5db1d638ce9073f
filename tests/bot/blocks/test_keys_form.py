"""Vendor credentials as they are drawn: whatever vendors say, Slack accepts it, and nothing pings anybody."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.blocks import keys_form
from bot.sandbox.block_kit import problems_of_blocks, problems_of_view
from providers.credentials import FIELDS
from workers.credentials import Known
from workers.tables import Credential, CredentialStatus

TEXT = st.text(
    alphabet=st.sampled_from(list("<!@#>|&*_~`\n ")) | st.characters(exclude_categories=["Cs"]), max_size=400
)
LONG = TEXT | TEXT.map(lambda text: text * 60)
DATE = re.compile(r"<!date\^\d+\^\{date_short_pretty\}, \{time\}\|lately>")


def row(provider: str, status: CredentialStatus, **more) -> Credential:
    return Credential(**{
        "id": 1, "team_id": "T1", "provider": provider, "sealed": "CanarySealed", "status": status,
        "checked_at": 1_795_000_000.0, **more,
    })  # fmt: skip


def pings_nobody(shown: object) -> None:
    text = DATE.sub("", json.dumps(shown, ensure_ascii=False))
    assert not re.search(r"<[!@#]", text)


@given(words=LONG, problem=LONG, value=TEXT)
@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize("status", CredentialStatus)
def test_the_overview_is_accepted_whatever_is_in_it(status: CredentialStatus, words: str, problem: str, value: str):
    found = [
        row(provider, status, words=words, problem=problem,
            shown={one.name: value * 3 for one in fields if not one.secret})
        for provider, fields in FIELDS.items()
    ]  # fmt: skip
    drawn = keys_form.overview(found)
    assert problems_of_blocks(drawn.blocks) == []
    assert "Canary" not in str(drawn)
    pings_nobody(drawn.blocks)


@given(words=LONG, problem=LONG)
@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize("status", CredentialStatus)
def test_an_outcome_is_accepted_whatever_the_vendor_said(status: CredentialStatus, words: str, problem: str):
    data = {"provider": "openai", "status": str(status), "words": words, "problem": problem, "error_id": "abc"}
    drawn = keys_form.outcome(data)
    assert problems_of_blocks(drawn.blocks) == []
    assert drawn.text.strip()
    pings_nobody([drawn.blocks, drawn.text])


@given(value=TEXT)
@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize("provider", FIELDS)
def test_a_form_has_every_field_and_starts_with_no_secret(provider: str, value: str):
    shown = {one.name: value[:400] for one in FIELDS[provider] if not one.secret}
    hidden = frozenset(one.name for one in FIELDS[provider] if one.secret)
    view = keys_form.form(provider, Known(shown | dict.fromkeys(hidden, "Canary"), hidden), "C1")
    assert problems_of_view(view) == []
    inputs = {one["block_id"]: one for one in view["blocks"] if one["type"] == "input"}
    assert list(inputs) == [one.name for one in FIELDS[provider]]
    assert "Canary" not in json.dumps(view)
    assert all(inputs[name]["optional"] for name in hidden)
    assert keys_form.opened(view) == ("C1", provider)


def test_a_first_form_asks_for_what_is_needed():
    view = keys_form.form("openai", Known({}, frozenset()), "C1")
    optional = {one["block_id"]: one["optional"] for one in view["blocks"] if one["type"] == "input"}
    assert optional == {"api_key": False, "organization": True, "project": True, "webhook_secret": True}
    assert "only admins" in json.dumps(view)
    assert "to keep it" not in json.dumps(view)
    assert "FINETUNE_BOT_GATEWAY_URL" in json.dumps(view)
    reached = keys_form.form("openai", Known({}, frozenset()), "C1", "https://gate.example/webhooks/openai/T1")
    assert "`https://gate.example/webhooks/openai/T1`" in json.dumps(reached)


def test_runs_that_are_not_over_are_warned_of():
    working = [row("openai", CredentialStatus.WORKING), row("azure_ml", CredentialStatus.WORKING)]
    said = {count: json.dumps(keys_form.overview(working, {"openai": count}).blocks) for count in (0, 1, 2)}
    assert "not over" not in said[0]
    assert "1 run there is not over. Forget these credentials only after that." in said[1]
    assert said[2].count("2 runs there are not over! Runs that train there") == 1
    assert problems_of_blocks(keys_form.overview(working, {"openai": 10**6}).blocks) == []
    assert "not over" not in keys_form.saved("openai")
    assert "2 runs there are not over: they go on only if" in keys_form.saved("openai", 2)


def test_each_state_has_its_buttons():
    def buttons(row: Credential) -> list[str]:
        blocks = keys_form.overview([row]).blocks
        return [one["text"]["text"] for one in next(b for b in blocks if b["type"] == "actions")["elements"]]

    none = keys_form.overview([]).blocks
    assert [one["accessory"]["text"]["text"] for one in none if "accessory" in one] == ["Add"] * 3
    assert buttons(row("openai", CredentialStatus.CHECKING)) == ["Replace", "Forget"]
    for status in (CredentialStatus.WORKING, CredentialStatus.REFUSED, CredentialStatus.UNREACHED):
        assert buttons(row("openai", status)) == ["Replace", "Check again", "Forget"]
