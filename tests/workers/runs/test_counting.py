"""A small dataset is counted as the chosen model counts it, as a check with its tokenizer would."""

import json

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from workers.dataprep.report import check_file
from workers.plans import cost
from workers.plans.choices import Choices
from workers.runs import counting
from workers.tables import Dataset

MODEL = "smollm2-135m-instruct"
pytestmark = pytest.mark.parametrize("db", ["sqlite"], indirect=True)


@pytest.fixture
def tokenizer(context):
    """The base model's own tokenizer, as where it has been unpacked: words are tokens."""
    path = context.settings.cache_folder / "base-models" / MODEL / "tokenizer.json"
    path.parent.mkdir(parents=True)
    made = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.save(str(path))
    return path


@pytest.fixture
def put(context, tmp_path):
    """A dataset of 60 examples, checked as every attached file is."""

    def keep(**more):
        path = tmp_path / "d.jsonl"
        said = [[{"role": "user", "content": f"internationalisation {one}"}, {"role": "assistant", "content": "x"}]
                for one in range(60)]  # fmt: skip
        path.write_text("".join(json.dumps({"messages": one}) + "\n" for one in said))
        context.storage.put("d", path)
        values = {"examples": 60, "report": check_file(path).to_json(), "size": path.stat().st_size, **more}
        with context.db.write() as session:
            row = Dataset(
                team_id="T1", name="d", sha256="d", storage_key="d", format="openai-chat", method="sft",
                trainable=True, **values,
            )  # fmt: skip
            session.add(row)
            session.flush()
        return Choices(row.id, base_model=MODEL), path

    return keep


def test_it_is_what_a_check_with_the_models_tokenizer_counts(context, put, tokenizer):
    choices, path = put()
    counted = counting.recount(context, choices)
    checked = check_file(path, tokenizer=f"file:{tokenizer}")
    assert counted.total == checked.to_json()["tokens"]["total"] == 60 * (3 + 2 * 3 + 2 + 3)
    with context.db.read() as session:
        before = cost.estimate(session, context.settings, choices)
        after = cost.estimate(session, context.settings, choices, counted=counted)
    assert (before.exact_tokens, after.exact_tokens) == (False, True)
    assert (after.counted_with, after.tokens_per_epoch) == ("tokenizer.json", round(counted.total * 48 / 60))
    assert after.billed_tokens < before.billed_tokens


@pytest.mark.parametrize(
    "more",
    [
        {"examples": counting.MOST_EXAMPLES + 1},
        {"report": {"tokens": {"total": counting.MOST_TOKENS + 1}}},
        {"size": counting.material.MOST_BYTES + 1},
        {"storage_key": "gone"},
    ],
)
def test_what_is_large_or_gone_keeps_its_estimate(context, put, tokenizer, more):
    values = {key: value for key, value in more.items() if key != "storage_key"}
    choices, _ = put(**values)
    if "storage_key" in more:
        context.storage.delete("d")
    assert counting.recount(context, choices) is None


def test_without_the_models_own_tokenizer_or_need_nothing_is_counted(context, put, tokenizer):
    choices, _ = put(report={"tokens": {"total": 9, "tokenizer": f"file:{tokenizer}"}})
    assert counting.recount(context, choices) is None
    choices, _ = put()
    tokenizer.write_text("{}")
    assert counting.recount(context, choices) is None
    tokenizer.unlink()
    assert counting.recount(context, choices) is None
