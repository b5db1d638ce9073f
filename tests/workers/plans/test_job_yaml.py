"""YAML for every reader alike: which scalars there are, and what is refused with words."""

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.blocks import job_file as card
from bot.sandbox.block_kit import problems_of_blocks
from workers.plans import job_file, job_yaml
from workers.plans.job_fields import PROVIDERS
from workers.plans.job_file import JobFilePlan
from workers.plans.job_yaml import NoJobFile
from workers.tables import JobFile

SCALARS = {
    "text": "text", "'1'": "1", "2026-01-01": "2026-01-01", "2026-01-01T12:00:00Z": "2026-01-01T12:00:00Z",
    "12:30:45": "12:30:45", "0x1f": "0x1f", "010": "010", "0b1": "0b1", "5e-4": "5e-4", "<<": "<<", "=": "=",
    "1": 1, "-7": -7, "1_000": 1000, "9007199254740992": 2**53, "1.5": 1.5, "-.5": "-.5", ".5": 0.5, "1.0e-7": 1e-7,
    "true": True, "no": False, "null": None, "~": None, "": None,
}  # fmt: skip


@pytest.mark.parametrize("written", SCALARS)
def test_the_scalars_that_there_are(written):
    (read,) = job_yaml.load(f"a: {written}\n".encode()).values()
    assert read == SCALARS[written]
    assert type(read) is type(SCALARS[written])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("!!binary aGVsbG8=", "line 1, column 4: tags (!name, !!name) are not allowed"),
        ("!!int '5'", "tags"),
        ("!!str 5", "tags"),
        ("!!set {a: null}", "tags"),
        ("!!timestamp 2026-01-01", "tags"),
        ("!own x", "tags"),
        ("! x", "tags"),
        ("!!python/object/apply:os.system ['true']", "tags"),
        ("&anchor x", "anchors"),
        (".inf", "must be finite"),
        ("-.Inf", "must be finite"),
        (".nan", "must be finite"),
        ("1.0e+999", "must be finite"),
        ("9007199254740993", "at most 9,007,199,254,740,992"),
        ("-9007199254740993", "at most 9,007,199,254,740,992"),
        ("1" * 5000, "at most 9,007,199,254,740,992"),
        (r'"a\u0007b"', "control character U+0007"),
        (r'"a\0b"', "control character U+0000"),
        (r'"a\x85b"', "control character U+0085"),
        (r'"a\rb"', "control character U+000D"),
        (r'"\ud800"', "control character U+D800"),
        ("{1: x}", "a name must be a text"),
        ("{null: x}", "a name must be a text"),
        ("{true: x}", "a name must be a text"),
        (r'{"a\u0007": x}', "control character U+0007"),
        ("{x: 1, 'x': 2}", "“x” stands twice"),
    ],
)
def test_what_is_refused(value, words):
    with pytest.raises(NoJobFile) as refused:
        job_yaml.load(f"a: {value}\n".encode())
    assert words in refused.value.user_message
    assert refused.value.user_message.isprintable()


def test_a_program_keeps_its_lines():
    assert job_yaml.load(b"source: |\n  def grade(a):\n  \treturn 1\n") == {"source": "def grade(a):\n\treturn 1\n"}


KEYS = st.sampled_from([*job_file.WORDS, *PROVIDERS, "params", "data", "grader", "training_tier", "epochs"])
RAW = st.sampled_from(
    [*SCALARS, "!!binary aGVsbG8=", ".nan", "1" * 400, "&a x", "*a", r'"\ud800"', r'"\0"', "held-out"]
)
VALUES = st.recursive(
    RAW | st.text(max_size=20).map(lambda one: yaml.safe_dump(one, allow_unicode=True).removesuffix("...\n").strip()),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda some: f"[{', '.join(some)}]")
        | st.dictionaries(KEYS, inner, max_size=3).map(
            lambda some: "{" + ", ".join(f"{name}: {value}" for name, value in some.items()) + "}"
        )
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(["finetune: 1", "finetune: 2", "task: llm-sft"]), st.dictionaries(KEYS, VALUES, max_size=6))
def test_whatever_somebody_writes_is_a_plan_that_can_be_kept_and_shown_or_words(first, lines):
    text = "\n".join([first, *(f"{name}: {value}" for name, value in lines.items())])
    try:
        plan = job_file.read(text.encode("utf-8", "replace"))
    except NoJobFile as error:
        said = error.user_message
        plan = None
    if plan is None:
        assert said
        return
    kept = json.dumps(plan.to_json(), allow_nan=False, ensure_ascii=False)
    assert "\\u0000" not in kept
    assert JobFilePlan.from_json(json.loads(kept.encode())) == plan
    drawn = card.draw(JobFile(id=1, team_id="T1", name="job.yml", plan=json.loads(kept)))
    assert problems_of_blocks(drawn.blocks) == []
