"""What providers demand beyond the format, from dated data."""

import json
from datetime import date
from importlib import resources

import pytest

from workers.dataprep.checks import Severity, vendors
from workers.dataprep.checks.vendors import Demands, findings, rules
from workers.dataprep.example import Example, Message

PICTURE = {"type": "image_url", "image_url": {"url": "u"}}
ASSISTANT = Message("assistant", "a")


def demands(*messages):
    one = Demands()
    one.add(7, Example(tuple(messages)))
    return one


def said(provider, some=None, **others):
    facts = {"examples": 100, "size": 1000, **others}
    return [(one.check, one.count, *one.places[0]) for one in findings(provider, some or Demands(), **facts)]


@pytest.mark.parametrize("provider", ["openai", "azure_openai"])
def test_ten_examples_are_the_least(provider):
    ((check, _, line, found),) = said(provider, examples=9)
    assert (check, line, found.severity) == ("too_few_examples", None, Severity.ERROR)
    assert "wants at least 10" in found.words
    assert said(provider, examples=10) == []
    assert said("local", examples=1) == []


def test_files_that_are_too_large():
    assert [one[0] for one in said("azure_openai", size=512_000_001)] == ["file_too_large"]
    ((check, _, _, found),) = said("openai", size=512_000_001)
    assert (check, found.severity) == ("file_sent_in_parts", Severity.INFO)
    assert [one[0] for one in said("openai", size=8_000_000_001)] == ["file_too_large"]


def test_pictures():
    many = demands(Message("user", [PICTURE] * 11), ASSISTANT)
    ((check, count, line, found),) = said("openai", many)
    assert (check, count, line) == ("too_many_images", 1, 7)
    assert "has 11 pictures; OpenAI takes at most 10 pictures a line" in found.words
    assert said("azure_openai", many) == []
    assert "takes no pictures" in said("local", demands(Message("user", [PICTURE]), ASSISTANT))[0][3].words


def test_methods_and_roles():
    assert [one[0] for one in said("openai", method="kto")] == ["method_not_supported"]
    assert said("local", method="kto") == []
    ((check, _, line, found),) = said("azure_openai", demands(Message("critic", "x"), ASSISTANT))
    assert (check, line, found.message) == ("role_not_supported", 7, 1)
    assert "'critic'" in found.words
    assert said("nobody", examples=0) == []


def test_the_rules_are_dated_and_complete():
    text = resources.files(vendors.__package__).joinpath("vendor_rules.json").read_text(encoding="utf-8")
    data = json.loads(text)
    assert date.fromisoformat(data["as_of"]) >= date(2026, 1, 1)
    assert all(one.startswith("https://") for one in data["sources"])
    for one in rules().values():
        assert one.roles >= {"system", "user", "assistant"}
        assert one.methods <= set(vendors.METHOD_NAMES)
